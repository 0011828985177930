"""The answers of fits that a cross-validation has finished, so that one that was stopped goes on where it was.

    OUTPUT/fits/<16 hex digits>.npz     named by all that the fit depends on

The folder goes when the cross-validation is complete.
"""

import hashlib
import io
import re
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from vidrnn.atomic import write_atomically
from vidrnn.training.predict import Answers

_OWN = re.compile(r"[0-9a-f]{16}\.npz|\.[0-9a-f]{16}\.part")


class FinishedFits:
    """What is kept in the folder of a result.

    Args:
        output: that folder.
        fingerprint: of all that every fit depends on: settings, data, version.
    """

    def __init__(self, output: Path, fingerprint: str) -> None:
        self._folder, self._fingerprint = output / "fits", fingerprint

    def get(self, fit: str) -> Answers | None:
        """The answers of a fit by its name, None where it is still to be made."""
        try:
            with np.load(self._file_of(fit), allow_pickle=False) as arrays:
                averaged = [arrays[f"averaged {video}"] for video in range(int(arrays["videos"]))]
                single = tuple(
                    [arrays[f"single {number} {video}"] for video in range(len(averaged))]
                    for number in range(int(arrays["singles"]))
                )
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
            return None
        return Answers(averaged, single)

    def add(self, fit: str, answers: Answers) -> None:
        """Keep the answers of a fit. Raises OSError."""
        arrays = {f"averaged {video}": output for video, output in enumerate(answers.averaged)}
        for number, singles in enumerate(answers.single):
            arrays |= {f"single {number} {video}": output for video, output in enumerate(singles)}
        content = io.BytesIO()
        videos, singles_there = np.asarray(len(answers.averaged)), np.asarray(len(answers.single))
        np.savez(content, videos=videos, singles=singles_there, **arrays)  # type: ignore[arg-type]  # the stub errs
        write_atomically(self._file_of(fit), content.getvalue())

    def clear(self) -> None:
        """Everything is in the result. What else is in the folder stays, and so does the folder then."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                if _OWN.fullmatch(path.name):
                    path.unlink()
            self._folder.rmdir()

    def _file_of(self, fit: str) -> Path:
        name = hashlib.sha256(f"{self._fingerprint}\n{fit}".encode(errors="surrogatepass")).hexdigest()[:16]
        return self._folder / f"{name}.npz"
