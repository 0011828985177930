"""What corrections do to the number of cross-validation: real fits on a store, with the labels of the page."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.app.app_worlds import BASE, page
from tests.worlds import ONE_NODE, fill_store, tiny_model, tiny_training
from vidrnn.app.measuring import Measuring, measuring_for
from vidrnn.cli.app import main
from vidrnn.errors import ConfigError
from vidrnn.settings.base import dump_yaml
from vidrnn.settings.data import DataSettings
from vidrnn.settings.evaluation import EvaluationSettings
from vidrnn.settings.extraction import ExtractionSettings
from vidrnn.settings.run import RunSettings

WRONG = ("clips/3.mp4", "clips/8.mp4")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Twelve clips of four groups whose features tell the class; of two the annotations tell another."""
    rng, rows, sequences = np.random.default_rng(0), [], {}
    for number in range(12):
        path, label = f"clips/{number}.mp4", number % 2
        sequences[path] = (np.eye(4)[label] * 3 + 0.1 * rng.normal(size=(6, 4))).astype(np.float32)
        said = 1 - label if path in WRONG else label
        rows.append(f"{path},class{said},g{number // 3}")
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "list.csv").write_text("\n".join(["path,label,group", *rows]) + "\n")
    fill_store(tmp_path / "store", sequences, dim=4, settings=ONE_NODE)
    settings = RunSettings(
        data=DataSettings(root=tmp_path, format="csv", annotations="list.csv"),
        features=ONE_NODE,
        extraction=ExtractionSettings(store=tmp_path / "store", device="cpu"),
        model=tiny_model(),
        training=tiny_training(epochs=20, device="cpu"),
        evaluation=EvaluationSettings(seeds=3, baselines=False, bootstrap=50),
    )
    (tmp_path / "config.yaml").write_text(dump_yaml(settings))
    return tmp_path / "config.yaml"


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verb itself, without a process that imports everything again."""

    def call(_self: Measuring, command: list[str]) -> None:
        assert command[:4] == [sys.executable, "-m", "vidrnn", "crossval"]
        monkeypatch.setattr(sys, "argv", [*command[2:], "--jobs", "1"])
        with pytest.raises(SystemExit) as stop:
            main()
        assert not stop.value.code

    monkeypatch.setattr(Measuring, "_run", call)


def wait_for(state: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    until = time.monotonic() + 120
    while (found := state())["running"]:
        assert time.monotonic() < until and found["since_s"] >= 0
        time.sleep(0.02)
    return found


@pytest.mark.usefixtures("in_this_process")
def test_corrected_labels_change_the_number_and_the_page_says_how(config: Path) -> None:
    with page(config=config, labels=config.with_name("l.jsonl")) as (client, _):
        names = [row["name"] for row in client.get(f"{BASE}clips").json()["rows"]]
        assert client.get(f"{BASE}about").json()["can_measure"]
        assert client.get(f"{BASE}crossval").json() == {"running": False}
        for name in WRONG:
            truth = f"class{int(Path(name).stem) % 2}"
            client.post(f"{BASE}clips/{names.index(name)}/label", json={"label": truth})
        assert client.post(f"{BASE}crossval", json={"baselines": False}).json()["running"]
        assert (
            client.post(f"{BASE}crossval", json={"baselines": False}).json()["error"]
            == "a cross-validation is running; wait for its figures"
        )
        found = wait_for(lambda: client.get(f"{BASE}crossval").json())["figures"]
    assert (found["n"], found["changed"]) == (12, 2)
    assert found["before"]["top1"] <= 10 / 12 and found["after"]["top1"] == 1.0
    assert found["same_answers"] > found["before"]["top1"]
    assert "seeds 0" in found["protocol"] and "majority" in found["after"]["baselines"]


@pytest.mark.usefixtures("in_this_process")
def test_the_next_one_is_compared_with_the_last(config: Path) -> None:
    with page(config=config, labels=config.with_name("l.jsonl")) as (client, session):
        assert session.measuring is not None
        for _ in range(2):
            client.post(f"{BASE}crossval", json={"baselines": False})
            found = wait_for(session.measured)["figures"]
            assert found["changed"] == 0 and found["before"] == found["after"]
            assert found["same_answers"] == pytest.approx(found["before"]["top1"])
        assert session.measuring._count == 3


def test_what_the_verb_says_of_an_error_is_said(config: Path, tmp_path: Path) -> None:
    with page(config=config, labels=tmp_path / "l.jsonl") as (_, session):
        measuring = session.measuring
        assert measuring is not None
        lines = "print('note: x', file=sys.stderr); print('error: no features', file=sys.stderr); sys.exit(2)"
        with pytest.raises(ConfigError, match=r"^no features$"):
            measuring._run([sys.executable, "-c", f"import sys; {lines}"])


def test_a_page_that_is_closed_ends_what_runs(config: Path, tmp_path: Path) -> None:
    with page(config=config, labels=tmp_path / "l.jsonl") as (_, session):
        measuring = session.measuring
        assert measuring is not None
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        ended: list[str] = []

        def run() -> None:
            try:
                measuring._run(command)
            except ConfigError as error:
                ended.append(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        while measuring._process is None:
            time.sleep(0.01)
    thread.join(60)
    assert ended == ["exit code -9"]


def test_other_folders_and_heads_are_not_measured(tmp_path: Path) -> None:
    settings = RunSettings(
        data=DataSettings(root=tmp_path, format="csv", annotations="a.csv"), model=tiny_model(head="multilabel")
    )
    assert measuring_for(None, (), tmp_path, root=tmp_path) == (None, [])
    for root, message in (
        (
            tmp_path.parent,
            f"labels cannot be measured: they are of '{tmp_path.parent}', and the features of '{tmp_path}'",
        ),
        (None, f"labels cannot be measured: they are of several folders, and the features of '{tmp_path}'"),
        (tmp_path, "the page measures models of head 'label', and the configuration says 'multilabel'"),
    ):
        assert measuring_for(settings, (), tmp_path, root=root) == (None, [message])
