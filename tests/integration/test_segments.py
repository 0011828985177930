"""`vidrnn segments` and `Recogniser.segments`: what happens from when to when, for files of any length."""

import csv
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import vidrnn
from tests.integration.live_world import live_clip, live_model_file
from tests.integration.world import call
from tests.media import pictures, write_clip
from vidrnn.errors import ConfigError, VideoError
from vidrnn.inference import segments

CLIPS = {"head": "label", "training": {"steps": 4}, "bidirectional": True}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return live_clip(tmp_path_factory.mktemp("long") / "clip.mp4")


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"bidirectional": True, "cell": "mingru"},
        {"head": "step_multilabel"},
        {"head": "step_regression"},
        {"features": {"streams": ["rgb", "flow"], "mirrored": True}, "members": 2},
    ],
    ids=["one direction", "both directions", "overlapping", "numbers", "streams and views"],
)
def test_without_options_the_segments_are_the_answers_of_classify(
    tmp_path: Path, clip: Path, kind: dict[str, Any]
) -> None:
    """For a file that is not longer than a block: the same spans and labels, scores and numbers within 1e-4."""
    recogniser = vidrnn.load(live_model_file(tmp_path, **kind))
    background = None if kind.get("head") == "step_multilabel" else "background"  # a class as any other there
    events = [row for row in recogniser.predict(clip).segments if background is None or row.get("label") != background]
    expected = sorted(events, key=lambda row: (row["start"], row["end"]))
    found = list(recogniser.segments(clip))
    assert len(expected) > 2
    assert [set(row) for row in found] == [set(row) for row in expected]
    for here, there in zip(found, expected, strict=True):
        assert here.get("label") == there.get("label")
        names = [name for name in here if name != "label"]
        np.testing.assert_allclose([here[name] for name in names], [there[name] for name in names], atol=1e-4)


def test_parts_of_any_size_give_the_same_segments(tmp_path: Path, clip: Path) -> None:
    """However many frames come at once from the network, on which the parts on disk depend."""
    path = live_model_file(tmp_path, bidirectional=True, inputs=["centred"])
    first, *others = [list(vidrnn.load(path, batch_size=size).segments(clip)) for size in (1, 3, 64)]
    assert first
    for other in others:
        assert [(row["start"], row["end"], row["label"]) for row in other] == [
            (row["start"], row["end"], row["label"]) for row in first
        ]


def test_a_clip_model_is_asked_about_windows(tmp_path: Path, clip: Path) -> None:
    """A window as long as the file says what `classify` says, shorter ones something else."""
    recogniser = vidrnn.load(live_model_file(tmp_path, **CLIPS))
    prediction = recogniser.predict(clip)
    whole = list(recogniser.segments(clip, window_s=60))
    (row,) = whole
    assert (row["label"], row["start"]) == (prediction.label, 0.0)
    assert row["score"] == pytest.approx(prediction.score, abs=1e-5)
    assert row["end"] == pytest.approx(2.4)
    (short,) = recogniser.segments(clip, window_s=0.4, hop_s=0.1)
    assert abs(short["score"] - prediction.score) > 1e-4
    sure = vidrnn.load(tmp_path / "model.safetensors", unknown_below=1.0)
    assert list(sure.segments(clip, window_s=0.4)) == []


@pytest.mark.parametrize(
    "features", [{"sampling": "uniform", "count": 6}, {"max_frames": 6}, {"sampling": "every", "max_frames": 6}]
)
def test_frames_that_are_spread_over_a_clip_are_spread_over_each_window(
    tmp_path: Path, features: dict[str, Any]
) -> None:
    """A file of two clips has twice the frames of a clip, which `stream` shows a model too; one clip is itself."""
    clips = vidrnn.load(live_model_file(tmp_path, **CLIPS, features=features))
    file = live_clip(tmp_path / "long.mp4", count=120)
    seen: list[int] = []
    find = segments.window_scores

    def watched(*given: Any, **named: Any) -> Any:
        seen.append(len(given[2]["rgb", False].timestamps_s))
        return find(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "window_scores", watched)
        list(clips.segments(file, window_s=2.4))
        one = live_clip(tmp_path / "one.mp4")
        found = list(clips.segments(one, window_s=2.4))
    assert seen == [12, 6]
    prediction = clips.predict(one)
    assert [row["label"] for row in found] == [prediction.label]
    assert found[0]["score"] == pytest.approx(prediction.score, abs=1e-5)


