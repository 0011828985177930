"""The sound of a file: one channel at 16 kHz with the times of the file, whatever form it has there."""

import pickle
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media import cut, pictures, write_audio, write_clip, write_pictures
from tests.sounds import click, tone, write_sound
from vidrnn.errors import AbsentStreamError, VideoError
from vidrnn.streams.audio import ReadSound
from vidrnn.streams.log_mel import SoundSteps
from vidrnn.video.audio import Sound, SoundBlock


def decode(path):
    sound = Sound(path, rate=16000)
    blocks = list(sound.blocks())
    return np.concatenate([block.samples for block in blocks]), blocks[0].start_s, sound.notes


def features_of(path):
    (video,) = ReadSound(64, 10.0)(path, lambda: None)
    return video


def loudest(video):
    """Time of the step with the most sound."""
    return float(video.timestamps_s[video.features[:, :64].astype(np.float32).mean(1).argmax()])


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_any_rate_and_layout_gives_the_same_samples(tmp_path, rate, layout):
    path = write_sound(tmp_path / "a.wav", tone(440, 0.5, rate=rate), rate=rate, layout=layout)
    samples, start_s, notes = decode(path)
    assert (samples.dtype, start_s, notes) == (np.float32, 0.0, ())
    assert abs(len(samples) - 8000) <= 1
    middle = slice(800, 7200)  # resampling knows nothing beyond the ends
    np.testing.assert_allclose(samples[middle], tone(440, 0.5, rate=16000)[middle], atol=2e-3)


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "pcm_f32le", "flac"])
def test_any_codec_keeps_a_click_in_its_step(tmp_path, codec):
    path = write_sound(tmp_path / "a.mkv", click(1.0, 2.0), codec=codec, images=50)
    video = features_of(path)
    assert loudest(video) == pytest.approx(1.0)
    assert video.features.shape == (len(video.timestamps_s), 128)
    assert video.metadata.num_frames == 0  # its pictures were not looked at


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov"])
def test_sound_that_starts_late_keeps_its_distance_from_the_pictures(tmp_path, name):
    video = features_of(write_sound(tmp_path / name, click(0.4, 1.0), codec="aac", images=50, from_s=0.8))
    assert loudest(video) == pytest.approx(1.2)
    assert 0.7 <= video.timestamps_s[0] <= 0.9


def test_the_sound_may_be_longer_than_the_pictures(tmp_path):
    video = features_of(write_sound(tmp_path / "a.mkv", tone(440, 3.0), images=10))
    assert video.timestamps_s[-1] == pytest.approx(3.0, abs=0.11)


def test_a_gap_in_the_track_is_no_silence(tmp_path):
    path = write_sound(tmp_path / "a.mkv", tone(440, 3.0), gaps=[(1.0, 2.0)], images=75)
    video = features_of(path)
    assert not [time for time in video.timestamps_s if 1.15 < time < 1.85]
    assert video.features[:, :64].max(1).min() > 0  # the tone is in every step
    assert video.notes == ("its sound has 1 gaps, or a clock that drifts; the times in the file count",)


@pytest.mark.parametrize("clock", [0.97, 1.03])
def test_a_clock_that_drifts_is_set_right(tmp_path, clock):
    video = features_of(write_sound(tmp_path / "a.mkv", click(8.0, 9.0), clock=clock, images=5))
    assert loudest(video) == pytest.approx(8.0 * clock, abs=0.11)  # 0.24 s off, were samples only counted
    assert "a clock that drifts" in video.notes[0]


