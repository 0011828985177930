"""Weights from files: read without running code, told apart by their values."""

import pickle
import urllib.error
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from tests.worlds import Sections, sections
from vidrnn.backbones.backbone import load_backbone
from vidrnn.backbones.networks import build_network
from vidrnn.backbones.weights import load_weights, offline_message, read_weights, weights_digest
from vidrnn.errors import WeightsError

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([1.0, -1.0])}


def settings(backbone="mobilenet_v3_small", weights="random", **changes) -> Sections:
    return sections(backbone=backbone, weights=weights, **changes)


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    return str(caught.value)


def test_safetensors_and_pytorch_files_give_the_same(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    torch.save(STATE, tmp_path / "w.pth")
    torch.save({"state_dict": STATE, "epoch": 3}, tmp_path / "checkpoint.pt")
    for name in ("w.safetensors", "w.pth", "checkpoint.pt"):
        state = read_weights(tmp_path / name)
        assert set(state) == set(STATE)
        assert all(torch.equal(state[key], STATE[key]) for key in STATE)


def test_a_file_that_would_run_code_is_refused_and_does_not_run_it(tmp_path):
    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    torch.save({"weight": Bomb()}, tmp_path / "bomb.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Bomb(), protocol=2))
    for name in ("bomb.pth", "plain.pth"):
        assert refusal(tmp_path / name).startswith(
            f"features.weights: {str(tmp_path / name)!r} is not a plain state dict file: "
        )
    assert not (tmp_path / "exploded").exists()


def test_a_missing_file(tmp_path):
    path = tmp_path / "gone.pth"
    assert refusal(path) == (
        f"features.weights: {str(path)!r} does not exist; give a state dict file, 'default' or 'random'"
    )


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello", b"x" * 100, b"PK\x03\x04" + b"\0" * 50])
def test_a_damaged_file_names_itself(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    start = f"features.weights: {str(tmp_path / name)!r} is not a plain state dict file: "
    message = refusal(tmp_path / name)
    assert message.startswith(start)
    assert len(message) > len(start)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_cut_off_file_names_itself(tmp_path, name):
    save_file(STATE, tmp_path / name) if name.endswith("safetensors") else torch.save(STATE, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    assert "is not a plain state dict file: " in refusal(tmp_path / name)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": 5}, torch.zeros(2)])
def test_a_file_with_something_else_in_it(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    assert refusal(tmp_path / "other.pth") == (
        f"features.weights: {str(tmp_path / 'other.pth')!r} holds no state dict of tensors"
    )


def test_weights_that_do_not_fit_say_whose_they_are_and_where():
    with pytest.raises(WeightsError) as caught:
        load_weights(nn.Linear(4, 2), STATE, origin="my.pth")
    message = str(caught.value)
    assert message.startswith("weights 'my.pth' do not fit the backbone: Error(s) in loading state_dict for Linear:")
    assert "size mismatch for weight" in message


def test_the_digest_is_of_names_types_shapes_and_values_not_of_order_or_memory():
    def linear(dtype=torch.float32) -> nn.Linear:
        layer = nn.Linear(3, 2)
        layer.load_state_dict(STATE)
        return layer.to(dtype)

    digest = weights_digest(linear())
    assert len(digest) == 64
    assert weights_digest(linear()) == digest
    transposed = linear()
    transposed.weight = nn.Parameter(STATE["weight"].T.contiguous().T)
    assert weights_digest(transposed) == digest
    nudged = linear()
    with torch.no_grad():
        nudged.bias[1] += 1e-6
    others = [weights_digest(nudged), weights_digest(linear(torch.float64)), weights_digest(nn.Sequential(linear()))]
    assert len({digest, *others}) == 4


def test_the_digest_takes_every_kind_of_tensor():
    """Batch norm counts its batches in an int64 of no dimension."""
    norm = nn.BatchNorm1d(2)
    before = weights_digest(norm)
    norm.register_buffer("mask", torch.tensor([True, False]))
    norm.half()
    assert weights_digest(norm) != before


def test_the_offline_message_says_what_to_do(monkeypatch):
    monkeypatch.setenv("TORCH_HOME", "/cache")
    assert offline_message("w.pth from https://example.org/w.pth", OSError("no route\nto host")) == (
        "could not download w.pth from https://example.org/w.pth (no route). Fetch that file on a machine with a "
        "network and set features.weights to its path (downloads are cached in /cache and in the Hugging Face cache). "
        "Or use features.backbone: efficientnet_lite0, whose weights are installed with vidrnn"
    )
    assert "(TimeoutError)" in offline_message("w.pth", TimeoutError())


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "timm/test_resnet", "efficientnet_lite0"])
@pytest.mark.parametrize("file", ["own.pth", "own.safetensors"])
def test_a_local_file_serves_every_kind_of_backbone(tmp_path, name, file):
    model = build_network(settings(name, image_size=32).features).model
    state = {key: value.contiguous() + 1 for key, value in model.state_dict().items()}
    save_file(state, tmp_path / file) if file.endswith("safetensors") else torch.save(state, tmp_path / file)
    own = settings(name, weights=str(tmp_path / file), image_size=32)
    assert load_backbone(*own).spec.weights == file
    for key, value in build_network(own.features).model.state_dict().items():
        assert torch.equal(value, state[key])


def test_weights_of_another_model_do_not_fit(tmp_path):
    torch.save(models.squeezenet1_1().state_dict(), tmp_path / "squeeze.pth")
    with pytest.raises(WeightsError, match=r"^weights '.*squeeze\.pth' do not fit the backbone: "):
        load_backbone(*settings("timm/test_resnet", weights=str(tmp_path / "squeeze.pth")))


@pytest.mark.parametrize("error", [urllib.error.URLError("no network"), RuntimeError("invalid hash value")])
def test_torchvision_without_a_network_names_the_file_and_a_way_out(monkeypatch, error):
    def refuse(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    with pytest.raises(WeightsError) as caught:
        load_backbone(*settings(weights="default"))
    url = "https://download.pytorch.org/models/mobilenet_v3_small-047dcff4.pth"
    message = str(caught.value)
    assert message.startswith(f"could not download mobilenet_v3_small-047dcff4.pth from {url} ({error}). Fetch")
    assert "set features.weights to its path" in message
    assert message.endswith("features.backbone: efficientnet_lite0, whose weights are installed with vidrnn")


def test_timm_without_a_network_names_the_file_and_a_way_out(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        load_backbone(*settings("timm/test_resnet", weights="default"))
    message = str(caught.value)
    assert message.startswith("could not download weights of 'timm/test_resnet.r160_in1k' for timm/test_resnet (")
    assert message.endswith("features.backbone: efficientnet_lite0, whose weights are installed with vidrnn")
