"""The model and the baselines that are fitted as it is, each without a part of what it sees."""

from functools import partial
from pathlib import Path

from vidrnn.bars import Bar, nowhere
from vidrnn.device import choose_device
from vidrnn.evaluation.baselines import constant, constant_name, metadata_only
from vidrnn.evaluation.metrics import Output
from vidrnn.experiments.side_by_side import in_order, side_by_side, usual_jobs
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.settings.model import STEP_HEADS, Head, ModelSettings
from vidrnn.settings.run import RunSettings
from vidrnn.training.members import fit_members
from vidrnn.training.predict import Answers, PredictOptions, answer

Variant = str  # "model" or one of `trained_baselines`
# Pooling of the baselines on the model's own inputs; heads with an answer at every step do without any.
_OWN_INPUTS: dict[Variant, str] = {"own_inputs_mean": "mean", "own_inputs_max": "max", "own_inputs_step": "mean"}


def trained_baselines(model: ModelSettings) -> tuple[Variant, ...]:
    """Without recurrence, without the order of time and, for heads with one answer per video, from a single frame.

    Two are without recurrence: one on the cached features alone, one on the inputs of the model itself, with another
    pooling. What the second reaches is no merit of the recurrence.
    """
    per_step = model.head in STEP_HEADS
    there_already = [no_time_settings(model), model.model_copy(update={"pooling": "mean"}) if per_step else model]
    on_own_inputs = [
        name
        for name in _OWN_INPUTS
        if (name == "own_inputs_step") == per_step and own_inputs_settings(model, name) not in there_already
    ]
    return (no_time_name(model.head), *on_own_inputs, "shuffled_time", *(() if per_step else ("single_frame",)))


def no_time_name(head: Head) -> Variant:
    """What the model without its temporal layers is called."""
    return "single_step" if head in STEP_HEADS else "mean_pool"


def no_time_settings(model: ModelSettings) -> ModelSettings:
    """The model with its recurrence left out: the cached features, norm, projection, mean over time, linear output.

    It always takes the features themselves: the mean of ``centred`` steps is nothing, which would be no baseline.
    Streams are concatenated, because cross-attention sees more than one step at a time.
    """
    changes = {
        "inputs": ("features",),
        "stream_inputs": {},
        "fusion": "concat",
        "cell": "none",
        "pooling": "mean",
        "stages": 1,
    }
    return model.model_copy(update=changes)


def own_inputs_settings(model: ModelSettings, variant: Variant) -> ModelSettings:
    """The model without temporal layers and with another pooling, all else as it is, its inputs above all.

    Cross-attention sees more than one step at a time, so streams are concatenated in its place.
    """
    changes: dict[str, object] = {"cell": "none", "stages": 1, "pooling": _OWN_INPUTS[variant]}
    if model.fusion == "cross_attention":
        changes["fusion"] = "concat"
    return model.model_copy(update=changes)


def fit_and_predict(
    variant: Variant,
    train: SequenceSet,
    test: SequenceSet,
    *,
    num_classes: int,
    settings: RunSettings,
    seed: int,
    curves: Path | None = None,
) -> Answers:
    """Fit the model or one of its trained baselines, without validation, and answer for the test sequences.

    Args:
        variant: ``model``; `no_time_name` (no recurrence); ``own_inputs_mean``, ``own_inputs_max`` or
            ``own_inputs_step`` (no recurrence either, on what the model is shown); ``shuffled_time`` (steps in random
            order throughout); or ``single_frame`` (no recurrence; one random step in training, the middle one in
            testing).
        train: sequences to learn from.
        test: sequences to answer for.
        num_classes: classes that the head tells apart.
        settings: model and training.
        seed: replaces ``training.seed``.
        curves: folder for the event files of TensorBoard; None writes none.
    """
    without_time = variant in {no_time_name(settings.model.head), "single_frame"}
    model = no_time_settings(settings.model) if without_time else settings.model
    if variant in _OWN_INPUTS:
        model = own_inputs_settings(model, variant)
    training, inference = settings.training.model_copy(update={"seed": seed}), settings.inference
    if variant != "model":  # baselines have other layers, or no order to have learned
        training = training.model_copy(update={"init": None, "frozen": False})
    if variant == "single_frame":
        training = training.model_copy(update={"steps": 1, "jitter": True})
        inference = inference.model_copy(update={"draws": 1})  # several draws would be several frames
    shuffled = variant == "shuffled_time"
    fitted = fit_members(
        train,
        None,
        num_classes=num_classes,
        model_settings=model,
        settings=training,
        shuffled_time=shuffled,
        curves=curves,
    )
    options = PredictOptions(training.steps, inference, shuffled_time=shuffled)
    return answer(fitted.model, test, options)


def predict_without_pixels(
    train: SequenceSet, test: SequenceSet, *, head: Head, num_classes: int
) -> dict[str, list[Output]]:
    """The baselines that need no fit: name to outputs of the test sequences."""
    truth, totals = train.targets.per_video(train.totals), test.totals.tolist()
    answers: dict[str, list[Output]] = {constant_name(head): constant(head, truth, totals, num_classes=num_classes)}
    known = metadata_only(head, train.metadata, truth, test.metadata, num_classes=num_classes)
    return answers if known is None else answers | {"metadata_only": known}


def predict_baselines(
    train: SequenceSet,
    test: SequenceSet,
    *,
    num_classes: int,
    settings: RunSettings,
    jobs: int | None,
    bar: Bar = nowhere,
) -> dict[str, list[Output]]:
    """All baselines: name to outputs of the test sequences.

    Args:
        train: sequences to learn from.
        test: sequences to answer for.
        num_classes: classes that the head tells apart.
        settings: model and training.
        jobs: fits at the same time, each with one thread; None: `usual_jobs`. The outputs do not depend on it.
        bar: shows how many are fitted.
    """
    variants, device = trained_baselines(settings.model), choose_device(settings.training.device)
    fit = partial(
        fit_and_predict,
        train=train,
        test=test,
        num_classes=num_classes,
        settings=settings,
        seed=settings.training.seed,
    )
    with bar(total=len(variants), desc="baselines", unit="fit") as shown:
        found = []
        for made in side_by_side(fit, variants, jobs=usual_jobs(device) if jobs is None else jobs, device=device):
            found.append(made)
            shown.update()
    fitted = in_order(found)
    answers = {variant: answer.averaged for variant, answer in zip(variants, fitted, strict=True)}
    return answers | predict_without_pixels(train, test, head=settings.model.head, num_classes=num_classes)
