"""The demo clips: labelled, reproducible, and in pairs that only the order of the frames tells apart."""

import numpy as np
import pytest

from tests.media import plain_decode
from vidrnn.synthetic.clips import ACTIONS, SyntheticClip, render_clip, render_clips
from vidrnn.video.probe import probe

SIZE = {"width": 64, "height": 48, "fps": 12}
TWINS = list(zip(ACTIONS[::2], ACTIONS[1::2], strict=True))


@pytest.mark.parametrize(("action", "twin"), TWINS)
def test_twins_are_exact_reversals_also_after_decoding(tmp_path, action, twin):
    for name in (action, twin):
        render_clip(tmp_path / f"{name}.mp4", action=name, group_seed=3, clip_seed=1, **SIZE)
    forward, backward = plain_decode(tmp_path / f"{action}.mp4"), plain_decode(tmp_path / f"{twin}.mp4")
    assert len(forward) == len(backward)
    for one, other in zip(forward, reversed(backward), strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((one != other).any() for one, other in zip(forward, backward, strict=True))


def test_every_action_has_a_twin():
    assert len(ACTIONS) == len(set(ACTIONS)) == 2 * len(TWINS) == 10


def test_the_same_seeds_give_the_same_bytes_and_others_do_not(tmp_path):
    seeds = {"a": (3, 1), "again": (3, 1), "other_take": (3, 2), "other_group": (4, 1)}
    for name, (group, take) in seeds.items():
        render_clip(tmp_path / name / "x.mp4", action="sit_down", group_seed=group, clip_seed=take, **SIZE)
    content = {name: (tmp_path / name / "x.mp4").read_bytes() for name in seeds}
    assert content["a"] == content["again"]
    assert len(set(content.values())) == 3


def test_a_clip_has_the_size_rate_and_length_that_the_docstring_says(tmp_path):
    render_clip(tmp_path / "x.mp4", action="raise_arms", group_seed=0, clip_seed=0, **SIZE)
    video = probe(tmp_path / "x.mp4")
    assert (video.width, video.height, video.rate_from_header) == (64, 48, 12.0)
    assert 1.6 <= video.duration_s <= 2.5
    assert video.num_frames % 2 == 1


def test_an_unknown_action_names_the_known_ones(tmp_path):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        render_clip(tmp_path / "x.mp4", action="fly", group_seed=0, clip_seed=0)
    assert str(caught.value) == f"unknown action 'fly'; allowed are: {', '.join(ACTIONS)}"
    assert not (tmp_path / "x.mp4").exists()


@pytest.fixture
def unrendered(monkeypatch) -> list[dict]:
    """Which clips would be rendered; drawing them takes seconds and is tested above."""
    calls: list[dict] = []
    monkeypatch.setattr(
        "vidrnn.synthetic.clips.render_clip", lambda path, **seeds: calls.append({"path": path, **seeds})
    )
    return calls


def test_groups_do_not_cross_splits_and_every_split_has_every_class(tmp_path, unrendered):
    counted: list[int] = []
    clips = render_clips(
        tmp_path,
        groups=5,
        clips_per_group=2,
        splits={"train": 3, "val": 1, "test": 1},
        on_clip=lambda: counted.append(1),
    )
    assert len(clips) == len(unrendered) == len(counted) == 5 * 10 * 2
    assert clips[0] == SyntheticClip("train/sit_down/g00_0.mp4", "sit_down", "g00", "train")
    assert [call["path"] for call in unrendered] == [tmp_path / clip.path for clip in clips]
    splits_of = {group: {clip.split for clip in clips if clip.group == group} for group in {c.group for c in clips}}
    assert splits_of == {"g00": {"train"}, "g01": {"train"}, "g02": {"train"}, "g03": {"val"}, "g04": {"test"}}
    for split in ("train", "val", "test"):
        assert {clip.label for clip in clips if clip.split == split} == set(ACTIONS)


def test_both_classes_of_a_pair_get_the_same_seeds_and_every_group_its_own(tmp_path, unrendered):
    render_clips(tmp_path, groups=3, clips_per_group=2, seed=7)
    seeds = {action: [] for action in ACTIONS}
    for call in unrendered:
        seeds[call["action"]].append((call["group_seed"], call["clip_seed"]))
    assert len({tuple(each) for each in seeds.values()}) == 1
    assert len(set(seeds["sit_down"])) == 6


def test_without_splits_the_layout_is_a_folder_per_class(tmp_path, unrendered):
    clips = render_clips(tmp_path, groups=1, clips_per_group=1)
    assert [clip.path for clip in clips] == [f"{action}/g00_0.mp4" for action in ACTIONS]
    assert {clip.split for clip in clips} == {""}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": 0, "clips_per_group": 1}, "groups and clips_per_group must be positive: 0, 1"),
        ({"groups": 1, "clips_per_group": 0}, "groups and clips_per_group must be positive: 1, 0"),
        (
            {"groups": 3, "clips_per_group": 1, "splits": {"train": 1, "test": 1}},
            "splits {'train': 1, 'test': 1} must be counts that sum to groups=3",
        ),
        (
            {"groups": 1, "clips_per_group": 1, "splits": {"train": 2, "test": -1}},
            "splits {'train': 2, 'test': -1} must be counts that sum to groups=1",
        ),
    ],
)
def test_impossible_counts_are_refused(tmp_path, unrendered, arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        render_clips(tmp_path, **arguments)
    assert str(caught.value) == message
    assert unrendered == []
