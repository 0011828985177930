"""One thing that `vidrnn doctor` says."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "missing", "refused"]
_SIGNS: dict[Level, str] = {"ok": " ", "note": "-", "missing": "!", "refused": "!"}


@dataclass(frozen=True)
class Remark:
    """One thing that was looked at.

    Attributes:
        part: what it belongs to, such as ``packages``.
        name: what it is.
        value: what was found, in words.
        level: ``ok``; ``note``: done without; ``missing``: vidrnn needs it; ``refused``: the configuration needs it.
        advice: what to do; empty where there is nothing to do.
    """

    part: str
    name: str
    value: str
    level: Level = "ok"
    advice: str = ""

    @property
    def is_problem(self) -> bool:
        """Whether something that is needed is not there."""
        return self.level in {"missing", "refused"}

    def line(self, width: int) -> str:
        """For people, with the name in a column of this width."""
        behind = f"; {self.advice}" if self.advice else ""
        return f"{_SIGNS[self.level]} {self.name:<{width}}  {self.value}{behind}"
