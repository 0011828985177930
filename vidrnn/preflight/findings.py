"""What `vidrnn check` found, and what follows from it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from vidrnn.errors import ExitCode
from vidrnn.settings.data import Risk

_EXAMPLES = 10


@dataclass(frozen=True)
class Finding:
    """Something that deserves attention.

    Attributes:
        level: ``refused`` (a result would be wrong), ``accepted`` (the same, but ``data.accept`` names it),
            ``warning``, or ``failed`` (videos that cannot be used).
        text: what, and what to do.
        examples: such as pairs of files.
        risk: its name in ``data.accept``; None where there is nothing to accept.
    """

    level: Literal["refused", "accepted", "warning", "failed"]
    text: str
    examples: tuple[str, ...] = ()
    risk: Risk | None = None

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.level}: {self.text}"
        for example in self.examples[:_EXAMPLES]:
            yield f"  {example}"
        if len(self.examples) > _EXAMPLES:
            yield f"  and {len(self.examples) - _EXAMPLES} more"
        if self.level == "refused" and self.risk:
            yield f"  to go on all the same: data.accept: [{self.risk}]"


def leak(risk: Risk | None, text: str, *, accept: Collection[Risk], examples: Sequence[str] = ()) -> Finding:
    """A finding that is refused unless it was accepted on purpose."""
    return Finding("accepted" if risk in accept else "refused", text, tuple(examples), risk)


def exit_code(findings: Sequence[Finding]) -> ExitCode:
    """2 when anything is refused, else 3 when videos cannot be used, else 0."""
    levels = {finding.level for finding in findings}
    if "refused" in levels:
        return ExitCode.USAGE
    return ExitCode.SOME_FAILED if "failed" in levels else ExitCode.OK
