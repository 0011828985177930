"""Why a model answers as it does, for new videos and for the videos of a split."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from vidrnn.api.decoders import AnyPath, warm_up
from vidrnn.api.videos import load
from vidrnn.errors import VidrnnError

if TYPE_CHECKING:
    from vidrnn.experiments.explained_split import ExplainableSplit
    from vidrnn.explanation.nearest import TrainingVideos
    from vidrnn.inference.recogniser import Recogniser
    from vidrnn.models.model_file import TrainedModel
    from vidrnn.reporting.explaining import Explained
    from vidrnn.settings.run import RunSettings


def explain(
    source: "RunSettings | AnyPath | Iterable[AnyPath]",
    model: "Recogniser | AnyPath",
    *,
    output: AnyPath,
    split: str = "test",
    label: str | None = None,
    method: str = "occlusion",
    clips: int = 60,
    videos: AnyPath | None = None,
    device: str = "auto",
    texts: AnyPath | None = None,
    arrays: AnyPath | None = None,
    training: "RunSettings | None" = None,
    on_video: Callable[[], object] = lambda: None,
    on_note: Callable[[str], object] = lambda _note: None,
) -> "Explained":
    """Say which moments of videos count for the answers of a model, as ``vidrnn explain`` does, and check that.

    Args:
        source: new videos: files and folders, or one of them; or a configuration, whose store holds their features.
        model: from `load`, or a model.safetensors; with a configuration the latter.
        output: folder for the files and the page.
        split: of a configuration: ``train``, ``val`` or ``test``.
        label: the class in question; None: the likeliest of each video.
        method: ``occlusion``, ``attention`` or ``gradients``.
        clips: most videos that the page shows.
        videos: folder that the paths of the videos begin in, when they have moved.
        device: where a model that is given as a file runs.
        texts: of new videos, see `classify`.
        arrays: of new videos, see `classify`.
        training: of the model, whose training videos that are most alike are named; None: for a configuration as
            ``source`` that one, else none are named.
        on_video: called after each video.
        on_note: called with what deserves a second look.

    Raises:
        ConfigError: the model answers at every step, does not know the class, or has nothing that the method needs.
        AnnotationError, StoreError, MissingPathError, ModelFileError: something is not there or not fit. OSError: the
            output cannot be written.
    """
    warm_up()
    from vidrnn.explanation.importance import as_method
    from vidrnn.inference.given_videos import find_all
    from vidrnn.reporting.explaining import ExplainOptions, explain_new, explain_split
    from vidrnn.reporting.options import ReportOptions
    from vidrnn.settings.run import RunSettings

    page = ReportOptions(videos=None if videos is None else Path(videos), clips=clips)
    options = ExplainOptions(label, as_method(method), page, on_video)
    if isinstance(source, RunSettings):
        asked = _split_of(source, model, split=split, device=device)
        asked = replace(asked, training=_training_of(asked.model, training or source, on_note=on_note))
        return explain_split(asked, name=split, root=source.data.root, output=Path(output), options=options)
    recogniser = load(model, device=device) if isinstance(model, str | PathLike) else model
    media = recogniser.model.settings.data.media
    found, beside = find_all(source, media=media, texts=texts, arrays=arrays)
    return explain_new(
        recogniser,
        found,
        output=Path(output),
        options=options,
        side_files=beside,
        training=_training_of(recogniser.model, training, on_note=on_note),
        training_root=None if training is None else training.data.root,
    )


def _training_of(
    model: "TrainedModel", settings: "RunSettings | None", *, on_note: Callable[[str], object]
) -> "TrainingVideos | None":
    """The videos that a model learned from; where they are not there, a note says why."""
    from vidrnn.experiments.explained_split import load_training

    if settings is None:
        return None
    try:
        return load_training(model, settings, device=next(model.classifier.parameters()).device)
    except (VidrnnError, OSError) as error:
        on_note(f"no training videos are named: {error}")
        return None


def _split_of(settings: "RunSettings", model: "Recogniser | AnyPath", *, split: str, device: str) -> "ExplainableSplit":
    """The stored videos of a split, and the model that is asked about them."""
    from vidrnn.annotations.records import as_split
    from vidrnn.device import choose_device
    from vidrnn.experiments.explained_split import load_split
    from vidrnn.models.model_file import load_model

    chosen = choose_device(device)
    trained = load_model(Path(model), device=chosen) if isinstance(model, str | PathLike) else model.model
    return load_split(trained, settings, split=as_split(split), device=chosen)
