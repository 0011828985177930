"""The verb ``extract``: all that is missing of each video, for every stream and view."""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.options import Config, Overrides, load_settings, print_note
from vidrnn.errors import ExitCode
from vidrnn.names import writable

if TYPE_CHECKING:
    from vidrnn.extraction.extract import Report
    from vidrnn.extraction.progress import Progress
    from vidrnn.settings.run import RunSettings

_NOTES, _FAILURES, _ABSENT = 10, 20, 3  # shown of each pass


def extract(
    config: Config,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also try videos that failed before and have not changed.")
    ] = False,
    overrides: Overrides = None,
) -> int:
    """Videos to features in the store; finished ones are reused, failures are listed."""
    from vidrnn.extraction.processes import warm_up

    warm_up()  # before PyTorch is imported here: both imports then run at the same time
    return _run_extraction(load_settings(config, overrides), retry_failed=retry_failed)


def _run_extraction(settings: "RunSettings", *, retry_failed: bool) -> ExitCode:
    """Fill the store and print a report; its last line counts each video once for each pass.

    Raises:
        AnnotationError, ConfigError, WeightsError: nothing was extracted. OSError: the store cannot be written.
        KeyboardInterrupt: after a line that says how far it came.
    """
    from tqdm import tqdm

    from vidrnn.annotations import read_annotations
    from vidrnn.extraction.extract import Report
    from vidrnn.streams.extract_all import extract_all
    from vidrnn.streams.passes import all_passes, notes_of

    features, extraction, root = settings.features, settings.extraction, settings.data.root
    notes: list[str] = []
    annotations = read_annotations(settings.data, notes)
    for note in notes:
        print_note(note)
    passes = all_passes(annotations, root=root, features=features, extraction=extraction)
    has_texts = "text" in features.streams  # which are read in a round of their own
    num_passes, rounds = len(passes) + has_texts, bool(passes) + has_texts
    report = Report()
    try:
        with tqdm(total=len(annotations) * rounds, unit="video", disable=None) as bar:

            def show() -> None:
                bar.set_postfix_str(str(report.speed), refresh=False)
                bar.update()

            extract_all(
                annotations,
                passes,
                root=root,
                features=features,
                extraction=extraction,
                retry_failed=retry_failed,
                report=report,
                on_video=show,
            )
    except KeyboardInterrupt:
        left = num_passes * len(annotations) - report.whole.done
        print(f"{report.whole.summary()}, {left} left", file=sys.stderr)
        raise
    _print(report, notes_of(passes), streams=len(features.streams))
    return ExitCode.SOME_FAILED if report.whole.failures else ExitCode.OK


def _print(report: "Report", engine_notes: Sequence[str], *, streams: int) -> None:
    """What deserves a look, where the features are, and how many there are."""
    from vidrnn.settings.streams import PICTURE_STREAMS
    from vidrnn.store.not_made import ABSENT_LIST, FAILURE_LIST
    from vidrnn.streams.passes import title_of

    shown: set[tuple[str, str]] = set()
    lines = []
    for folder, progress in zip(report.folders, report.passes, strict=True):
        _print_pass(progress, folder.path / FAILURE_LIST, shown)
        if folder.spec.stream not in PICTURE_STREAMS:
            _print_absent(progress, folder.spec.stream, folder.path / ABSENT_LIST)
        counts = f" ({progress.summary()})" if len(report.passes) > 1 else ""
        lines.append(f"{title_of(folder.spec, streams=streams)} features: {folder.path}{counts}".lstrip())
    if report.speed.videos:
        print(report.speed)
    for line in (*(f"note: {note}" for note in engine_notes), *lines):
        print(line)
    if report.whole.changed:
        print_note(made_anew(report.whole.changed))
    print(report.whole.summary())


def made_anew(changed: Mapping[str, str]) -> str:
    """How many videos an earlier version read in another way, and in what."""
    reasons = ", ".join(f"{reason}: {count}" for reason, count in Counter(changed.values()).most_common())
    return f"{len(changed)} of the videos are read in another way than by an earlier version, and made anew ({reasons})"


def _print_absent(report: "Progress", stream: str, listed: Path) -> None:
    """Videos without a stream are no failures, but whoever expects sound wants to hear of its absence."""
    for absence in report.absent[:_ABSENT]:
        print(f"absent: {stream} of {writable(absence.path)}: {absence.cause}")
    if len(report.absent) > _ABSENT:
        print(f"absent: and {len(report.absent) - _ABSENT} more, listed in {listed}")


def _print_pass(report: "Progress", listed: Path, shown: set[tuple[str, str]]) -> None:
    """What deserves a second look; what an earlier pass has ``shown`` of a video is not repeated."""
    notes = [note for note in report.notes if note not in shown]
    failures = [pair for failure in report.failures if (pair := (failure.path, failure.cause)) not in shown]
    shown.update(notes, failures)
    for path, note in notes[:_NOTES]:
        print(f"note: {writable(path)}: {note}")
    if len(notes) > _NOTES:
        print(f"note: and {len(notes) - _NOTES} more, kept in the feature files")
    for path, cause in failures[:_FAILURES]:
        print(f"failed: {writable(path)}: {cause}", file=sys.stderr)
    if report.failures:
        print(f"all {len(report.failures)} failures: {listed}", file=sys.stderr)
    if report.not_retried:
        print(
            f"{report.not_retried} of them failed before and were not tried again; --retry-failed tries them",
            file=sys.stderr,
        )
