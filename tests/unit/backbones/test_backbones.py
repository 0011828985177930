"""The frozen backbone: one identity and the same features whichever engine executes it, alone and in any batch."""

from collections import Counter
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch
from torch import nn

from tests.media import pictures
from tests.worlds import Sections, sections
from vidrnn.backbones import engine_cache, engines, executor
from vidrnn.backbones.backbone import Backbone, load_backbone, views
from vidrnn.backbones.engine_cache import EngineCache
from vidrnn.backbones.engines import OpenVino, similarity
from vidrnn.backbones.errors import EngineError
from vidrnn.backbones.network import Network
from vidrnn.backbones.networks import build_network
from vidrnn.errors import ConfigError
from vidrnn.store.spec import FeatureSpec


def settings(backbone="resnet18", weights="random", **changes) -> Sections:
    return sections(**{"backbone": backbone, "weights": weights, "image_size": 64, **changes})


QUICK_DIM = 96


def quick(**changes) -> Sections:
    """A network of a few layers, for what does not depend on the network."""
    return settings(**{"backbone": "timm/test_resnet", **changes})


def frames(count: int, size: int = 64) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def assert_close(got: torch.Tensor, expected: torch.Tensor) -> None:
    """Relative to their size."""
    size = expected.abs().max()
    assert size > 0
    torch.testing.assert_close(got / size, expected / size, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module", params=["eager", "openvino"])
def small(request) -> Backbone:
    return load_backbone(*settings(engine=request.param))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of converted networks."""
    monkeypatch.setenv("VIDRNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_network(monkeypatch):
    """From here on, nothing can be built: what comes, comes from the cache."""

    def refuse(_features):
        raise AssertionError("a network was built")

    def forbid():
        monkeypatch.setattr(executor, "build_network", refuse)

    return forbid


def test_features_do_not_depend_on_the_batch(small):
    batch = frames(7)
    together = small.embed(batch)
    assert together.shape == (7, 512)
    assert together.dtype == torch.float32
    alone = torch.cat([small.embed(frame[None]) for frame in batch])
    assert_close(together, alone)
    assert_close(small.embed(batch.flip(0)).flip(0), together)


def test_frozen_means_frozen(small):
    """A module that holds a backbone may be trained; a wrapper without parameters has no train mode to forget."""
    batch = frames(4)
    features = small.embed(batch)
    assert not isinstance(small, nn.Module)
    assert not hasattr(small, "train")

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.head = small, nn.Linear(512, 2)

    classifier = Classifier().train()
    classifier.head(classifier.backbone.embed(batch).clone()).sum().backward()
    assert [name for name, _ in classifier.named_parameters()] == ["head.weight", "head.bias"]
    assert torch.equal(small.embed(batch), features)
    assert not features.requires_grad


def test_random_weights_are_the_same_everywhere_and_leave_the_callers_random_state():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first = load_backbone(*settings()).spec.weights_digest
    assert torch.equal(torch.rand(3), expected)
    assert load_backbone(*settings()).spec.weights_digest == first


def test_bfloat16_is_close_but_another_spec(small):
    rounded = load_backbone(*settings(precision="bfloat16"))
    got, expected = rounded.embed(frames(2)), small.embed(frames(2))
    assert got.dtype == torch.float32
    assert float(torch.cosine_similarity(got, expected).min()) > 0.99
    assert rounded.spec.digest != small.spec.digest


@pytest.mark.parametrize("name", ["timm/test_resnet", "efficientnet_lite0"])
def test_the_mirrored_view_gives_the_features_of_mirrored_frames(name):
    """Clips turned over with NumPy are the reference; the plain view goes on unchanged."""
    weights = "default" if name == "efficientnet_lite0" else "random"
    plain = load_backbone(*settings(name, weights=weights))
    mirrored = plain.mirrored()
    clip = np.stack(pictures(4, width=96, height=72))
    got = mirrored.embed(torch.stack([mirrored.preprocessing.fit(frame) for frame in clip]))
    turned = np.ascontiguousarray(clip[:, :, ::-1])
    assert torch.equal(got, plain.embed(torch.stack([plain.preprocessing.fit(frame) for frame in turned])))
    own = plain.embed(torch.stack([plain.preprocessing.fit(frame) for frame in clip]))
    assert not torch.allclose(got, own, rtol=1e-2)
    again = mirrored.mirrored()
    assert torch.equal(again.embed(torch.stack([again.preprocessing.fit(frame) for frame in clip])), own)
    assert (again.spec, again.preprocessing) == (plain.spec, plain.preprocessing)


def test_both_views_share_one_network_whichever_meets_frames_first(cache, monkeypatch):
    """One build, one conversion, one entry in the cache, and that one is of the plain spec."""
    counts = Counter()

    def counting(name, honest):
        def call(*arguments):
            counts[name] += 1
            return honest(*arguments)

        return call

    monkeypatch.setattr(executor, "build_network", counting("build", executor.build_network))
    monkeypatch.setattr(OpenVino, "convert", staticmethod(counting("convert", OpenVino.convert)))
    plain, mirrored = views(load_backbone(*settings()), settings(mirrored=True).features)
    mirrored.embed(frames(2))
    plain.embed(frames(2))
    assert counts == {"build": 1, "convert": 1}
    (kept,) = cache.glob("*/spec.json")
    assert FeatureSpec.from_json(kept.read_text()) == plain.spec
    second = load_backbone(*settings()).mirrored()
    assert torch.equal(second.embed(frames(2)), mirrored.embed(frames(2)))
    assert counts == {"build": 1, "convert": 1}


def test_without_the_setting_there_is_one_view():
    backbone = load_backbone(*settings("timm/test_resnet"))
    assert views(backbone, settings().features) == (backbone,)


def test_a_network_is_in_eval_mode_and_has_no_gradients():
    network = build_network(settings().features)
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_no_frames_give_no_features(small):
    assert small.embed(frames(0)).shape == (0, 512)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("resnet18", {"nodes": {"last": 2}}),
        ("resnet18", {"batch_size": 3}),
        ("densenet121", {}),
        ("timm/test_vit", {"image_size": None}),
        ("timm/test_convnext", {}),
        ("timm/test_maxvit", {"image_size": None}),
        ("efficientnet_lite0", {"weights": "default", "nodes": {"last": 3}, "image_size": 96}),
    ],
)
def test_engines_have_one_identity_and_give_the_same_features(name, changes):
    eager, converted = (load_backbone(*settings(name, engine=engine, **changes)) for engine in ("eager", "openvino"))
    assert converted.spec == eager.spec
    batch = frames(5, eager.preprocessing.image_size)
    got, expected = converted.embed(batch), eager.embed(batch)
    assert got.dtype == torch.float32
    assert isinstance(converted.executor._engine, OpenVino)
    # Of the differences between frames too, which are small beside what random networks give for all of them.
    assert similarity(got, expected) > 0.99999
    assert similarity(got - got.mean(0), expected - expected.mean(0)) > 0.999


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_parts_of_a_batch_come_back_in_order(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        got = load_backbone(*settings(engine="openvino", batch_size=6)).embed(frames(8))
    finally:
        torch.set_num_threads(before)
    assert_close(got, load_backbone(*settings(engine="eager")).embed(frames(8)))


def test_auto_is_openvino_on_a_cpu_and_eager_in_a_short_precision():
    backbone = load_backbone(*settings())
    backbone.embed(frames(1))
    assert isinstance(backbone.executor._engine, OpenVino)
    short = load_backbone(*settings(precision="bfloat16"))
    short.embed(frames(1))
    assert isinstance(short.executor._engine, engines.Eager)
    with pytest.raises(ConfigError, match=r"^extraction\.engine: 'openvino' runs float32 and int8 on the CPU, but "):
        load_backbone(*settings(engine="openvino", precision="bfloat16"))


def test_a_second_start_builds_no_network_and_gives_the_same(cache, no_network):
    first = load_backbone(*quick())
    expected = first.embed(frames(5))
    no_network()
    second = load_backbone(*quick(sampling="uniform", count=3))
    assert torch.equal(second.embed(frames(5)), expected)
    assert second.spec.weights_digest == first.spec.weights_digest
    assert second.spec.sampling == {"kind": "uniform", "count": 3}
    assert second.preprocessing == first.preprocessing


def test_a_cached_network_serves_another_batch_size(cache, no_network):
    expected = load_backbone(*quick()).embed(frames(5))
    no_network()
    assert_close(load_backbone(*quick(batch_size=2)).embed(frames(5)), expected)


@pytest.mark.parametrize(
    "change", [{"nodes": {"last": 2}}, {"image_size": 96}, {"square": "pad"}, {"backbone": "timm/test_vit"}]
)
def test_another_setting_is_another_cached_network(cache, no_network, change):
    load_backbone(*quick()).embed(frames(1))
    no_network()
    with pytest.raises(AssertionError, match="a network was built"):
        load_backbone(*quick(**change))


def test_other_weights_under_the_same_name_are_another_cached_network(cache, tmp_path):
    path, state = tmp_path / "own.pth", build_network(quick().features).model.state_dict()
    torch.save(state, path)
    first = load_backbone(*quick(weights=str(path)))
    first.embed(frames(1))
    torch.save({name: value * 2 for name, value in state.items()}, path)
    assert load_backbone(*quick(weights=str(path))).spec.digest != first.spec.digest


@pytest.mark.parametrize("file", ["network.xml", "network.bin", "proof.safetensors", "spec.json"])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_damaged_cache_is_made_anew(cache, file, damage):
    expected = load_backbone(*quick()).embed(frames(3))
    (path,) = cache.glob(f"*/{file}")
    whole = path.read_bytes()
    path.unlink() if damage == "gone" else path.write_bytes(whole[: len(whole) // 2])
    assert_close(load_backbone(*quick()).embed(frames(3)), expected)
    assert path.stat().st_size > 0.9 * len(whole)  # names of OpenVINO count up, so that a digit may be added
    assert not list(cache.glob(".*"))


def test_a_cached_network_that_gives_other_features_is_made_anew(cache, monkeypatch):
    expected = load_backbone(*quick()).embed(frames(3))
    honest = OpenVino.__call__
    wrong = iter([True])
    monkeypatch.setattr(
        OpenVino, "__call__", lambda self, *batch: -honest(self, *batch) if next(wrong, False) else honest(self, *batch)
    )
    assert_close(load_backbone(*quick()).embed(frames(3)), expected)


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VIDRNN_CACHE", str(tmp_path / "file" / "cache"))
    assert load_backbone(*quick()).embed(frames(1)).shape == (1, QUICK_DIM)


def test_without_the_version_of_a_package_the_cache_is_done_without(cache, monkeypatch):
    def unknown(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(engine_cache, "version", unknown)
    assert load_backbone(*quick()).embed(frames(1)).shape == (1, QUICK_DIM)
    assert not cache.exists() or not list(cache.iterdir())


def test_only_the_latest_networks_are_kept(cache, monkeypatch):
    from vidrnn.backbones import engine_cache

    monkeypatch.setattr(engine_cache, "_KEPT", 2)
    for size in (32, 40, 48):
        load_backbone(*settings("timm/test_resnet", image_size=size)).embed(frames(1, size))
    assert len(list(cache.iterdir())) == 2


def test_only_folders_of_our_own_are_ever_removed(cache, monkeypatch):
    """Whoever points the cache at a folder of his own loses nothing, however a folder there is called."""
    from vidrnn.backbones import engine_cache

    monkeypatch.setattr(engine_cache, "_KEPT", 1)
    theirs = [cache / name for name in ("photos", "0123456789abcdef", "fedcba9876543210", ".0123456789abcdef.part")]
    for path in theirs:
        path.mkdir(parents=True)
        (path / "thesis.pdf").write_text("years of work")
    (theirs[2] / "spec.json").write_text("{}")
    (cache / "aaaaaaaaaaaaaaaa").symlink_to(theirs[0])
    before = {path: path.read_text() for path in cache.rglob("*") if path.is_file()}
    for size in (32, 40, 48):
        load_backbone(*settings("timm/test_resnet", image_size=size)).embed(frames(1, size))
    assert {path: path.read_text() for path in before} == before
    assert len(list(cache.iterdir())) == len(theirs) + 1 + 1


@pytest.mark.parametrize("content", ["{}", "[]", '{"stream": "rgb"}', "not JSON"])
@pytest.mark.parametrize("name", ["spec.json", "proof.safetensors", "network.xml"])
def test_a_folder_that_only_looks_like_a_cached_network_is_never_removed(cache, monkeypatch, name, content):
    """Sixteen hex digits are a usual name, and ``spec.json`` is a usual name too: what the file holds tells."""
    from vidrnn.backbones import engine_cache

    monkeypatch.setattr(engine_cache, "_KEPT", 1)
    places = [cache / "0123456789abcdef", EngineCache.of(quick(precision="float32").features)._path]
    for place in places:
        place.mkdir(parents=True)
        (place / name).write_text(content)
    load_backbone(*quick()).embed(frames(1))
    load_backbone(*settings("timm/test_resnet", image_size=32)).embed(frames(1, 32))
    assert [(place / name).read_text() for place in places] == [content] * 2


def test_a_folder_of_others_in_the_place_of_a_network_stays(cache):
    place = EngineCache.of(quick(precision="float32").features)._path
    place.mkdir(parents=True)
    (place / "thesis.pdf").write_text("years of work")
    load_backbone(*quick()).embed(frames(1))
    assert [path.name for path in place.iterdir()] == ["thesis.pdf"]
    assert [path.name for path in cache.iterdir()] == [place.name]


@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_an_engine_that_gives_other_features_is_refused(cache, monkeypatch, engine):
    """By name with an error; chosen automatically, eager does the work and says why."""
    honest = OpenVino.__call__
    monkeypatch.setattr(OpenVino, "__call__", lambda self, *batch: honest(self, *batch).flip(1))
    backbone = load_backbone(*settings(engine=engine))
    if engine == "openvino":
        with pytest.raises(
            ConfigError, match=r"^extraction\.engine: 'openvino' gives other features than eager PyTorch \(s"
        ):
            backbone.embed(frames(2))
    else:
        assert_close(backbone.embed(frames(2)), load_backbone(*settings(engine="eager")).embed(frames(2)))
        assert backbone.notes[0].startswith(
            "engine eager, because gives other features than eager PyTorch (similarity 0."
        )
    assert not cache.exists(), "kept although it is wrong"


def test_a_network_that_cannot_be_converted_runs_in_eager(cache, monkeypatch):
    class Strange(nn.Module):
        def forward(self, batch):
            return torch.linalg.svd(batch.float().mean(1))[1][:, :2]

    def convert(_network: Network, batch: torch.Tensor):
        return honest(Strange(), batch)

    honest = OpenVino.convert
    monkeypatch.setattr(OpenVino, "convert", staticmethod(convert))
    backbone = load_backbone(*settings())
    assert backbone.embed(frames(2)).shape == (2, 512)
    assert backbone.notes[0].startswith("engine eager, because OpenVINO cannot c")
    with pytest.raises(EngineError, match="OpenVINO cannot"):
        honest(Strange(), frames(1))


@pytest.fixture
def few_calibration_frames(monkeypatch):
    from vidrnn.backbones import quantization

    monkeypatch.setattr(quantization, "_CLIPS", 3)


def test_int8_is_close_but_another_spec(cache, few_calibration_frames, no_network):
    """And a second start quantizes nothing: it gives the same bits from the cache."""
    own = settings(precision="int8")
    backbone, exact = load_backbone(*own), load_backbone(*settings(engine="eager"))
    got, expected = backbone.embed(frames(5)), exact.embed(frames(5))
    assert 0.8 < similarity(got, expected) < 0.999999
    assert backbone.spec.precision.startswith("int8/nncf-")
    assert backbone.spec.digest != exact.spec.digest
    assert backbone.spec.differences(own.features) == []
    assert exact.spec.differences(own.features) == ["precision: 'float32', asked 'int8'"]
    no_network()
    again = load_backbone(*own)
    assert torch.equal(again.embed(frames(5)), got)
    assert again.spec == backbone.spec


def test_a_network_that_does_not_bear_int8_is_refused(cache, few_calibration_frames, monkeypatch):
    """Float features under the name of int8 would be a lie, so auto does not fall back to eager."""
    honest = OpenVino.__call__
    monkeypatch.setattr(OpenVino, "__call__", lambda self, *batch: honest(self, *batch).flip(1))
    with pytest.raises(ConfigError, match=r"^features\.precision: 'int8' for resnet18: gives other features"):
        load_backbone(*settings(precision="int8")).embed(frames(2))


@pytest.mark.parametrize("engine", ["eager", "compile"])
def test_int8_needs_openvino(engine):
    with pytest.raises(ConfigError, match=r"^features\.precision: 'int8' runs on the CPU in OpenVINO, but the "):
        load_backbone(*settings(precision="int8", engine=engine))


def test_int8_needs_nncf(monkeypatch):
    from vidrnn.backbones import quantization

    honest = quantization.importlib.util.find_spec
    monkeypatch.setattr(quantization.importlib.util, "find_spec", lambda name: None if name == "nncf" else honest(name))
    with pytest.raises(ConfigError, match=r"^features\.precision: 'int8' needs NNCF; run `pip install "):
        load_backbone(*settings(precision="int8"))


def test_similarity_is_the_smallest_over_the_rows_in_direction_and_size():
    here = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert similarity(here, here) == pytest.approx(1.0)
    turned = torch.tensor([[1.0, 0.0], [2**0.5, 0.0], [0.0, 0.0]])
    assert similarity(here, turned) == pytest.approx(0.5**0.5), "of one size it is the cosine"
    assert similarity(here, torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])) == pytest.approx(2 / 3)
    assert similarity(here, torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])) == 0.0
    assert similarity(here, -here) == pytest.approx(-1.0)
    for ratio in (1.05, 2.0, 0.5):
        assert similarity(here[:2], ratio * here[:2]) == pytest.approx(2 * ratio / (1 + ratio**2))
    assert similarity(here, here[:, :1]) == -1.0
    assert similarity(torch.full((1, 2), torch.nan), torch.ones(1, 2)) == -1.0
    assert similarity(torch.full((1, 2), torch.inf), torch.ones(1, 2)) == -1.0


def test_an_engine_that_gives_features_of_another_size_is_refused(cache, monkeypatch):
    """Their direction is right, so that a cosine would not see it."""
    honest = OpenVino.__call__
    monkeypatch.setattr(OpenVino, "__call__", lambda self, *batch: 1.1 * honest(self, *batch))
    with pytest.raises(ConfigError, match=r"gives other features than eager PyTorch \(similarity 0\.995"):
        load_backbone(*quick(engine="openvino")).embed(frames(2))


def test_a_size_that_the_network_cannot_take_is_a_wrong_setting():
    with pytest.raises(ConfigError) as caught:
        load_backbone(*settings("vit_b_32"))
    assert str(caught.value) == (
        "features.image_size: vit_b_32 cannot take 64 (Wrong image height! Expected 224 but got 64!); "
        "use null for the size that belongs to the weights"
    )


def test_cuda_without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError) as caught:
        load_backbone(*settings(device="cuda"))
    assert str(caught.value) == "device: 'cuda' was asked for, but PyTorch sees no GPU; use 'auto' or 'cpu'"