def test_a_step_model_that_chooses_steps_answers_in_windows(tmp_path: Path, clip: Path) -> None:
    recogniser = vidrnn.load(live_model_file(tmp_path, bidirectional=True, training={"steps": 6}))
    expected = recogniser.predict(clip).segments
    found = list(recogniser.segments(clip, window_s=60))
    assert [(row["start"], row["label"]) for row in found] == [(row["start"], row["label"]) for row in expected]


def test_the_verb_writes_rows_and_names_what_failed(tmp_path: Path, clip: Path, capsys) -> None:
    """Good files beside bad ones: one line each on stderr, exit code 3, and a torn last row is written anew."""
    model, folder, output = live_model_file(tmp_path / "run"), tmp_path / "videos", tmp_path / "segments.csv"
    folder.mkdir()
    (folder / "good.mp4").write_bytes(clip.read_bytes())
    write_clip(folder / "short.mp4", pictures(1, width=64, height=48))
    (folder / "cut.mp4").write_bytes(clip.read_bytes()[:2000])
    (folder / "empty.mp4").touch()
    os.mkfifo(tmp_path / "endless.mp4")
    words = ["segments", str(folder), str(tmp_path / "endless.mp4"), "--model", str(model), "--output", str(output)]
    outcome = call(capsys, *words)
    assert outcome.code == 3
    assert "looked at 2, reused 0, failed 3" in outcome.out
    assert outcome.err.count("failed: ") == 3
    assert "not a regular file" in outcome.err
    rows = rows_of(output)
    assert list(rows[0]) == ["path", "status", "start", "end", "label", "score", "error"]
    good = [row for row in rows if row["path"].endswith("good.mp4")]
    assert [(row["start"], row["label"]) for row in good] == [
        (f"{row['start']:.9g}", row["label"]) for row in vidrnn.load(model).segments(clip)
    ]
    assert {row["status"] for row in rows if row["error"]} == {"failed"}
    (folder / "cut.mp4").unlink()
    (folder / "empty.mp4").unlink()
    assert call(capsys, *words[:2], *words[3:]).code == 0
    output.write_bytes(output.read_bytes()[:-5])
    outcome = call(capsys, *words[:2], *words[3:], "--resume")
    assert (outcome.code, outcome.out.split("; ")[0]) == (0, "looked at 1, reused 1, failed 0")
    again = rows_of(output)
    assert [row for row in again if row["path"].endswith("good.mp4")] == good
    outcome = call(capsys, *words[:2], *words[3:], "--resume", "--min-length", "0.5")
    assert outcome.code == 2
    assert "min_length_s 0.0, now 0.5" in outcome.err
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "endless.mp4", "run", "segments.csv", "segments.csv.origin.json", "videos",
    ]  # fmt: skip


def test_events_are_joined_and_left_out_as_asked(tmp_path: Path, clip: Path, capsys) -> None:
    model, output = live_model_file(tmp_path), tmp_path / "segments.jsonl"
    words = ["segments", str(clip), "--model", str(model), "--output", str(output)]
    assert call(capsys, *words).code == 0
    plain = json.loads(output.read_text())
    assert list(plain) == ["path", "status", "segments", "error"]
    lengths = [row["end"] - row["start"] for row in plain["segments"]]
    limit = sorted(lengths)[len(lengths) // 2] + 1e-6
    assert call(capsys, *words, "--min-length", str(limit)).code == 0
    longer = json.loads(output.read_text())["segments"]
    assert longer == [row for row in plain["segments"] if row["end"] - row["start"] > limit]
    assert call(capsys, *words, "--min-gap", "100", "--hysteresis", "0.05").code == 0
    joined = json.loads(output.read_text())["segments"]
    labels = [row["label"] for row in joined]
    assert len(labels) == len(set(labels)) < len(plain["segments"])


def test_cached_features_are_used_again(tmp_path: Path, clip: Path, monkeypatch, capsys) -> None:
    """From feature files and from a pack; not when the file, or the way to read it, has changed since."""
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "a.mp4").write_bytes(clip.read_bytes())
    (videos / "annotations.csv").write_text("path,start,end,label\na.mp4,0,1,sit\n")
    model, output = live_model_file(tmp_path / "run"), tmp_path / "segments.csv"
    config = tmp_path / "config.yaml"
    tree = {
        "data": {"root": str(videos), "format": "csv", "annotations": "annotations.csv"},
        "features": {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32},
        "extraction": {"store": str(tmp_path / "store"), "device": "cpu", "workers": 1},
    }
    config.write_text(yaml.safe_dump(tree))
    words = ["segments", str(videos / "a.mp4"), "--model", str(model), "--output", str(output)]
    assert call(capsys, *words).code == 0
    computed = rows_of(output)
    assert call(capsys, "extract", "--config", str(config)).code == 0
    opened: list[object] = []
    monkeypatch.setattr(
        "vidrnn.inference.seen.embed_passes", lambda *jobs, **_: opened.append(jobs) or (each for each in ())
    )
    for _ in range(2):
        assert call(capsys, *words, "--config", str(config)).code == 0
        assert rows_of(output) == computed
        assert call(capsys, "store", "pack", str(tmp_path / "store")).code == 0
    assert opened == []
    monkeypatch.setattr("vidrnn.inference.stored_videos.may_differ", lambda *_: True)
    assert call(capsys, *words, "--config", str(config)).code == 0
    assert len(opened) == 1
    monkeypatch.undo()
    write_clip(videos / "a.mp4", pictures(20, width=64, height=48))
    assert call(capsys, *words, "--config", str(config)).code == 0
    assert rows_of(output) != computed


