"""`vidrnn.models.model_file`: one file that holds all, written and read without pickle."""

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, safe_open, save_file

from tests.worlds import CPU, tiny_model, tiny_spec, tiny_training
from vidrnn.annotations import LabelMap
from vidrnn.errors import MissingPathError, ModelFileError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.model_file import TrainedModel, load_model, save_model
from vidrnn.settings.base import validate
from vidrnn.settings.data import DataSettings
from vidrnn.settings.evaluation import ANSWER_NOTHING
from vidrnn.settings.run import RunSettings
from vidrnn.store.stream_specs import identity_of


def make_model(**model: object) -> TrainedModel:
    torch.manual_seed(0)
    settings = RunSettings(data=DataSettings(root=Path("videos")), model=tiny_model(**model), training=tiny_training())
    return TrainedModel(
        SequenceClassifier(settings.model, dim=5, num_classes=3).eval(),
        LabelMap(("walk", "jump", "ünï, x")),
        tiny_spec(dim=5),
        settings,
        {"val_top1": 0.75},
        {"vidrnn": "0.1.0", "torch": "2"},
    )


def header_of(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        header: dict[str, Any] = json.loads(file.metadata()["vidrnn_model"])
    return header


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the header of a model file."""
    header, state = header_of(path), load_file(path)
    change(header)
    save_file(state, path, metadata={"vidrnn_model": json.dumps(header)})


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load_model(path, device=CPU)
    return str(caught.value).replace(repr(str(path)), "FILE").replace(str(path), "FILE")


@pytest.mark.parametrize(
    "layers",
    [
        *({"cell": cell} for cell in ("rnn", "gru", "lstm", "mingru", "minlstm", "transformer", "tcn", "none")),
        {"layers": ["gru", "transformer"], "positions": "learned"},
    ],
    ids=str,
)
@pytest.mark.parametrize("pooling", ["mean", "attention", "log_sum_exp", "mixture"])
def test_a_model_comes_back_with_the_same_logits_and_facts(
    tmp_path: Path, layers: dict[str, object], pooling: str
) -> None:
    model = make_model(**layers, pooling=pooling, pooling_heads=2)
    save_model(model, tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors", device=CPU)
    steps, lengths = torch.randn(4, 7, 5), torch.tensor([7, 1, 3, 5])
    with torch.inference_mode():
        assert torch.equal(again.classifier(steps, lengths), model.classifier(steps, lengths))
    assert not again.classifier.training
    assert replace(again, classifier=model.classifier) == model


def test_the_class_order_comes_from_the_file_as_it_stands(tmp_path: Path) -> None:
    """A bug of the field: class order from one source in training and another at inference."""
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    assert load_model(path, device=CPU).label_map.names == ("walk", "jump", "ünï, x")


def test_the_header_holds_what_is_needed_and_plain_safetensors_reads_the_file(tmp_path: Path) -> None:
    path, model = tmp_path / "m.safetensors", make_model()
    save_model(model, path)
    header = header_of(path)
    assert set(header) == {
        "format_version", "config", "label_map", "spec", "metrics", "versions", "thresholds", "temperature",
        "unknown_below",
        "trained_on",
        "chosen_on",
        "specs",
        "segments",
        "mirrored_flow",
        "clip_s",
    }  # fmt: skip
    assert header["config"] == model.settings.model_dump(mode="json")
    assert header["spec"] == json.loads(model.spec.to_json())
    assert header["specs"] == [header["spec"]]
    assert (header["label_map"], header["metrics"]) == (["walk", "jump", "ünï, x"], {"val_top1": 0.75})
    state = load_file(path)
    assert set(state) == set(model.classifier.state_dict())
    assert all(torch.equal(state[name], value) for name, value in model.classifier.state_dict().items())


def test_what_was_chosen_on_validation_comes_back_and_older_files_answer_as_before(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(replace(make_model(), temperature=0.25, unknown_below=0.625), path)
    again = load_model(path, device=CPU)
    assert (again.temperature, again.unknown_below) == (0.25, 0.625)
    rewrite(path, lambda header: [header.pop(name) for name in ("temperature", "unknown_below")])
    older = load_model(path, device=CPU)
    assert (older.temperature, older.unknown_below) == (1.0, None)


def test_a_threshold_that_answers_nothing_comes_back(tmp_path: Path) -> None:
    """Training writes it where the validation videos can promise no risk: a number that no probability reaches."""
    save_model(replace(make_model(), unknown_below=ANSWER_NOTHING), tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors", device=CPU).unknown_below == ANSWER_NOTHING


MIRRORED_FLOW = {"features": {"streams": ["rgb", "flow"], "mirrored": True}}


def of_both_streams(**changes: object) -> TrainedModel:
    """A model of rgb and flow in both views."""
    model = make_model()
    tree = {**MIRRORED_FLOW, "data": {"root": "videos"}, **changes}
    settings = validate(RunSettings, tree).model_copy(
        update={"model": model.settings.model, "training": model.settings.training}
    )
    return replace(model, settings=settings, others=(replace(model.spec, stream="flow"),))


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({}, True),
        ({"inference": {"views": "plain"}}, False),
        ({"inference": {"streams": ["rgb"]}}, False),
        ({"inference": {"streams": ["flow"]}}, True),
        ({"features": {"streams": ["rgb", "flow"]}}, False),
    ],
    ids=str,
)
def test_a_model_that_learned_from_mirrored_flow_of_an_earlier_version_is_refused_it(
    changes: dict[str, object], refused: bool
) -> None:
    """It says why and what trains it again; where it looks at no mirrored flow, it answers as before."""
    of_both_streams(**changes).refuse_earlier_mirror()
    older = replace(of_both_streams(**changes), mirrored_flow=1)
    if not refused:
        older.refuse_earlier_mirror()
        return
    with pytest.raises(ModelFileError, match=r"mirrored flow of version 1, .* makes version 2: drawn from .* train"):
        older.refuse_earlier_mirror()


def test_how_long_the_training_videos_were_is_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(replace(make_model(), clip_s=2.5), path)
    assert load_model(path, device=CPU).clip_s == 2.5
    rewrite(path, lambda header: header.update(clip_s=0))
    assert refusal(path) == "FILE is inconsistent: clip_s 0.0 is not a number of seconds above 0"
    rewrite(path, lambda header: header.pop("clip_s"))
    assert load_model(path, device=CPU).clip_s is None


def test_which_mirrored_flow_a_model_learned_from_is_in_its_file(tmp_path: Path) -> None:
    """Older files do not name it: theirs was searched for."""
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    assert load_model(path, device=CPU).mirrored_flow == 2
    rewrite(path, lambda header: header.update(mirrored_flow="2"))
    assert refusal(path) == "FILE is inconsistent: mirrored_flow '2' is not a whole number"
    rewrite(path, lambda header: header.pop("mirrored_flow"))
    assert load_model(path, device=CPU).mirrored_flow == 1


def test_a_file_of_one_stream_from_before_there_were_several_opens(tmp_path: Path) -> None:
    path, model = tmp_path / "m.safetensors", make_model()
    save_model(model, path)
    rewrite(path, lambda header: header.pop("specs"))
    older = load_model(path, device=CPU)
    assert (older.spec, older.others, older.specs) == (model.spec, (), (model.spec,))


@pytest.mark.parametrize("fusion", ["concat", "late", "gated", "cross_attention"])
def test_a_model_of_several_streams_comes_back(tmp_path: Path, fusion: str) -> None:
    others = (tiny_spec(dim=3, stream="audio"), tiny_spec(dim=2, stream="text"))
    model = make_model(fusion=fusion)
    dims = {spec.stream: spec.dim for spec in (model.spec, *others)}
    classifier = SequenceClassifier(model.settings.model, dim=dims, num_classes=3).eval()
    save_model(replace(model, classifier=classifier, others=others), tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors", device=CPU)
    assert again.specs == (model.spec, *others)
    batch = torch.randn(2, 4, sum(classifier.widths.values())), torch.tensor([4, 2]), torch.ones(2, 4, 3) > 0
    assert torch.equal(again.classifier(*batch), classifier(*batch))


def test_nothing_is_pickled(tmp_path: Path) -> None:
    """A file that would run code when unpickled is refused and runs nothing."""
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (marker,))

    path = tmp_path / "m.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    assert refusal(path).startswith("FILE is not a vidrnn model file: ")
    torch.save({"bomb": Bomb()}, path)
    assert refusal(path).startswith("FILE is not a vidrnn model file: ")
    assert not marker.exists()


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone.safetensors"
    with pytest.raises(MissingPathError) as caught:
        load_model(path, device=CPU)
    assert str(caught.value) == f"model {str(path)!r} does not exist; `vidrnn train` writes a model.safetensors"


def test_the_folder_of_a_run_is_no_model_and_does_exist(tmp_path: Path) -> None:
    with pytest.raises(MissingPathError, match=r"is a folder; give the model\.safetensors that"):
        load_model(tmp_path, device=CPU)


@pytest.mark.parametrize("content", [b"", b"just text", b"{}", b"\x80\x04", bytes(200)])
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith("FILE is not a vidrnn model file: ")
    assert message.endswith("; give a model.safetensors")


@pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
def test_a_truncated_model_is_refused(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    assert refusal(path).startswith("FILE is not a vidrnn model file: ")


def test_safetensors_of_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"weight": torch.zeros(2)}, path)
    assert refusal(path) == "FILE is not a vidrnn model file: 'vidrnn_model'; give a model.safetensors"


@pytest.mark.parametrize("version", [99, True, 2.0, "2", None])
def test_another_format_version_is_refused(tmp_path: Path, version: object) -> None:
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    rewrite(path, lambda header: header.update(format_version=version))
    assert refusal(path) == (
        f"FILE has model format {version}, allowed are 1 and 2; use the vidrnn that wrote it, or train again"
    )


@pytest.mark.parametrize("pooling", ["mean", "attention"])
@pytest.mark.parametrize("cell", ["gru", "lstm", "none"])
def test_a_file_of_format_1_is_read(tmp_path: Path, cell: str, pooling: str) -> None:
    """Its weights had other names, and its configuration none of the settings that came later."""
    path, model = tmp_path / "m.safetensors", make_model(cell=cell, pooling=pooling, layers=2)
    save_model(model, path)
    header, state = header_of(path), load_file(path)
    header["format_version"] = 1
    for later in ("head", "attention_heads", "positions", "kernel_size", "pooling_heads"):
        del header["config"]["model"][later]
    for later in ("step_loss_weight", "loss", "focal_gamma"):
        del header["config"]["training"][later]
    del header["thresholds"]
    before = {"layers.runs.0.": "recurrent.", "pooling.attention.": "attention."}
    for now, then in before.items():
        state = {name.replace(now, then): value for name, value in state.items()}
    save_file(state, path, metadata={"vidrnn_model": json.dumps(header)})
    again = load_model(path, device=CPU).classifier
    steps, lengths = torch.randn(4, 7, 5), torch.tensor([7, 1, 3, 5])
    with torch.inference_mode():
        assert torch.equal(again(steps, lengths), model.classifier(steps, lengths))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda header: header["config"]["model"].update(cell="mamba"), "FILE is inconsistent: FILE: model.cell: got"),
        (lambda header: header["label_map"].pop(), "FILE is inconsistent: its output.weight is of size (3, "),
        (lambda header: header["label_map"].append("walk"), "FILE is inconsistent: class names repeat"),
        (lambda header: header["spec"].update(dim=6), "FILE is inconsistent: its "),
        (lambda header: header["spec"].update(colour="red"), "FILE is inconsistent: "),
        (lambda header: header["config"]["model"].update(hidden_size=9), "FILE is inconsistent: its "),
        (lambda header: header.update(temperature=0), "FILE is inconsistent: temperature 0.0 is not a number above 0"),
        (lambda header: header.update(temperature="hot"), "FILE is inconsistent: temperature 'hot' is not a number"),
        (lambda header: header.pop("metrics"), "FILE is inconsistent: 'metrics'"),
        (lambda header: header.pop("label_map"), "FILE is inconsistent: 'label_map'"),
        (lambda header: header.pop("format_version"), "FILE has model format None, allowed are 1 and 2"),
        (lambda header: header.update(format_version=[2]), "FILE has model format [2], allowed are 1 and 2"),
        (lambda header: header.update(thresholds=[0.5]), "FILE is inconsistent: thresholds are not one for each of 3"),
        (
            lambda header: header.update(thresholds=[0.5, 2, 0]),
            "FILE is inconsistent: thresholds lie between 0.0 and 2",
        ),
        (
            lambda header: header.update(thresholds=[0.5, "a", 0]),
            "FILE is inconsistent: a threshold 'a' is not a number",
        ),
        (lambda header: header.update(temperature=10**400), "FILE is inconsistent: temperature 1000"),
        (lambda header: header.update(unknown_below=float("nan")), "FILE is inconsistent: unknown_below nan is not"),
        (lambda header: header.update(unknown_below=1.5), "FILE is inconsistent: unknown_below 1.5 is no probability"),
        (
            lambda header: header.update(unknown_below=-0.1),
            "FILE is inconsistent: unknown_below -0.1 is no prob",
        ),
        (
            lambda header: header.update(unknown_below=0.5, label_map=["walk", "jump", "unknown"]),
            "FILE is inconsistent: unknown_below 0.5 answers 'unknown', and one of its classes has that name",
        ),
        (
            lambda header: (header.update(unknown_below=0.5), header["config"]["model"].update(head="multilabel")),
            "FILE is inconsistent: unknown_below 0.5 needs head 'label', its head is 'multilabel'",
        ),
        (
            lambda header: header["spec"].update(grid=9),
            "FILE is inconsistent: the spec of stream 'rgb': nodes.last",
        ),
        (
            lambda header: header["spec"].update(parts=[2, 2]),
            "FILE is inconsistent: the spec of stream 'rgb' has dim ",
        ),
        (
            lambda header: header["spec"]["preprocessing"].update(image_size=-3),
            "FILE is inconsistent: the spec of stream 'rgb': image_size: got -3",
        ),
        (
            lambda header: header["spec"]["preprocessing"].update(square="round"),
            "FILE is inconsistent: the spec of stream 'rgb': square: got 'round'",
        ),
        (
            lambda header: header["spec"].update(sampling={"kind": "fps", "rate": 0.0}),
            "FILE is inconsistent: the spec of stream 'rgb': rate: got 0.0",
        ),
        (
            lambda header: header["spec"].update(sampling={"kind": "uniform"}),
            "FILE is inconsistent: the spec of stream 'rgb': count: got None",
        ),
        (
            lambda header: header["spec"].update(precision="int3/nncf"),
            "FILE is inconsistent: the spec of stream 'rgb': precision: got 'int3'",
        ),
        (
            lambda header: header["spec"]["preprocessing"].update(rendering={"stream": "rgb", "bound": 1.0}),
            "FILE is inconsistent: the spec of stream 'rgb': rgb: unknown key",
        ),
        (
            lambda header: header["spec"].update(stream="smell"),
            "FILE is inconsistent: the spec of stream 'smell': ",
        ),
        (lambda header: header.update(label_map=[1, 2, 3]), "FILE is inconsistent: label_map is no list of names"),
        (lambda header: header.update(label_map={"a": 1}), "FILE is inconsistent: label_map is no list of names"),
        (lambda header: header.update(trained_on=[["a"]]), "FILE is inconsistent: trained_on is no list of names"),
        (lambda header: header.update(metrics=[1]), "FILE is inconsistent: metrics or versions are no object"),
        (lambda header: header.update(config=[1]), "FILE is inconsistent: FILE: "),
        (lambda header: header.update(spec="rgb"), "FILE is inconsistent: expected an object, got str"),
        (lambda header: header["spec"].update(dim="5"), "FILE is inconsistent: the spec of stream 'rgb' has dim '5'"),
        (lambda header: header.update(specs=[header["spec"]] * 2), "FILE is inconsistent: two of its specs are of one"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    rewrite(path, change)
    assert refusal(path).startswith(message)


def test_writing_replaces_the_file_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    save_model(make_model(cell="lstm"), path)
    assert load_model(path, device=CPU).settings.model.cell == "lstm"
    assert [file.name for file in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("text", ["[]", "1", "null", '"text"', "[" * 100_000, '{"a":' * 100_000])
def test_a_foreign_header_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.safetensors"
    save_file({"weight": torch.zeros(2)}, path, metadata={"vidrnn_model": text})
    assert refusal(path).startswith(("FILE is not a vidrnn model file: ", "FILE has model format None"))


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("key", ["config", "spec", "label_map", "trained_on"])
def test_nested_parts_are_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    rewrite(path, lambda header: header.update({key: nested(900)}))
    assert refusal(path).startswith("FILE is inconsistent: ")


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["config"]["model"].update(hidden_size=10**7),
        lambda header: header["config"]["model"].update(layers=10**10),
        lambda header: header["config"]["model"].update(layers=["gru"] * 10**5),
        lambda header: header["config"]["model"].update(projection=10**9),
        lambda header: header["config"]["training"].update(members=10**9),
        lambda header: header["config"]["model"].update(head="step_labels", stages=10**9),
        lambda header: header["spec"].update(dim=10**12),
        lambda header: header["spec"].update(dim=10**30),
        lambda header: header.update(label_map=[str(number) for number in range(10**5)]),
    ],
)
def test_sizes_that_do_not_match_are_refused_before_memory_is_taken(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    load_model(path, device=CPU)  # PyTorch lists what obeys `torch.device` once, and must not list the function below
    rewrite(path, change)
    largest = 0
    empty = torch.empty

    def counted(*size: Any, **options: Any) -> torch.Tensor:
        nonlocal largest
        made = empty(*size, **options)
        if made.device.type != "meta":
            largest = max(largest, made.numel())
        return made

    monkeypatch.setattr(torch, "empty", counted)
    assert refusal(path).startswith("FILE is inconsistent: ")
    assert largest < 10**6


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    path, model = tmp_path / "m.safetensors", make_model()
    model.classifier.state_dict()["output.bias"][1] = value
    save_model(model, path)
    assert refusal(path) == "FILE is inconsistent: its output.bias holds nan or inf; train again, or give another model"


@pytest.mark.parametrize("kind", [torch.int32, torch.bool, torch.complex64, torch.float8_e4m3fn])
def test_weights_of_another_kind_of_number_are_refused(tmp_path: Path, kind: torch.dtype) -> None:
    """PyTorch would round them or leave out their imaginary part, with a warning at most."""
    path = tmp_path / "m.safetensors"
    save_model(make_model(), path)
    with safe_open(path, framework="pt") as file:
        tensors, facts = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    save_file(tensors | {"output.bias": tensors["output.bias"].to(kind)}, path, metadata=facts)
    assert "its output.bias holds numbers of type" in refusal(path)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_read(tmp_path: Path, kind: torch.dtype) -> None:
    path, model = tmp_path / "m.safetensors", make_model()
    save_model(replace(model, classifier=copy.deepcopy(model.classifier).to(kind)), path)
    assert load_model(path, device=CPU).classifier.state_dict()["output.bias"].dtype == torch.float32


def test_a_file_holds_no_absolute_path_and_no_command(tmp_path: Path) -> None:
    """What somebody gives away says nothing of where it was made."""
    path, model = tmp_path / "m.safetensors", make_model()
    private = tmp_path / "home" / "anna"
    tree = model.settings.model_dump(mode="json")
    tree["data"] |= {"root": str(private / "clips"), "format": "csv", "annotations": str(private / "list.csv")}
    tree["data"]["group_pattern"] = r"/(\w+)$"
    tree["features"] |= {"weights": str(private / "w.pt")}
    tree["extraction"] |= {"store": str(private / "store")}
    tree["features"]["external"] |= {"folder": str(private / "i3d")}
    tree["features"]["text"] |= {"folder": str(private / "said"), "source": "txt"}
    settings = validate(RunSettings, tree)
    metrics = {"missing_features": [f"{private}/a.mp4", "b.mp4"]}
    save_model(replace(model, settings=settings, metrics=metrics), path)
    assert str(tmp_path).encode() not in path.read_bytes()
    assert b"anna" not in path.read_bytes()
    again = load_model(path, device=CPU)
    assert again.metrics == {"missing_features": ["a.mp4", "b.mp4"]}
    assert again.settings.data.group_pattern == r"/(\w+)$"
    assert again.settings.features.weights == "w.pt"
    for stream in ("text", "external"):
        assert identity_of(again.settings.features, stream) == identity_of(settings.features, stream)
    (tmp_path / "w.pt").touch()
    assert load_model(path, device=CPU).settings.features.weights == str(tmp_path / "w.pt"), "beside the model"


def test_loading_draws_none_of_the_random_numbers_of_the_process(tmp_path: Path) -> None:
    """Another thread may be training with them."""
    save_model(make_model(), tmp_path / "model.safetensors")
    before = torch.get_rng_state()
    load_model(tmp_path / "model.safetensors", device=CPU)
    assert torch.equal(torch.get_rng_state(), before)
