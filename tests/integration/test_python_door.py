"""`import vidrnn`: light, the same from wherever it is called, and docs/python.md does what it says."""

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import vidrnn
from tests.integration.test_documents import REPOSITORY, user_folder  # noqa: F401  a fixture
from tests.integration.world import call
from tests.media import pictures, write_clip
from tests.worlds import tiny_model, tiny_training
from vidrnn.annotations import LabelMap
from vidrnn.backbones.backbone import load_backbone
from vidrnn.errors import ConfigError, MissingPathError, ModelFileError
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.model_file import TrainedModel, save_model
from vidrnn.settings.base import validate
from vidrnn.settings.run import RunSettings

FEATURES = {"backbone": "timm/test_resnet", "weights": "random", "image_size": 32}
EXTRACTION = {"device": "cpu", "batch_size": 4}
DOCUMENT = REPOSITORY / "docs" / "python.md"
PROGRAM = """
import vidrnn
with open("begun.txt", "a") as file:
    print("once more", file=file)
model = vidrnn.load("model.safetensors", workers=2)
print(model.predict("clips/a.mp4").label)
print(sorted(result.status for result in vidrnn.classify("clips", model)))
"""
NOTEBOOK = """
import asyncio, sys, types
main = types.ModuleType("__main__")  # as IPython's kernel does it: no file, no spec, and a running event loop
sys.modules["__main__"] = main
async def cell():
    exec(sys.argv[1], vars(main))
asyncio.run(cell())
"""


