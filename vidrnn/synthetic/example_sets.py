"""The four little data sets of docs/examples.md: files and the CSV that lists them, drawn from a seed.

Each set has groups (a painter with one wording, a handwriting, an instrument), and no group is in two splits.
"""

import csv
import wave
from collections.abc import Iterator
from itertools import product
from math import pi
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float64]

_EDGE = 64  # pixels of a picture with a caption
_PAINTS = {"red": (205, 45, 40), "blue": (45, 75, 205)}
_THINGS = ("the shape", "the figure", "the thing in the picture", "this one", "what you see", "the object")
_WORDINGS = (
    "{thing} is {colour}",
    "{thing} looks {colour}",
    "somebody has painted {thing} {colour}",
    "I would say that {thing} is {colour}",
    "{colour} is the colour of {thing}",
    "see how {colour} {thing} is",
)
_CANVAS = 48  # pixels of a picture of a digit
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
_RATE = 16_000  # samples per second
_SOUNDS = (("rising", "falling"), ("low_high", "high_low"), ("swelling", "fading"))
_EVENTS = ("beeping", "falling", "humming", "rising")
_MIXTURE_S = 8.0  # length of a recording in which sounds overlap
_LISTENED_S = 6.0  # until where somebody listened to some of them


def write_example_sets(root: Path, *, seed: int = 0) -> None:
    """Write the four sets into folders of ``root``, each with its ``annotations.csv``.

    Args:
        root: made when missing; files of the same names are replaced.
        seed: chooses everything that is drawn.
    """
    _write_captioned(root / "captions", np.random.default_rng([seed, 1]))
    _write_digits(root / "digits", np.random.default_rng([seed, 2]))
    _write_sounds(root / "sounds", np.random.default_rng([seed, 3]))
    _write_mixtures(root / "mixtures", np.random.default_rng([seed, 4]))


def _write_captioned(root: Path, rng: np.random.Generator) -> None:
    """Pictures of a red or a blue shape with a sentence that says red or blue: do the two agree?

    In each group all four pairs come equally often, so neither picture nor sentence tells the answer by itself. A
    group has a backdrop and a wording of its own: the sentences of the test videos have never been seen in training.
    """
    rows = []
    wordings = rng.permutation([text.replace("{thing}", thing) for thing, text in product(_THINGS, _WORDINGS)])
    for (group, split), wording in zip(_groups(train=24, val=4, test=8), wordings, strict=True):
        backdrop = rng.uniform(90.0, 190.0) + rng.normal(0.0, 10.0, 3)
        for number, (shown, named) in enumerate(list(product(_PAINTS, _PAINTS)) * 3):
            path = f"{group}/{number:02}.png"
            _write_image(root / path, _painted(rng, backdrop, colour=_PAINTS[shown]))
            sentence = str(wording).format(colour=named)
            rows.append([path, "match" if shown == named else "", split, group, sentence])
    _write_list(root, ["path", "labels", "split", "group", "text"], rows)


def _painted(rng: np.random.Generator, backdrop: Samples, *, colour: tuple[int, int, int]) -> Image:
    """A disc, a square or a triangle somewhere before a noisy backdrop."""
    image = np.clip(backdrop + rng.normal(0.0, 8.0, (_EDGE, _EDGE, 3)), 0, 255).astype(np.uint8)
    size = rng.uniform(9.0, 17.0)
    centre = rng.uniform(size + 2.0, _EDGE - size - 2.0, 2)
    corners = int(rng.choice([3, 4, 40]))
    angles = rng.uniform(0.0, 2.0 * pi) + 2.0 * pi * np.arange(corners) / corners
    outline = centre + size * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    paint = np.clip(np.array(colour) + rng.normal(0.0, 18.0, 3), 0, 255)
    cv2.fillPoly(image, [outline.round().astype(np.int32)], paint.tolist(), lineType=cv2.LINE_AA)
    return image


def _write_digits(root: Path, rng: np.random.Generator) -> None:
    """Digits, each group in a handwriting of its own: font, thickness, slant, ink and paper."""
    rows = []
    for group, split in _groups(train=30, val=5, test=10):
        font, thick, slant = int(rng.choice(_FONTS)), int(rng.integers(2, 5)), float(rng.uniform(-0.3, 0.3))
        paper, ink = float(rng.uniform(150.0, 235.0)), float(rng.uniform(10.0, 80.0))
        for digit, number in product(range(10), range(2)):
            path = f"{group}/{digit}_{number}.png"
            page: Image = np.full((_CANVAS, _CANVAS), paper, np.uint8)
            cv2.putText(page, str(digit), (12, 36), font, 1.1, ink, thick, cv2.LINE_AA)
            scale, turn = rng.uniform(0.8, 1.15), rng.uniform(-0.1, 0.1)
            linear = scale * np.array([[1.0, slant + turn], [-turn, 1.0]])
            middle = np.full(2, _CANVAS / 2)
            shift = middle - linear @ middle + rng.uniform(-5.0, 5.0, 2)
            moved = cv2.warpAffine(
                page, np.column_stack([linear, shift]), (_CANVAS, _CANVAS), borderMode=cv2.BORDER_REPLICATE
            )
            noisy = np.clip(moved + rng.normal(0.0, 12.0, moved.shape), 0, 255).astype(np.uint8)
            _write_image(root / path, np.repeat(noisy[..., None], 3, axis=2))
            rows.append([path, str(digit), split, group])
    _write_list(root, ["path", "label", "split", "group"], rows)


