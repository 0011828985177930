"""A report of whatever a verb wrote: the folder of a run, a comparison, or a file of predictions."""

from pathlib import Path

from vidrnn.errors import ConfigError, MissingPathError
from vidrnn.names import quoted
from vidrnn.reporting.answers_page import report_answers
from vidrnn.reporting.comparison_page import read_comparison, report_comparison
from vidrnn.reporting.options import ReportOptions, WrittenReport
from vidrnn.reporting.page import report_run
from vidrnn.reporting.rendering import refuse_other_page

_OF_A_RUN = ("crossval.json", "metrics.json", "predictions.csv", "config.yaml")


def write_report(place: Path, *, output: Path | None = None, options: ReportOptions | None = None) -> WrittenReport:
    """Write the report of a run as one HTML file.

    Args:
        place: a folder that ``crossval``, ``evaluate`` or ``train`` wrote, a file that ``compare`` or ``classify``
            wrote, or the folder of one such file.
        output: the page; None: ``report.html`` in the folder, ``NAME.report.html`` beside a file.
        options: how it is made.

    Raises:
        MissingPathError: there is nothing that can be reported. ConfigError: the file is of another kind,
            or the output is there and no report. OSError: the page cannot be written.
    """
    options = options or ReportOptions()
    if not place.exists():
        raise MissingPathError(f"{quoted(place)} does not exist; give a folder or file that a verb of vidrnn wrote")
    file = place if place.is_file() else _only_file(place)
    beside = place / "report.html" if file is None or place.is_dir() else file.with_name(f"{file.name}.report.html")
    page = output or beside
    refuse_other_page(page)
    if file is None:
        return report_run(place, page, options)
    if file.suffix == ".json":
        return report_comparison(file, page, options)
    if file.suffix in {".csv", ".jsonl", ".parquet"}:
        return report_answers(file, page, options)
    raise ConfigError(
        f"{quoted(file)} is nothing that can be reported; give the folder of a run, a .json of `vidrnn compare`, or a "
        ".csv, .jsonl or .parquet of `vidrnn classify`"
    )


def _only_file(folder: Path) -> Path | None:
    """The one comparison or file of predictions of a folder that is no run; None where it is one, or holds neither."""
    if any((folder / name).is_file() for name in _OF_A_RUN):
        return None
    answers = [path.with_name(path.name.removesuffix(".origin.json")) for path in folder.glob("*.origin.json")]
    found = sorted(path for path in answers if path.is_file()) + sorted(filter(_is_comparison, folder.glob("*.json")))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ConfigError(f"{quoted(folder)} holds {len(found)} files that can be reported: {names}; name one of them")
    return found[0] if found else None


def _is_comparison(path: Path) -> bool:
    try:
        return bool(read_comparison(path))
    except (ConfigError, OSError):
        return False