class Frames(Sound):
    """Sound of frames that no muxer would write: (seconds, rate, layout) of a tenth of a second each."""

    def __init__(self, *frames):
        super().__init__(Path("a.mkv"), rate=16000)
        self.frames = frames

    def _frames(self):
        for time_s, rate, layout in self.frames:
            samples = np.full((av.AudioLayout(layout).nb_channels, rate // 10), 0.25, np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
            frame.sample_rate = rate
            yield frame, time_s


def test_sound_with_a_wrong_time_is_left_out():
    sound = Frames(*((time_s, 16000, "mono") for time_s in (5.0, 5.1, 0.0, 0.1, None, 5.3)))
    blocks = list(sound.blocks())
    assert [block.start_s for block in blocks] == pytest.approx([5.0, 5.1, 5.2, 5.3])
    assert [block.follows for block in blocks] == [False, True, True, True]
    assert sound.notes == ("2 pieces of sound with a wrong time are left out",)


@pytest.mark.parametrize("start_s", [0.0, 100.0])
def test_a_clock_that_is_set_anew_goes_on_where_it_was(start_s):
    """Back in any container, forward by more than 10 s in those that allow it."""
    times = [5.0, 5.1, *(start_s + 0.1 * number for number in range(40))]
    sound = Frames(*((time_s, 16000, "mono") for time_s in times))
    sound._longest_step_s = 10.0
    blocks = list(sound.blocks())
    assert [block.start_s for block in blocks] == pytest.approx([5 + 0.1 * number for number in range(42)])
    assert sound.notes == ("its clock is set anew 1 times (a step back, or of over 10 s); it goes on without a gap",)


def test_files_with_sound_that_were_joined_byte_by_byte_are_heard_whole(tmp_path):
    one = write_sound(tmp_path / "one.ts", click(1.0, 2.0), codec="mp2", images=50)
    (tmp_path / "two.ts").write_bytes(one.read_bytes() * 2)
    video = features_of(tmp_path / "two.ts")
    levels = video.features[:, :64].astype(np.float32).mean(1)
    loud = np.round(video.timestamps_s[np.argsort(levels)[-6:]], 1).tolist()
    assert {1.0, 3.0} <= set(loud)
    assert video.timestamps_s[-1] == pytest.approx(4.0, abs=0.2)
    assert len(video.notes) == 1 and video.notes[0].startswith("its clock is set anew 1 times")


def test_the_way_to_the_features_takes_no_more_memory_the_longer_the_sound_is():
    """Only the result grows: 256 bytes of each step and what it needs for its time."""
    steps, second = SoundSteps(bands=64, rate=10.0), np.zeros(16000, np.float32)
    sizes = []
    for number in range(120):
        steps.add(SoundBlock(second, float(number), follows=number > 0))
        sizes.append(len(pickle.dumps(steps)))
    assert (sizes[-1] - sizes[19]) / (100 * 10) < 300


def test_a_form_that_changes_on_the_way_changes_nothing():
    sound = Frames((0.0, 16000, "mono"), (0.1, 48000, "stereo"), (0.2, 8000, "5.1"), (0.3, 16000, "mono"))
    blocks = list(sound.blocks())
    samples = np.concatenate([block.samples for block in blocks])
    assert len(samples) == pytest.approx(6400, abs=4)
    assert [block.follows for block in blocks] == [False] + [True] * (len(blocks) - 1)
    assert np.median(samples) == pytest.approx(0.25, abs=1e-3)
    assert sound.notes == ()


def test_sound_that_cannot_be_resampled_is_named(monkeypatch):
    class Refusing:
        def __init__(self, **_):
            pass

        def resample(self, _frame):
            raise av.ArgumentError(22, "Invalid argument")

    monkeypatch.setattr("vidrnn.video.audio.AudioResampler", Refusing)
    with pytest.raises(VideoError, match=r"^its sound \(fltp, mono, 8000 Hz\) cannot be brought to 16000 Hz: Invalid"):
        list(Frames((0.0, 8000, "mono")).blocks())


def test_silence_is_data(tmp_path):
    video = features_of(write_sound(tmp_path / "a.wav", np.zeros(44100)))
    assert len(video.features) == 11
    np.testing.assert_allclose(video.features[:, :64].astype(float), np.log(0.01), atol=4e-3)


@pytest.mark.parametrize("default", [0, 1])
def test_the_default_one_of_several_tracks_is_used_and_said(tmp_path, default):
    path = write_sound(tmp_path / "a.mkv", tone(440, 0.5), tracks=2, default=default)
    samples, _, notes = decode(path)
    assert np.abs(samples).max() == pytest.approx(0.5, abs=0.02)
    assert notes == (f"holds 2 audio tracks; number {default + 1} is used, the default one or the first",)


def test_music_alone_is_enough(tmp_path):
    assert len(features_of(write_audio(tmp_path / "a.mp3", cover=True)).features) >= 3


def test_no_sound_is_an_absent_stream(tmp_path):
    silent = write_clip(tmp_path / "a.mp4", pictures(4))
    with pytest.raises(AbsentStreamError, match=r"^has no sound$"):
        features_of(silent)
    for still in (write_pictures(tmp_path / "frames", pictures(2)), tmp_path / "frames" / "img_00001.png"):
        with pytest.raises(AbsentStreamError, match=r"^is made of pictures and has no sound$"):
            features_of(still)
    with pytest.raises(AbsentStreamError, match=r"^has an audio track without any sound in it$"):
        features_of(write_sound(tmp_path / "b.mkv", np.zeros(0), images=5))
    with pytest.raises(AbsentStreamError, match=r"^has less sound than one window of 25 ms$"):
        features_of(write_sound(tmp_path / "c.wav", tone(440, 0.02)))


def test_damage_is_named(tmp_path):
    path = write_sound(tmp_path / "a.mkv", np.random.default_rng(0).normal(scale=0.1, size=88200), codec="aac")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :: 7] = b"\xff" * len(data[len(data) // 2 :: 7])
    path.write_bytes(data)
    with pytest.raises(VideoError, match=r"^decoding its sound stopped at \d\.\d s: .*; the file is damaged"):
        features_of(path)
    with pytest.raises(VideoError, match="cannot be opened as a video"):
        features_of(cut(write_sound(tmp_path / "b.mp4", tone(440, 1.0), codec="aac", images=5), 0.5))
    infinite = tone(440, 0.5)
    infinite[5000] = np.inf
    with pytest.raises(VideoError, match="holds values that are no numbers"):
        features_of(write_sound(tmp_path / "c.wav", infinite, codec="pcm_f32le"))
