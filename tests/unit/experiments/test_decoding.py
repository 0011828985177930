"""``inference.decoding``: what the training segments tell goes into the model file, and every verb reads by it."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.unit.experiments.test_head_runs import make_world, read_rows
from tests.unit.models.test_model_file import rewrite
from tests.worlds import CPU
from vidrnn.annotations import read_annotations
from vidrnn.annotations.splits import make_folds, split_annotations
from vidrnn.errors import ConfigError, ModelFileError
from vidrnn.evaluation.metrics import Output
from vidrnn.evaluation.segmentation import ReadSteps
from vidrnn.experiments.crossval import run_crossval
from vidrnn.experiments.evaluate import evaluate
from vidrnn.experiments.stored_sets import find_folders, load_set
from vidrnn.experiments.train import train
from vidrnn.experiments.variants import fit_and_predict
from vidrnn.models.model_file import load_model
from vidrnn.models.segment_decoder import SegmentDecoder
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.targets import label_map_of
from vidrnn.settings.evaluation import InferenceSettings
from vidrnn.settings.run import RunSettings
from vidrnn.training.predict import predict, predict_options

WEIGHT = 0.3


def decoded(settings: RunSettings, decoding: str = "viterbi") -> RunSettings:
    inference = InferenceSettings(decoding=decoding, decoding_weight=WEIGHT)  # type: ignore[arg-type]
    return settings.model_copy(update={"inference": inference})


def sequences_of(settings: RunSettings, split: str | None = None) -> SequenceSet:
    annotations = read_annotations(settings.data)
    folders = find_folders(settings.features, store=settings.extraction.store)
    chosen = split_annotations(annotations, settings.data)[split] if split else annotations  # type: ignore[index]
    label_map = label_map_of(annotations, "step_labels")
    return load_set(chosen, settings=settings, folders=folders, label_map=label_map)


def decoder_of(sequences: SequenceSet) -> SegmentDecoder:
    labels = [np.asarray(row, dtype=np.int64) for row in sequences.targets.per_video(sequences.totals)]
    return SegmentDecoder.from_labels(labels, num_classes=3)


def said(outputs: Output, read: ReadSteps) -> list[str]:
    return [("background", "jump", "run")[label] for label in read(outputs).tolist()]


def test_a_model_reads_by_the_segments_of_its_training_videos(tmp_path: Path) -> None:
    """In evaluation as the file says, or as the configuration says; both are in predictions.csv."""
    settings, file = decoded(make_world(tmp_path, "step_labels")), tmp_path / "run" / "model.safetensors"
    train(settings, output=tmp_path / "run")
    model = load_model(file, device=CPU)
    assert model.decoder == decoder_of(sequences_of(settings, "train"))
    test = sequences_of(settings, "test")
    outputs = [output.numpy() for output in predict(model.classifier, test, predict_options(settings))]
    read = partial(model.decoder.decode, weight=WEIGHT)
    likeliest = partial(np.argmax, axis=1)
    found = {}
    for decoding, expected in (("viterbi", read), ("argmax", likeliest)):
        evaluate(file, decoded(settings, decoding), split="test", output=tmp_path / decoding)
        rows = read_rows(tmp_path / decoding / "predictions.csv")
        found[decoding] = [row["predicted"] for row in rows]
        assert found[decoding] == [name for output in outputs for name in said(output, expected)]
    assert found["viterbi"] != found["argmax"]


def test_a_fold_is_read_by_the_segments_of_its_own_training_videos(tmp_path: Path) -> None:
    """Never by those that are tested."""
    settings = decoded(make_world(tmp_path, "step_labels"))
    settings = settings.model_copy(update={"evaluation": settings.evaluation.model_copy(update={"baselines": False})})
    run_crossval(settings, output=tmp_path / "cv", jobs=1)
    rows = read_rows(tmp_path / "cv" / "predictions.csv")
    sequences = sequences_of(settings)
    fold = make_folds(sequences.annotations, settings.evaluation, root=settings.data.root)[1]
    learned, tested = sequences.subset(fold.train), sequences.subset(fold.test)
    assert decoder_of(learned) != decoder_of(sequences)
    answers = fit_and_predict(
        "model", learned, tested, num_classes=3, settings=settings, seed=settings.training.seed
    ).averaged
    for annotation, output in zip(tested.annotations, answers, strict=True):
        expected = said(output, partial(decoder_of(learned).decode, weight=WEIGHT))
        assert [row["predicted"] for row in rows if row["path"] == annotation.path] == expected


def test_a_file_without_segments_is_read_by_the_likeliest_class_alone(tmp_path: Path) -> None:
    """As files of earlier versions are; one that says otherwise of itself is refused."""
    settings, file = make_world(tmp_path, "step_labels"), tmp_path / "run" / "model.safetensors"
    train(settings, output=tmp_path / "run")
    rewrite(file, lambda header: header.pop("segments"))
    evaluate(file, settings, split="test", output=tmp_path / "test")
    with pytest.raises(ConfigError, match="is older and does not know the segments"):
        evaluate(file, decoded(settings), split="test", output=tmp_path / "test")
    rewrite(file, lambda header: header["config"]["inference"].update(decoding="viterbi"))
    with pytest.raises(ModelFileError, match="needs segments"):
        load_model(file, device=CPU)


def test_a_model_that_must_not_look_ahead_is_not_decoded(tmp_path: Path) -> None:
    """Nor is a head without one class per step; the configuration says so, and so does evaluation."""
    settings, file = make_world(tmp_path, "step_labels"), tmp_path / "run" / "model.safetensors"
    tree = settings.model_dump(mode="json")
    viterbi = {"inference": {"decoding": "viterbi"}}
    causal = {"model": tree["model"] | {"bidirectional": False}, "training": tree["training"] | {"steps": None}}
    with pytest.raises(ValueError, match="looks ahead"):
        RunSettings.model_validate_json(_json(tree | causal | viterbi))
    with pytest.raises(ValueError, match="one class per step, which head 'label' has not"):
        RunSettings.model_validate_json(_json(tree | viterbi | {"model": tree["model"] | {"head": "label"}}))
    train(RunSettings.model_validate_json(_json(tree | causal)), output=tmp_path / "run")
    with pytest.raises(ConfigError, match="looks ahead"):
        evaluate(file, decoded(settings), split="test", output=tmp_path / "test")


def _json(tree: dict[str, object]) -> str:
    return json.dumps(tree)