def test_what_is_not_shown_does_not_happen(tmp_path: Path) -> None:
    """Nothing lasts through a minute without frames; the same file without the gap goes on."""
    images = pictures(40, width=64, height=48)
    without = write_clip(tmp_path / "without.mp4", images)
    gap = write_clip(tmp_path / "gap.mp4", images, pts=[number + 1500 * (number >= 20) for number in range(40)])
    recogniser = vidrnn.load(live_model_file(tmp_path, head="step_multilabel"))
    longest = max(row["end"] - row["start"] for row in recogniser.segments(gap))
    assert longest < 1.0
    assert max(row["end"] for row in recogniser.segments(gap)) > 60
    assert max(row["end"] for row in recogniser.segments(without)) < 2


def test_frames_whose_size_changes_are_each_fitted(tmp_path: Path) -> None:
    small, large = (
        write_clip(tmp_path / f"{width}.ts", pictures(20, width=width, height=width * 3 // 4), g="10")
        for width in (64, 96)
    )
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    recogniser = vidrnn.load(live_model_file(tmp_path))
    prediction = recogniser.predict(joined)
    assert prediction.status == "ok", prediction.error
    found = list(recogniser.segments(joined))
    assert [(row["start"], row["label"]) for row in found] == [
        (row["start"], row["label"]) for row in prediction.segments
    ]


@pytest.mark.parametrize(
    ("model", "options", "reason"),
    [
        ({"head": "transcript"}, {}, "says in what order things happen and not when"),
        ({"head": "step_regression"}, {"min_gap_s": 1}, "no class that starts and ends"),
        ({"head": "step_regression"}, {"hysteresis": 2}, "a hysteresis of 2"),
        ({}, {"hop_s": 1}, "the distance of windows, and there are none"),
        (CLIPS, {"window_s": 0}, "a window of 0 s: give a number of seconds above 0"),
        (CLIPS, {"hop_s": 5}, "a hop of 5 s with a window of 4.0 s"),
        ({"bidirectional": True, "training": {"steps": 8}}, {}, "chooses 8 steps of a whole video.*or give a window"),
        ({"cell": "transformer"}, {}, "cannot go on from step to step.*model.attention_window.*or give a window"),
    ],
)
def test_a_model_that_cannot_say_when_is_refused(
    tmp_path: Path, clip: Path, model: dict[str, Any], options: dict[str, float], reason: str
) -> None:
    """By the call, before anything is opened."""
    recogniser = vidrnn.load(live_model_file(tmp_path, **model))
    with pytest.raises(ConfigError, match=reason):
        recogniser.segments(clip, **options)


def test_a_file_that_cannot_be_read_is_an_error_in_python(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    recogniser = vidrnn.load(live_model_file(tmp_path))
    with pytest.raises(VideoError, match=r"empty\.mp4: "):
        list(recogniser.segments(tmp_path / "empty.mp4"))
