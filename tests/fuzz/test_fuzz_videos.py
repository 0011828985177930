"""The part of the fuzz test that always runs: `make fuzz` takes more seeds."""

import pytest

from tests.fuzz.mutations import CLIPS, mutate, write_clips
from tests.fuzz.supervise import Child, fuzz
from tests.media import pictures, write_clip

SEEDS = range(600)


def test_damaged_files_end_with_frames_or_a_named_failure(tmp_path):
    tally = fuzz(tmp_path, SEEDS)
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.files == len(SEEDS)
    assert tally.frames > 100, "most files are refused: the damage is too coarse to reach the decoder"
    assert tally.failures.total() > 50, "most files are read: the damage does no harm"


def test_a_seed_always_makes_the_same_file(tmp_path):
    clips = write_clips(tmp_path)
    assert [clip.name for clip in clips] == list(CLIPS)
    for seed in (0, 7, 123456):
        assert mutate(clips, seed) == mutate(clips, seed)
    assert len({mutate(clips, seed)[2] for seed in range(100)}) > 95


@pytest.mark.parametrize("name", CLIPS)
def test_the_undamaged_clips_are_read(tmp_path, name):
    codec, options = CLIPS[name]
    clip = write_clip(tmp_path / name, pictures(16, width=64, height=48), codec=codec, **options)
    child = Child()
    outcome = child.examine(clip, clip, 0)
    child.stop()
    assert outcome["frames"] == 16


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("import os; input(); os.kill(os.getpid(), 11)", "the process ended with -11"),
        ("import time; input(); time.sleep(60)", "no answer within 1 s"),
    ],
)
def test_the_supervisor_names_a_crash_and_a_hang_and_goes_on(tmp_path, program, fault):
    """A program that fails once, then a healthy worker in its place."""
    healthy = write_clip(tmp_path / "a.mp4", pictures(3))
    child, honest = Child(limit_s=1, program=("-c", program)), Child()
    assert child.examine(healthy, healthy, 0) == {"fault": fault}
    child.limit_s, child.program = honest.limit_s, honest.program
    assert child.examine(healthy, healthy, 0)["frames"] == 3
    child.stop()
