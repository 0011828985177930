"""A changed input never reuses old features, whatever it is called: weights, folders of arrays and texts, lengths."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.fake_backbone import AverageColour as PlainColour
from tests.media import pictures, write_clip
from tests.worlds import tiny_spec
from vidrnn.annotations import Annotation
from vidrnn.backbones import engine_cache
from vidrnn.backbones.engine_cache import EngineCache
from vidrnn.errors import StoreError
from vidrnn.experiments.stored_sets import find_folders
from vidrnn.extraction.embedder import Alone, Pass
from vidrnn.extraction.extract import Report, extract
from vidrnn.inference.side_files import SideFiles
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.features import FeatureSettings
from vidrnn.settings.streams import ExternalSettings, TextSettings
from vidrnn.store.feature_folder import FeatureFolder
from vidrnn.store.feature_store import FeatureStore
from vidrnn.streams.passes import file_passes


class AverageColour(PlainColour, Alone):
    """As a pass that shares nothing."""


def weights(path: Path, value: float) -> str:
    path.parent.mkdir()
    torch.save({"scale": torch.tensor(value)}, path)
    return str(path)


def filled(root: Path, passes: Sequence[Pass], *, weights: str, names: Sequence[str] = ("a.mkv",)) -> Report:
    annotations = [Annotation(name, "x", None, name) for name in names]
    return extract(annotations, passes, root=root, settings=ExtractionSettings(store=root / "store"), weights=weights)


def found(root: Path, settings: FeatureSettings) -> list[FeatureFolder]:
    return find_folders(settings, store=root / "store")


def features_by(settings: FeatureSettings, root: Path) -> FeatureFolder:
    backbone = AverageColour(sampling={"kind": "fps", "rate": 10.0})
    backbone.spec = tiny_spec(dim=3, settings=settings)  # by the name of the file, as a real one has it
    object.__setattr__(backbone.spec, "weights", Path(settings.weights).name)
    return filled(root, [backbone], weights=settings.weights).folders[0]


def test_other_weights_of_the_same_file_name_do_not_find_the_features(tmp_path):
    write_clip(tmp_path / "a.mkv", pictures(4), codec="ffv1", pix_fmt="bgr0")
    first, second = weights(tmp_path / "one" / "w.pt", 1.0), weights(tmp_path / "two" / "w.pt", 2.0)
    settings = FeatureSettings(nodes={"last": 1}, weights=first)
    folder = features_by(settings, tmp_path)
    assert [there.path for there in found(tmp_path, settings)] == [folder.path]
    other = settings.model_copy(update={"weights": second})
    with pytest.raises(StoreError) as caught:
        found(tmp_path, other)
    assert str(caught.value) == (
        f"the features in {folder.path} were made with another weights file of the name 'w.pt' than {second!r}; "
        "run `vidrnn extract`"
    )
    features_by(other, tmp_path)  # here of the same values: both files are remembered
    assert len(found(tmp_path, other)) == len(found(tmp_path, settings)) == 1


def test_where_the_weights_are_absent_their_name_decides(tmp_path):
    write_clip(tmp_path / "a.mkv", pictures(4), codec="ffv1", pix_fmt="bgr0")
    settings = FeatureSettings(nodes={"last": 1}, weights=weights(tmp_path / "one" / "w.pt", 1.0))
    folder = features_by(settings, tmp_path)
    elsewhere = settings.model_copy(update={"weights": "/not/here/w.pt"})
    assert [there.path for there in found(tmp_path, elsewhere)] == [folder.path]


def external(folder: Path, **changes: object) -> FeatureSettings:
    return FeatureSettings(streams=("external",), external=ExternalSettings(folder=folder, **changes))


def extracted(root: Path, settings: FeatureSettings) -> tuple[str, FeatureFolder]:
    passes = file_passes([Annotation("a.mkv", "x", None, "a")], root=root, settings=settings)
    report = filled(root, passes, weights=settings.weights)
    return report.whole.summary(), report.folders[0]


@pytest.mark.parametrize("absolute", [False, True])
def test_two_folders_of_one_name_are_two_streams(tmp_path, absolute):
    for number, where in enumerate(("one", "two")):
        (tmp_path / where / "i3d").mkdir(parents=True)
        np.save(tmp_path / where / "i3d" / "a.npy", np.full((4, 2), number, np.float32))
    first, second = [
        external(tmp_path / where / "i3d" if absolute else Path(where, "i3d"), rate=1.0) for where in ("one", "two")
    ]
    folder = extracted(tmp_path, first)[1]
    with pytest.raises(StoreError, match="asked"):
        found(tmp_path, second)
    again = extracted(tmp_path, second)
    assert again[0] == "extracted 1, reused 0, failed 0"
    assert again[1].path != folder.path
    assert found(tmp_path, first)[0].read("a.mkv").features.max() == 0
    assert found(tmp_path, second)[0].read("a.mkv").features.max() == 1
    assert str(tmp_path) not in again[1].spec.to_json()


def test_a_single_folder_keeps_its_name_and_digest():
    """Stores that are there stay right."""
    settings = FeatureSettings(streams=("external",), external=ExternalSettings(folder=Path("my_arrays")))
    assert tiny_spec(dim=2, settings=settings, stream="external").backbone == "my_arrays"
    assert "name" not in tiny_spec(dim=2, settings=FeatureSettings(), stream="text").preprocessing


def test_texts_of_another_folder_are_another_stream():
    settings = [FeatureSettings(text=TextSettings(source="txt", folder=Path(name, "said"))) for name in ("one", "two")]
    first, second = (tiny_spec(dim=2, settings=one, stream="text") for one in settings)
    assert first.digest != second.digest
    assert first.differences(settings[0], stream="text") == []
    assert first.differences(settings[1], stream="text") == [
        "preprocessing: {'name': 'one/said', 'source': 'txt'}, asked {'name': 'two/said', 'source': 'txt'}"
    ]


def test_new_videos_have_their_texts_and_arrays_elsewhere():
    """Another folder of new videos changes nothing: the features fit the model."""
    settings = FeatureSettings(
        streams=("text", "external"),
        text=TextSettings(source="txt", folder=Path("one/said")),
        external=ExternalSettings(folder=Path("one/i3d"), dim=2),
    )
    specs = [tiny_spec(dim=2, settings=settings, stream=stream) for stream in settings.streams]
    asked = SideFiles(text_folder=Path("/new/texts"), arrays=Path("/new/arrays")).applied_to(settings, specs)
    assert [spec.differences(asked, stream=spec.stream) for spec in specs] == [[], []]


def test_times_that_come_from_the_video_are_made_anew_when_the_video_changes(tmp_path):
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "a.npy", np.zeros((4, 2), np.float32))
    write_clip(tmp_path / "a.mkv", pictures(50), codec="ffv1", pix_fmt="bgr0")
    settings = external(Path("arrays"))
    folder = extracted(tmp_path, settings)[1]
    np.testing.assert_allclose(folder.read("a.mkv").timestamps_s, [0.25, 0.75, 1.25, 1.75])
    assert extracted(tmp_path, settings)[0] == "extracted 0, reused 1, failed 0"
    write_clip(tmp_path / "a.mkv", pictures(100), codec="ffv1", pix_fmt="bgr0")
    assert extracted(tmp_path, settings)[0] == "extracted 1, reused 0, failed 0"
    np.testing.assert_allclose(folder.read("a.mkv").timestamps_s, [0.5, 1.5, 2.5, 3.5])


@pytest.mark.parametrize(
    "module",
    ["backbones.networks", "backbones.engines", "frames.preprocessing", "backbones.quantization", "backbones.weights"],
)
def test_changed_code_of_a_network_is_another_place_in_the_cache(tmp_path, monkeypatch, module):
    monkeypatch.setenv("VIDRNN_CACHE", str(tmp_path))
    settings = FeatureSettings(backbone="resnet18", weights="random")
    before = EngineCache.of(settings)
    changed = tmp_path / "changed.py"
    changed.write_text("# another version\n")
    monkeypatch.setattr(importlib.import_module(f"vidrnn.{module}"), "__file__", str(changed))
    assert EngineCache.of(settings)._path != before._path


@pytest.mark.parametrize("package", ["torch", "torchvision", "timm", "openvino", "numpy"])
def test_another_version_of_a_package_is_another_place_in_the_cache(tmp_path, monkeypatch, package):
    monkeypatch.setenv("VIDRNN_CACHE", str(tmp_path))
    settings = FeatureSettings(backbone="resnet18", weights="random")
    before, real = EngineCache.of(settings), engine_cache.version
    monkeypatch.setattr(engine_cache, "version", lambda name: "0.0" if name == package else real(name))
    assert EngineCache.of(settings)._path != before._path


def test_a_store_whose_weights_are_of_no_file_asks_for_none(tmp_path):
    folder = FeatureStore(tmp_path).create(tiny_spec(dim=2))
    folder.add_weights_file("default")
    assert folder.weights_files() == frozenset()
