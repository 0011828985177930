"""Segments that no step lies in are counted and named, and refused where a class or most segments are lost."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.integration.world import Outcome, call
from tests.media import pictures, write_clip
from tests.worlds import CPU, fill_store, tiny_model, tiny_training
from vidrnn.annotations import Annotation, Segment
from vidrnn.errors import AnnotationError
from vidrnn.sequences.loading import load_sequences
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.targets import label_map_of

NUMBER = 6


def loaded(folder: Path, *spans: tuple[float, float, str]) -> SequenceSet:
    """Six videos of 2 s with steps at 0, 0.1 ... 1.9 s, all with the same segments."""
    rng = np.random.default_rng(0)
    store = fill_store(folder, {f"{number}.mp4": rng.normal(size=(20, 3)) for number in range(NUMBER)}, dim=3)
    segments = tuple(Segment(*span) for span in spans)
    annotations = [Annotation(f"{number}.mp4", "", None, str(number), segments=segments) for number in range(NUMBER)]
    labels = label_map_of(annotations, "step_labels")
    return load_sequences(annotations, store, labels, device=CPU, head="step_labels")


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        (
            [(2, 12, "fall"), (13, 15, "go")],
            (
                "most segments (12 of 12) lie outside their videos, the first from 2 to 12 s of 'fall' in '0.mp4', "
                "which ends at 2 s; start and end are seconds, and these look like frames: divide them by the frame "
                "rate"
            ),
        ),
        (
            [(200, 1200, "fall"), (1300, 1500, "go")],
            (
                "most segments (12 of 12) lie outside their videos, the first from 200 to 1200 s of 'fall' in '0.mp4', "
                "which ends at 2 s; start and end are seconds, and these look like milliseconds: divide them by 1000"
            ),
        ),
        (
            [(2, 12, "fall"), (13, 15, "go"), (19, 22, "go")],
            (
                "most segments (18 of 18) lie outside their videos, the first from 2 to 12 s of 'fall' in '0.mp4', "
                "which ends at 2 s; start and end are seconds, and these look like frames: divide them by the frame "
                "rate"
            ),
        ),
        (
            [(200, 1200, "fall"), (1300, 1500, "go"), (1900, 2400, "go")],
            (
                "most segments (18 of 18) lie outside their videos, the first from 200 to 1200 s of 'fall' in '0.mp4', "
                "which ends at 2 s; start and end are seconds, and these look like milliseconds: divide them by 1000"
            ),
        ),
        (
            [(200000, 200001, "fall")],
            (
                "most segments (6 of 6) lie outside their videos, the first from 200000 to 200001 s of 'fall' "
                "in '0.mp4', which ends at 2 s; start and end are seconds; correct them, or the paths that they belong "
                "to"
            ),
        ),
        (
            [(0.51, 0.55, "hit"), (1, 2, "go")],
            (
                "classes ['hit'] have no step: none of their segments holds one, as that from 0.51 to 0.55 s of "
                "'hit' in '0.mp4'; raise features.rate, correct the segments, or drop these classes"
            ),
        ),
        (
            [(0.51, 0.55, "hit"), (0.61, 0.65, "hit"), (1, 2, "go")],
            (
                "most segments (12 of 18) hold no step, the first from 0.51 to 0.55 s of 'hit' in '0.mp4'; they are "
                "shorter than the distance of the steps: raise features.rate, or correct the segments"
            ),
        ),
    ],
)
def test_what_cannot_be_learned_is_refused(tmp_path, spans, message):
    with pytest.raises(AnnotationError) as caught:
        loaded(tmp_path, *spans)
    assert str(caught.value) == message


def test_a_few_segments_without_a_step_are_counted(tmp_path):
    sequences = loaded(tmp_path, (0.05, 0.3, "hit"), (0.51, 0.55, "hit"), (1, 2, "go"))
    assert sequences.notes == (
        "6 of 18 segments hold no step and teach nothing (hit 6), the first from 0.51 to 0.55 s of 'hit' in '0.mp4'",
    )


def test_segments_that_all_have_a_step_need_no_note(tmp_path):
    """Nor do those that end a little after the video; far beyond its end another note names them."""
    assert loaded(tmp_path, (0.5, 2.1, "go")).notes == ()
    (note,) = loaded(tmp_path, (0.5, 5, "go")).notes
    assert note.endswith("its segments go to 5 s, and the video ends at 2 s; correct the segments")


def world(folder: Path, rows: list[tuple[float, float, str]]) -> Path:
    lines = ["path,start,end,label,split,group"]
    for split, number in (("train", 4), ("val", 2)):
        for video in range(number):
            path = f"{split}{video}.mp4"
            write_clip(folder / "clips" / path, pictures(20), time_base=Fraction(1, 10))
            lines += [f"{path},{start},{end},{label},{split},{path}" for start, end, label in rows]
    (folder / "clips" / "list.csv").write_text("\n".join(lines))
    tree = {
        "data": {
            "root": str(folder / "clips"),
            "format": "csv",
            "annotations": "list.csv",
            "accept": ["near_duplicates", "identical_files"],
        },
        "features": {"streams": ["rows"], "rows": {"image_size": 32}},
        "extraction": {"store": str(folder / "store"), "workers": 1, "device": "cpu"},
        "model": tiny_model(head="step_labels").model_dump(mode="json"),
        "training": tiny_training(epochs=1).model_dump(mode="json"),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))
    return folder / "config.yaml"


@pytest.fixture
def verb(capsys, tmp_path):
    def run(name: str, rows: list[tuple[float, float, str]]) -> Outcome:
        return call(capsys, name, "--config", world(tmp_path, rows))

    return run


def test_check_counts_them_before_anything_is_extracted(verb):
    outcome = verb("check", [(0.51, 0.55, "hit"), (0.6, 0.9, "hit"), (1, 2, "go")])
    where = "the first from 0.51 to 0.55 s of 'hit' in 'train0.mp4'"
    assert f"warning: 6 of 18 segments hold no step and teach nothing (hit 6), {where}" in outcome.out


def test_check_refuses_segments_in_frames(verb):
    outcome = verb("check", [(5, 15, "go"), (16, 19, "hit")])
    assert outcome.code == 2
    assert "these look like frames: divide them by the frame rate" in outcome.out


def test_check_names_what_training_would_refuse_also_without_decoding(capsys, tmp_path):
    """In the split that lacks it, once features are stored; before that nothing is known of the steps."""
    rows = [(0.51, 0.55, "hit"), (0.2, 0.4, "go"), (0.6, 0.9, "go"), (1, 2, "go")]
    config = world(tmp_path, rows)
    tree = yaml.safe_load(config.read_text())
    tree["features"] = {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32}
    config.write_text(yaml.safe_dump(tree))
    listed = tmp_path / "clips" / "list.csv"
    listed.write_text(listed.read_text().replace("val0.mp4,0.51,0.55", "val0.mp4,0.45,0.55"))
    before = call(capsys, "check", "--config", config, "--quick")
    assert before.code == 0
    refusal = "classes ['hit'] have no step: none of their segments holds one, as that from 0.51 to 0.55 s of 'hit'"
    assert f"refused: train: {refusal}" in call(capsys, "check", "--config", config).out
    assert call(capsys, "extract", "--config", config).code == 0
    quick = call(capsys, "check", "--config", config, "--quick")
    assert quick.code == 2
    assert f"refused: train: {refusal}" in quick.out
    assert "refused: val:" not in quick.out
    trained = call(capsys, "train", "--config", config, "--output", tmp_path / "run")
    assert trained.code == 2
    assert refusal in trained.err
