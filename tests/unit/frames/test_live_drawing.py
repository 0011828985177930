"""`vidrnn.frames.live_drawing`: pictures that come one by one are drawn as those of the file, to the bit."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media import pictures, write_clip
from vidrnn.errors import ConfigError, VideoError
from vidrnn.frames.fitting import Drawing, draw
from vidrnn.frames.live_drawing import LiveDrawing, LiveStep
from vidrnn.frames.preprocessing import Preprocessing
from vidrnn.frames.rendering import DifferenceRendering, FlowRendering, Rendering, RowRendering
from vidrnn.video.decode import Frame, decode
from vidrnn.video.live_source import Arrival
from vidrnn.video.probe import probe
from vidrnn.video.sampling import Sampling


def drawing(rendering: Rendering | None, *, rate: float = 10.0) -> Drawing:
    way = Preprocessing(
        image_size=24,
        resize_size=24,
        square="warp",
        interpolation="bilinear",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        rendering=rendering,
    )
    return Drawing(Sampling("fps", rate=rate), way)


def drawings(*, rate: float) -> dict[int, Drawing]:
    return {
        0: drawing(None, rate=rate),
        1: drawing(DifferenceRendering(bound=64.0, gap_s=0.08), rate=rate),
        2: drawing(FlowRendering(method="dis", camera="keep", bound=8.0, gap_s=0.04), rate=rate),
        3: drawing(FlowRendering(method="dis", camera="keep", bound=8.0, gap_s=0.0), rate=rate),
        4: drawing(DifferenceRendering(bound=64.0, gap_s=0.5), rate=rate),
    }


def arrival(time_s: float, *, width: int = 32, height: int = 24) -> Arrival:
    return Arrival(time_s, (width, height), lambda: Frame(pictures(1, width=width, height=height)[0], time_s))


def arriving(frame: Frame) -> Arrival:
    height, width = frame.rgb.shape[:2]
    return Arrival(frame.timestamp_s, (width, height), lambda: frame)


PTS = {
    "even": list(range(40)),
    "uneven": np.cumsum(np.random.default_rng(0).integers(1, 6, 30)).tolist(),
    "slow": list(range(0, 60, 12)),
    "single": [0],
    "two": [0, 3],
}


@pytest.mark.parametrize("rate", [10.0, 3.0, 50.0])
@pytest.mark.parametrize("pts", PTS.values(), ids=PTS)
def test_steps_are_those_of_the_file(tmp_path: Path, pts: list[int], rate: float) -> None:
    """Streams of motion with several gaps, also past the end of the file, where neighbours lie before."""
    path = write_clip(tmp_path / "a.mkv", pictures(len(pts)), pts=pts, time_base=Fraction(1, 25))
    video, ways = probe(path), drawings(rate=rate)
    expected: dict[int, list[tuple[float, np.ndarray]]] = {number: [] for number in ways}
    for number, step in draw(video, ways):
        expected[number].append((step.timestamp_s, step.pixels))
    live = LiveDrawing(ways, window_s=None)
    steps: list[LiveStep] = []
    for frame in decode(video, np.arange(video.num_frames)):
        steps += live.push(arriving(frame))
    steps += live.finish()
    for number in ways:
        assert [step.timestamp_s for step in steps] == [time_s for time_s, _ in expected[number]]
        for step, (_, pixels) in zip(steps, expected[number], strict=True):
            np.testing.assert_array_equal(step.pixels[number], pixels)


def test_a_step_comes_as_soon_as_its_neighbour() -> None:
    """Without motion when the next picture is there; with it no later than the first one behind the gap."""
    plain, motion = LiveDrawing({0: drawing(None)}, window_s=None), LiveDrawing(drawings(rate=10.0), window_s=None)
    times_s = [number / 25 for number in range(30)]
    first_plain = next(time_s for time_s in times_s if plain.push(arrival(time_s)))
    first_motion = next(time_s for time_s in times_s if motion.push(arrival(time_s)))
    assert (first_plain, first_motion) == (0.04, 0.52)


def test_pictures_are_let_go() -> None:
    """What may still be wanted is a second of pictures here, after a minute of them."""
    live = LiveDrawing(drawings(rate=10.0), window_s=None)
    for number in range(1500):
        live.push(arrival(number / 25))
    assert len(live._recent) < 30


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (arrival(1.0), r"at 1.000 s came after the one at 1.000 s: times of a stream go forward"),
        (arrival(0.5), r"at 0.500 s came after the one at 1.000 s"),
        (arrival(float("nan")), r"a picture at nan s: its time must be a number"),
        (arrival(1.1, width=48), r"the picture at 1.100 s is 48x24, those before were 32x24: reset the stream"),
    ],
)
def test_what_does_not_go_on_is_refused(second: Arrival, reason: str) -> None:
    live = LiveDrawing({0: drawing(None)}, window_s=None)
    live.push(arrival(1.0))
    with pytest.raises(VideoError, match=reason):
        live.push(second)
    live.reset()
    assert live.push(arrival(0.0, width=48)) == []


def test_rows_of_a_still_image_are_no_stream() -> None:
    with pytest.raises(ConfigError, match="reads still images row by row"):
        LiveDrawing({0: drawing(RowRendering(None))}, window_s=None)