@dataclass(frozen=True)
class Place:
    """A folder with two clips, one file that is no video, and a model of random weights."""

    folder: Path
    model: Path

    def run(self, *command: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            input=given,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("door")
    for number, name in enumerate(("a.mp4", "b.mp4")):
        write_clip(folder / "clips" / name, pictures(6 + number, width=64, height=48))
    (folder / "clips" / "broken.mp4").write_bytes(b"no video at all")
    tree = {"data": {"root": str(folder)}, "features": FEATURES, "extraction": EXTRACTION}
    settings = validate(RunSettings, tree).model_copy(update={"model": tiny_model(), "training": tiny_training()})
    spec, labels = (
        load_backbone(settings.features, settings.extraction).spec,
        LabelMap(("sit <down>", "raise_arms", "wave")),
    )
    torch.manual_seed(0)
    classifier = SequenceClassifier(settings.model, dim=spec.dim, num_classes=len(labels)).eval()
    save_model(TrainedModel(classifier, labels, spec, settings, {}, {}), folder / "model.safetensors")
    return Place(folder, folder / "model.safetensors")


@pytest.mark.parametrize("way", ["script without a guard", "-c", "standard input", "notebook"])
def test_a_program_answers_for_videos_and_runs_once(place: Place, way: str) -> None:
    """Decoders are processes; none of them may begin the program again, or look for a script that is no file."""
    begun = place.folder / "begun.txt"
    begun.unlink(missing_ok=True)
    if way == "script without a guard":
        (place.folder / "program.py").write_text(PROGRAM)
        outcome = place.run("program.py")
    elif way == "standard input":
        outcome = place.run("-", given=PROGRAM)
    else:
        outcome = place.run("-c", *([PROGRAM] if way == "-c" else [NOTEBOOK, PROGRAM]))
    assert outcome.returncode == 0, outcome.stderr
    label, statuses = outcome.stdout.splitlines()
    assert label in {"sit <down>", "raise_arms", "wave"}
    assert statuses == "['failed', 'ok', 'ok']"
    assert begun.read_text() == "once more\n"


def test_importing_it_imports_nothing_heavy(place: Place) -> None:
    """A program that only asks for a name or a setting waits for neither PyTorch nor a decoder."""
    heavy = "('torch', 'numpy', 'pydantic', 'av', 'cv2', 'timm', 'openvino', 'typer')"
    loaded = f"print(sorted(name for name in {heavy} if name in sys.modules))"
    program = f"import sys, vidrnn; dir(vidrnn); vidrnn.VidrnnError; vidrnn.load; {loaded}"
    outcome = place.run("-c", program)
    assert (outcome.stdout, outcome.stderr) == ("[]\n", "")
    settings = place.run("-c", "import sys, vidrnn; vidrnn.RunSettings; print('torch' in sys.modules)")
    assert (settings.stdout, settings.stderr) == ("False\n", "")


def test_people_and_type_checkers_are_told_of_the_same_names() -> None:
    tree = ast.parse(Path(str(vidrnn.__file__)).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    declared = {(alias.name, node.module) for node in block.body for alias in node.names}  # type: ignore[attr-defined]
    assert {name for name, _ in declared} == set(vidrnn.__all__)
    assert set(vidrnn.__all__) <= set(dir(vidrnn))
    for name, module in declared:
        assert getattr(vidrnn, name) is getattr(sys.modules[str(module)], name)
    documented = re.findall(r"`vidrnn\.(\w+)", DOCUMENT.read_text())
    assert set(documented) == set(vidrnn.__all__)
    with pytest.raises(AttributeError, match=r"module 'vidrnn' has no attribute 'clasify'; it has .*classify"):
        vidrnn.clasify  # noqa: B018


def test_the_examples_of_the_document_run(user_folder: Path) -> None:  # noqa: F811
    """As one script without a guard, in a folder as the documents suppose it."""
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 4
    (user_folder / "examples.py").write_text("\n".join(blocks))
    outcome = Place(user_folder, user_folder).run("examples.py")
    assert outcome.returncode == 0, f"{outcome.stdout}\n{outcome.stderr}"
    assert "extracted 72, reused 0, failed 0" in outcome.stdout  # two streams in both views
    assert "unknown.mp4" in outcome.stdout


def test_python_and_the_command_line_say_the_same(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = place.folder / "clips"
    outcome = call(capsys, "classify", clips, "--model", place.model, "--output", tmp_path / "labels.jsonl")
    assert outcome.code == 3
    rows = {row["path"]: row for row in map(json.loads, (tmp_path / "labels.jsonl").read_text().splitlines())}
    assert len(rows) == 3
    model = vidrnn.load(place.model)
    found = {result.path: result for result in model.predict_all([clips])}
    assert found.keys() == rows.keys()
    for path, row in rows.items():
        said = json.loads(json.dumps(found[path].to_dict()))
        assert said == row | {"lacking": []}
        assert json.loads(json.dumps(model.predict(path).to_dict())) == said
    result = found[str(clips / "a.mp4")]
    assert next(iter(result.scores.items())) == (result.label, result.score)
    assert sum(result.scores.values()) == pytest.approx(1.0)
    assert result.scores.keys() == set(model.classes) == {"sit <down>", "raise_arms", "wave"}
    broken = found[str(clips / "broken.mp4")]
    assert (broken.status, broken.label, broken.scores) == ("failed", None, {})
    assert "failed" in repr(broken)


def test_what_cannot_be_done_is_refused_by_the_call(place: Place, tmp_path: Path) -> None:
    """Before anything is asked for, and as an error that `except vidrnn.VidrnnError` catches."""
    model = vidrnn.load(str(place.model), unknown_below=0.99)
    assert model.predict(place.folder / "clips" / "a.mp4").label == "unknown"
    for error, act in (
        (MissingPathError, lambda: vidrnn.load(tmp_path / "none.safetensors")),
        (ModelFileError, lambda: vidrnn.load(place.folder / "clips" / "a.mp4")),
        (ConfigError, lambda: vidrnn.load(place.model, device="abacus")),
        (ConfigError, lambda: vidrnn.load(place.model, unknown_below=2.0)),
        (ConfigError, lambda: vidrnn.load(place.model, workers=0)),
        (MissingPathError, lambda: model.predict(tmp_path / "none.mp4")),
        (MissingPathError, lambda: model.predict_all(tmp_path)),
        (MissingPathError, lambda: vidrnn.classify([tmp_path / "none.mp4"], model)),
        (ConfigError, lambda: model.predict(place.folder / "clips")),
        (ConfigError, lambda: model.predict(place.folder / "clips" / "a.mp4", text="sits")),
        (ConfigError, lambda: vidrnn.load_settings(REPOSITORY / "configs" / "folder.yaml", ["training.epochs=-1"])),
        (MissingPathError, lambda: vidrnn.load_settings("none.yaml")),
    ):
        with pytest.raises(error) as caught:
            act()
        assert isinstance(caught.value, vidrnn.VidrnnError)


def test_a_folder_is_answered_lazily(place: Place, tmp_path: Path) -> None:
    """Stopping early ends the decoders; a video that vanishes before its turn fails alone."""
    clips = [write_clip(tmp_path / f"{number}.mp4", pictures(4)) for number in range(4)]
    model = vidrnn.load(place.model, workers=1)
    results = model.predict_all(tmp_path)
    clips[0].unlink()
    assert {result.status for result in results} == {"ok", "failed"}
    again = model.predict_all(clips[1:])
    assert next(again).status == "ok"
    again.close()  # type: ignore[attr-defined]
    assert list(again) == []


def test_answering_imports_nothing_that_only_measuring_needs(place: Place) -> None:
    """scikit-learn brings pandas and much of SciPy: a third of the start of `vidrnn classify`."""
    outcome = place.run("-c", "import sys, vidrnn.inference.recogniser; print('sklearn' in sys.modules)")
    assert (outcome.stdout, outcome.stderr) == ("False\n", "")
