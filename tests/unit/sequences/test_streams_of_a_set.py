"""`vidrnn.sequences` with several streams: what a batch shows of each, which videos are there, what is hidden."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.worlds import CPU, LABELS, Array, annotate, fill_store, tiny_model, tiny_spec, tiny_training, video_features
from vidrnn.errors import StoreError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.augmentation import augment, draw_hiding, hide_streams
from vidrnn.sequences.found_stream import FoundStream
from vidrnn.sequences.loading import join_streams, load_sequences
from vidrnn.sequences.sequence_set import Batch, SequenceSet
from vidrnn.sequences.steps import choose_steps
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.store.pack_update import pack

RATES = {"rgb": 10.0, "audio": 4.0, "text": 1.0}
DIMS = {"rgb": 5, "audio": 3, "text": 4}
LENGTHS: dict[str, dict[str, int]] = {
    "both.mp4": {"rgb": 30, "audio": 12, "text": 1},
    "no sound.mp4": {"rgb": 8, "text": 1},
    "short sound.mp4": {"rgb": 40, "audio": 5},
    "sound.wav": {"audio": 9},
    "caption.txt": {"text": 1},
}
ANNOTATIONS = annotate(*((path, f"class{number % 2}") for number, path in enumerate(LENGTHS)), ("gone.mp4", "class0"))
MODEL = tiny_model(stream_inputs={"audio": ["features", "change"]}, change_steps=1)


def make_features(seed: int = 0) -> dict[str, dict[str, Array]]:
    rng = np.random.default_rng(seed)
    return {
        name: {
            path: rng.normal(size=(lengths[name], DIMS[name])).astype(np.float16)
            for path, lengths in LENGTHS.items()
            if name in lengths
        }
        for name in DIMS
    }


def fill(root: Path, features: Mapping[str, Mapping[str, Array]]) -> list[FeatureFolder]:
    return [
        fill_store(root, videos, dim=DIMS[name], stream=name, rate=RATES[name])
        for name, videos in reversed(features.items())
    ]


def load(root: Path, **named: object) -> SequenceSet:
    return load_sequences(ANNOTATIONS, fill(root, make_features()), LABELS, device=CPU, **named)  # type: ignore[arg-type]


def layer_norm(values: Array) -> Array:
    centred: Array = values - values.mean()
    return centred / np.sqrt(values.var() + 1e-5)


def shown_by_hand(features: Mapping[str, Mapping[str, Array]], path: str, grid_time: float) -> tuple[Array, list[bool]]:
    """What the streams show at one instant, and which of them do: one stream after the other."""
    parts: list[Array] = []
    present: list[bool] = []
    for name in ("rgb", "audio", "text"):
        video = features[name].get(path)
        width = DIMS[name] * (2 if name == "audio" else 1)
        times = np.arange(0 if video is None else len(video)) / RATES[name]
        there = video is not None and (len(video) == 1 or grid_time <= times[-1] + 1 / RATES[name])
        present.append(there)
        if video is None or not there:
            parts.append(np.zeros(width))
            continue
        step = int(np.abs(times - grid_time).argmin())
        value = video[step].astype(np.float64)
        if name == "audio":
            wide = video.astype(np.float64)
            change = wide[min(step + 1, len(video) - 1)] - wide[max(step - 1, 0)]
            value = np.concatenate([layer_norm(value), layer_norm(change)])
        parts.append(value)
    return np.concatenate(parts), present


@pytest.mark.parametrize("packed", [(), ("rgb",), ("rgb", "audio", "text")])
def test_a_batch_shows_each_stream_at_the_time_of_the_step(tmp_path: Path, packed: tuple[str, ...]) -> None:
    """Whether the features lie in files or in packs, and for a subset in another order too."""
    features = make_features()
    for folder in fill(tmp_path, features):
        if folder.spec.stream in packed:
            pack(folder, remove_files=True)
    whole = load_sequences(ANNOTATIONS, FeatureStore(tmp_path).folders(), LABELS, device=CPU)
    assert whole.totals.tolist() == [30, 8, 40, 9, 1]
    order = [2, 0, 4, 3, 1]
    for sequences, positions in ((whole, torch.tensor(order)), (whole.subset(order), torch.arange(5))):
        choice = choose_steps(sequences.totals[positions], 6)
        batch = sequences.batch(positions, choice, MODEL)
        assert batch.widths == (5, 6, 4) and batch.present is not None
        assert batch.targets.tolist() == [0, 0, 0, 1, 1]
        for row, position in enumerate(positions.tolist()):
            path = sequences.annotations[position].path
            rate = RATES["audio"] if path == "sound.wav" else RATES["rgb"]
            for slot in range(6):
                if slot >= choice.lengths[row]:
                    assert not batch.features[row, slot].any() and not batch.present[row, slot].any()
                    continue
                expected, there = shown_by_hand(features, path, float(choice.indices[row, slot]) / rate)
                assert batch.present[row, slot].tolist() == there
                np.testing.assert_allclose(batch.features[row, slot].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("causal", [False, True])
def test_features_in_memory_are_shown_as_stored_ones_are(tmp_path: Path, causal: bool) -> None:
    """A new video alone, whose features were never written, against the same one in a packed set: every bit."""
    features, model = make_features(), MODEL.model_copy(update={"bidirectional": not causal})
    folders = fill(tmp_path, features)
    pack(folders[0], remove_files=True)
    stored = load_sequences(ANNOTATIONS, folders, LABELS, device=CPU, causal=causal)
    for position, annotation in enumerate(stored.annotations):
        streams = {name: videos.get(annotation.path) for name, videos in features.items()}
        found = {
            name: FoundStream.in_memory(
                tiny_spec(dim=DIMS[name], stream=name),  # type: ignore[arg-type]
                [None if rows is None else video_features(rows, rate=RATES[name])],
            )
            for name, rows in streams.items()
        }
        alone = join_streams([annotation], found, LABELS, device=CPU, causal=causal)
        assert alone.totals.tolist() == [stored.totals[position]]
        choice = choose_steps(alone.totals, 6)
        here, there = (
            alone.batch(torch.tensor([0]), choice, model),
            stored.batch(torch.tensor([position]), choice, model),
        )
        assert torch.equal(here.features, there.features)
        assert here.present is not None and there.present is not None
        assert torch.equal(here.present, there.present)
        assert alone.metadata.tolist() == stored.metadata[position : position + 1].tolist()


def test_a_video_is_missing_only_when_it_has_no_stream_at_all(tmp_path: Path) -> None:
    sequences = load(tmp_path)
    assert sequences.missing == ("gone.mp4",)
    assert [annotation.path for annotation in sequences.annotations] == list(LENGTHS)
    assert sequences.lacking == {"rgb": 2, "audio": 2, "text": 2}
    assert sequences.metadata[:, 2].tolist() == [30, 8, 40, 9, 1], "the facts are those of the first stream"
    assert list(sequences.streams) == ["rgb", "audio", "text"], "in canonical order, not that of the folders"


def test_no_features_in_any_stream_are_an_error(tmp_path: Path) -> None:
    folders = fill(tmp_path, {"rgb": {}, "text": {}})
    with pytest.raises(StoreError) as caught:
        load_sequences(ANNOTATIONS, folders, LABELS, device=CPU)
    paths = f"{folders[1].path} or {folders[0].path}"
    message = f"none of the 6 annotated videos has features in {paths}; run `vidrnn extract` with this config"
    assert str(caught.value) == message


def answers(sequences: SequenceSet, paths: list[str], fusion: str) -> torch.Tensor:
    torch.manual_seed(0)
    settings = MODEL.model_copy(update={"fusion": fusion})
    model = SequenceClassifier(settings, dim=sequences.dims, num_classes=2).eval()
    known = [annotation.path for annotation in sequences.annotations]
    positions = torch.tensor([known.index(path) for path in paths])
    batch = sequences.batch(positions, choose_steps(sequences.totals[positions], 6), settings)
    outputs: torch.Tensor = model(batch.features, batch.lengths, batch.present)
    return outputs


@pytest.mark.parametrize("fusion", ["concat", "late", "gated", "cross_attention"])
def test_an_absent_stream_and_a_hidden_one_give_the_same_logits(tmp_path: Path, fusion: str) -> None:
    """Hidden, never extracted, or not even in the store."""
    features, paths = make_features(), ["both.mp4", "no sound.mp4", "short sound.mp4"]
    hidden = answers(load(tmp_path / "all").showing(["text", "rgb"]), paths, fusion)
    without = load_sequences(ANNOTATIONS, fill(tmp_path / "no", features | {"audio": {}}), LABELS, device=CPU)
    fewer = fill(tmp_path / "few", {name: features[name] for name in ("rgb", "text")})
    spec = tiny_spec(dim=DIMS["audio"], stream="audio")
    unseen = load_sequences(ANNOTATIONS, fewer, LABELS, device=CPU, unseen=[spec])
    assert torch.equal(answers(without, paths, fusion), hidden)
    assert torch.equal(answers(unseen, paths, fusion), hidden)
    shown = answers(load(tmp_path / "all"), paths, fusion)
    assert torch.equal(shown[1], hidden[1]) and not torch.equal(shown[0], hidden[0])


def test_a_video_of_which_nothing_is_shown_is_an_error(tmp_path: Path) -> None:
    sequences = load(tmp_path).showing(["audio"])
    with pytest.raises(StoreError) as caught:
        sequences.batch(torch.tensor([0, 1]), choose_steps(sequences.totals[:2], 4), MODEL)
    assert str(caught.value) == (
        "none of the streams audio shows anything at the 4 chosen steps of 'no sound.mp4'; raise training.steps, or "
        "show more streams with inference.streams"
    )


def test_pictures_are_mirrored_and_sound_and_text_stay(tmp_path: Path) -> None:
    features, other = make_features(), make_features(1)["rgb"]
    mirrored = FeatureStore(tmp_path).create(tiny_spec(dim=DIMS["rgb"]).mirrored())
    for path, stream in other.items():
        mirrored.write(path, video_features(stream))
    sequences = load(tmp_path, mirrored=[mirrored])
    assert sequences.has_both_views
    positions, asked = torch.tensor([0, 3, 2]), torch.tensor([True, True, False])
    batch = sequences.batch(positions, choose_steps(sequences.totals[positions], 6), MODEL, mirrored=asked)
    for row, views in enumerate((other, other, features["rgb"])):
        path = sequences.annotations[int(positions[row])].path
        rate = RATES["audio"] if path == "sound.wav" else RATES["rgb"]
        choice = choose_steps(sequences.totals[positions], 6).indices[row]
        for slot, index in enumerate(choice.tolist()):
            expected, _ = shown_by_hand(features | {"rgb": views}, path, index / rate)
            np.testing.assert_allclose(batch.features[row, slot].numpy(), expected, atol=1e-4)


# Augmentation


def test_streams_are_hidden_from_whole_videos_as_often_as_asked_and_never_all() -> None:
    generator = torch.Generator().manual_seed(0)
    present = torch.rand(4000, 3, 3, generator=generator) < 0.7
    present = present[present.flatten(1).any(1)]
    drawn = draw_hiding(len(present), 3, generator=generator)
    kept = hide_streams(present, 0.4, drawn=drawn)
    before, after = present.any(1), kept.any(1)
    assert bool(after.any(1).all())
    assert torch.equal(kept, present & after.unsqueeze(1)), "a stream is hidden at all steps or at none"
    several = before.sum(1) == 3
    hidden = 1 - after[several].float().mean(0)
    assert ((hidden - (0.4 - 0.4**3 / 3)).abs() < 0.03).all(), "all three would be hidden in 0.4^3; then one stays"
    assert torch.equal(hide_streams(present, 0.0, drawn=drawn), present)


def batch_of(sequences: SequenceSet) -> Batch:
    positions = torch.arange(4)
    return sequences.batch(positions, choose_steps(sequences.totals[positions], 6), MODEL)


def test_noise_is_in_units_of_each_stream(tmp_path: Path) -> None:
    batch = batch_of(load(tmp_path))
    batch.features[:, :, :5] *= 1000.0
    named = {"head": "label", "num_classes": 2, "generator": torch.Generator().manual_seed(0)}
    noisy = augment(batch, tiny_training(feature_noise=0.1), **named)  # type: ignore[arg-type]
    added = (noisy.features - batch.features)[0].std(dim=0)
    assert 30 < float(added[:5].mean()) < 300
    assert 0.03 < float(added[5:11].mean()) < 0.3


def test_mixup_mixes_the_streams_that_both_have(tmp_path: Path) -> None:
    batch = batch_of(load(tmp_path))
    named = {"head": "label", "num_classes": 2, "generator": torch.Generator().manual_seed(4)}
    mixed = augment(batch, tiny_training(mixup=1.0), **named)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(4)
    gammas = torch._standard_gamma(torch.ones(2, dtype=torch.float64), generator=generator)
    share, partner = float(gammas[0] / gammas.sum()), torch.randperm(4, generator=generator)
    assert (partner != torch.arange(4)).any()
    assert batch.present is not None
    assert mixed.present is not None
    assert torch.equal(mixed.present, batch.present)
    assert batch.lengths.tolist() == [6] * 4, "so that each step is mixed with its own number"
    for row, slot in np.ndindex(4, 6):
        for channels, stream in ((slice(0, 5), 0), (slice(5, 11), 1), (slice(11, 15), 2)):
            first, other = batch.features[row, slot, channels], batch.features[partner[row], slot, channels]
            if bool(batch.present[partner[row], slot, stream]):
                first = share * first + (1 - share) * other
            torch.testing.assert_close(mixed.features[row, slot, channels], first)


def test_inputs_of_a_stream_have_defaults() -> None:
    settings = tiny_model(inputs=["centred", "change"], stream_inputs={"audio": ["change"]})
    inputs = {name: settings.of_stream(name).inputs for name in ("rgb", "flow", "audio", "text", "external")}
    plain, alone = ("centred", "change"), ("features",)
    assert inputs == {"rgb": plain, "flow": plain, "audio": ("change",), "text": alone, "external": alone}
