"""`vidrnn.processes`: what is started is told of no script, and nobody else loses theirs."""

import sys
import threading
import types
from multiprocessing import spawn

import pytest

from vidrnn import processes


class Started:
    """A process that only asks what it would be told."""

    def __init__(self, then: object = None) -> None:
        self.told: dict[str, object] = {}
        self.beside: dict[str, object] = {}
        self._then = then

    def start(self) -> None:
        self.told = spawn.get_preparation_data("decoder")
        other = threading.Thread(target=lambda: self.beside.update(spawn.get_preparation_data("another")))
        other.start()
        other.join()
        if isinstance(self._then, Exception):
            raise self._then


@pytest.mark.parametrize(
    ("main", "key"),
    [
        ({"__file__": "/somewhere/script.py", "__spec__": None}, "init_main_from_path"),
        ({"__file__": "<stdin>", "__spec__": None}, "init_main_from_path"),
        ({"__spec__": types.SimpleNamespace(name="a.module")}, "init_main_from_name"),
    ],
)
def test_a_decoder_is_told_of_no_script_and_others_are(
    monkeypatch: pytest.MonkeyPatch, main: dict[str, object], key: str
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", types.SimpleNamespace(**main))  # type: ignore[arg-type]
    honest, decoder = spawn.get_preparation_data, Started()
    assert key in honest("another")
    processes.start(decoder)  # type: ignore[arg-type]
    assert key not in decoder.told
    assert {"sys_path", "dir", "authkey"} <= decoder.told.keys()
    assert key in decoder.beside
    assert spawn.get_preparation_data is honest


def test_a_failed_start_leaves_everything_as_it_was() -> None:
    honest = spawn.get_preparation_data
    with pytest.raises(OSError, match="no more processes"):
        processes.start(Started(OSError("no more processes")))  # type: ignore[arg-type]
    assert spawn.get_preparation_data is honest
    processes.start(Started())  # type: ignore[arg-type]  not locked