def _write_sounds(root: Path, rng: np.random.Generator) -> None:
    """Sounds in pairs, each with a twin that is the same samples in reverse order: only the order tells them apart."""
    rows = []
    for group, split in _groups(train=16, val=3, test=8):
        pitch, overtone, hiss = rng.uniform(300.0, 900.0), rng.uniform(0.0, 0.6), rng.uniform(0.002, 0.02)
        for (forward, backward), number in product(_SOUNDS, range(2)):
            samples = _sound(rng, forward, pitch=pitch, overtone=overtone)
            samples += rng.normal(0.0, hiss, len(samples))
            for label, played in ((forward, samples), (backward, samples[::-1])):
                path = f"{group}/{label}_{number}.wav"
                _write_wav(root / path, played)
                rows.append([path, label, split, group])
    _write_list(root, ["path", "label", "split", "group"], rows)


def _sound(rng: np.random.Generator, label: str, *, pitch: float, overtone: float) -> Samples:
    """One to two seconds: a tone that glides up, one that jumps up, or one that grows louder; silence around it."""
    progress = np.linspace(0.0, 1.0, int(rng.uniform(0.8, 1.6) * _RATE))
    octaves = rng.uniform(0.6, 1.4)
    steps, loudness = np.zeros(len(progress)), np.ones(len(progress))
    if label == "rising":
        steps += octaves * progress
    elif label == "low_high":
        steps += octaves * (progress > rng.uniform(0.35, 0.65))
    else:
        loudness *= progress**1.5
    tone = loudness * _tone(pitch * rng.uniform(0.9, 1.1) * 2.0**steps, overtone=overtone)
    before, after = rng.uniform(0.05, 0.3, 2) * _RATE
    return np.pad(tone, (int(before), int(after)))


def _tone(pitches: Samples, *, overtone: float) -> Samples:
    """A tone whose pitch changes from sample to sample, in hertz, and one octave above it."""
    phase = 2.0 * pi * np.cumsum(pitches) / _RATE
    tone: Samples = 0.3 * (np.sin(phase) + overtone * np.sin(2.0 * phase))
    return tone


def _write_mixtures(root: Path, rng: np.random.Generator) -> None:
    """Recordings in which sounds of four kinds overlap, each instrument with overtone and hiss of its own.

    Nobody listened to the end of every second recording for training: what sounds there is not in the list.
    """
    rows = []
    for group, split in _groups(train=20, val=4, test=8):
        overtone, hiss = rng.uniform(0.0, 0.6), rng.uniform(0.002, 0.02)
        for number in range(2):
            path, until_s = f"{group}/{number}.wav", _LISTENED_S if split == "train" and number else _MIXTURE_S
            samples = rng.normal(0.0, hiss, int(_MIXTURE_S * _RATE))
            found = []
            for kind, half in product(_EVENTS, range(2)):
                if rng.random() < 0.4:
                    continue
                event = _event(rng, kind, overtone=overtone)
                begin_s = (half + rng.random()) * _MIXTURE_S / 2
                first = min(int(begin_s * _RATE), int((half + 1) * _MIXTURE_S / 2 * _RATE) - len(event))
                samples[first : first + len(event)] += event
                start_s, end_s = first / _RATE, min((first + len(event)) / _RATE, until_s)
                if start_s < end_s:
                    found.append([f"{start_s:.3f}", f"{end_s:.3f}", kind])
            if until_s < _MIXTURE_S:
                found.append([f"{until_s:g}", f"{_MIXTURE_S:g}", ""])
            rows += [[path, *row, split, group] for row in found or [["", "", ""]]]
            _write_wav(root / path, samples)
    _write_list(root, ["path", "start", "end", "label", "split", "group"], rows)


def _event(rng: np.random.Generator, kind: str, *, overtone: float) -> Samples:
    """One to two seconds: a tone that glides up or down, that comes and goes, or a low one that stays."""
    progress = np.linspace(0.0, 1.0, int(rng.uniform(1.0, 2.0) * _RATE))
    pitch, octaves, loudness = rng.uniform(300.0, 900.0), rng.uniform(0.6, 1.4), np.ones(len(progress))
    steps = {"rising": octaves * progress, "falling": octaves * (1.0 - progress)}.get(kind, np.zeros(len(progress)))
    if kind == "beeping":
        loudness = (np.arange(len(progress)) % (_RATE // 3) < _RATE // 6).astype(np.float64)
    return loudness * _tone((0.3 if kind == "humming" else 1.0) * pitch * 2.0**steps, overtone=overtone)


def _groups(**sizes: int) -> Iterator[tuple[str, str]]:
    """Name and split of each group."""
    for split, number in sizes.items():
        yield from ((f"{split}{index:02}", split) for index in range(number))


def _write_image(path: Path, image: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image[..., ::-1]):
        raise OSError(f"{path} could not be written")


def _write_wav(path: Path, samples: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes((np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes())


def _write_list(root: Path, header: list[str], rows: list[list[str]]) -> None:
    with (root / "annotations.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
