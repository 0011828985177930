"""The verb ``extract``: a pass for each stream, and with ``features.mirrored`` another over the mirrored pictures."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrnn.cli.options import Config, Overrides, load_settings
from vidrnn.errors import ExitCode

if TYPE_CHECKING:
    from vidrnn.annotations import Annotation
    from vidrnn.extraction.embedder import Embedder
    from vidrnn.extraction.extract import Progress
    from vidrnn.settings.run import RunSettings
    from vidrnn.settings.streams import OtherStream
    from vidrnn.store.folders import FeatureFolder

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
    from vidrnn.annotations import read_annotations
    from vidrnn.extraction.extract import Progress
    from vidrnn.store.folders import ABSENT_LIST
    from vidrnn.streams.passes import load_passes, notes_of, other_streams, title_of

    annotations = read_annotations(settings.data)
    passes, others = load_passes(settings.features), other_streams(settings.features)
    streams, num_passes = len(settings.features.streams), len(passes) + len(others)
    reports: list[Progress] = []
    lines: list[str] = []
    shown: set[tuple[str, str]] = set()
    plain: FeatureFolder | None = None
    for view in passes:
        reports.append(Progress())
        title = title_of(view, streams=streams)
        try:
            folder = _run_pass(
                annotations,
                settings,
                view,
                title=title,
                retry_failed=retry_failed,
                plain=plain if view.spec.is_mirrored else None,
                report=reports[-1],
            )
        except KeyboardInterrupt:
            left = num_passes * len(annotations) - sum(report.done for report in reports)
            print(f"{_summary(reports)}, {left} left", file=sys.stderr)
            raise
        _print_pass(reports[-1], folder.path / "failures.csv", shown)
        counts = f" ({reports[-1].summary()})" if num_passes > 1 else ""
        lines.append(f"{title} features: {folder.path}{counts}".lstrip())
        plain = folder
    for stream in others:
        reports.append(Progress())
        try:
            folder = _run_other(annotations, settings, stream, retry_failed=retry_failed, report=reports[-1])
        except KeyboardInterrupt:
            left = num_passes * len(annotations) - sum(report.done for report in reports)
            print(f"{_summary(reports)}, {left} left", file=sys.stderr)
            raise
        _print_pass(reports[-1], folder.path / "failures.csv", shown)
        _print_absent(reports[-1], stream, folder.path / ABSENT_LIST)
        counts = f" ({reports[-1].summary()})" if num_passes > 1 else ""
        lines.append(f"{stream} features: {folder.path}{counts}")
    for line in (*(f"note: {note}" for note in notes_of(passes)), *lines):
        print(line)
    print(_summary(reports))
    return ExitCode.SOME_FAILED if any(report.failures for report in reports) else ExitCode.OK


def _summary(reports: "Sequence[Progress]") -> str:
    """All passes together."""
    from vidrnn.extraction.extract import Progress

    return Progress(
        extracted=sum(report.extracted for report in reports),
        reused=sum(report.reused for report in reports),
        failures=[failure for report in reports for failure in report.failures],
        absent=[failure for report in reports for failure in report.absent],
    ).summary()


def _run_pass(
    annotations: "Sequence[Annotation]",
    settings: "RunSettings",
    backbone: "Embedder",
    *,
    title: str,
    retry_failed: bool,
    plain: "FeatureFolder | None",
    report: "Progress",
) -> "FeatureFolder":
    from tqdm import tqdm

    from vidrnn.extraction.extract import extract as extract_pass

    with tqdm(total=len(annotations), unit="video", desc=title or None, disable=None) as bar:

        def show() -> None:
            bar.set_postfix_str(report.speed(), refresh=False)
            bar.update()

        folder, _ = extract_pass(
            annotations,
            root=settings.data.root,
            settings=settings.features,
            backbone=backbone,
            retry_failed=retry_failed,
            plain=plain,
            progress=report,
            on_video=show,
        )
    return folder


def _run_other(
    annotations: "Sequence[Annotation]",
    settings: "RunSettings",
    stream: "OtherStream",
    *,
    retry_failed: bool,
    report: "Progress",
) -> "FeatureFolder":
    from tqdm import tqdm

    from vidrnn.streams.passes import extract_stream

    with tqdm(total=len(annotations), unit="video", desc=stream, disable=None) as bar:
        return extract_stream(
            annotations,
            stream=stream,
            root=settings.data.root,
            settings=settings.features,
            progress=report,
            retry_failed=retry_failed,
            on_video=bar.update,
        )


def _print_absent(report: "Progress", stream: "OtherStream", listed: Path) -> None:
    """Videos without a stream are no failures, but whoever expects sound wants to hear of its absence."""
    for each in report.absent[:_ABSENT]:
        print(f"absent: {stream} of {each.path}: {each.cause}")
    if len(report.absent) > _ABSENT:
        print(f"absent: and {len(report.absent) - _ABSENT} more, listed in {listed}")


def _print_pass(report: "Progress", listed: Path, shown: set[tuple[str, str]]) -> None:
    """What deserves a second look; what an earlier pass has ``shown`` of a video is not repeated."""
    notes = [each for each in report.notes if each not in shown]
    failures = [(each.path, each.cause) for each in report.failures if (each.path, each.cause) not in shown]
    shown.update(notes, failures)
    for path, note in notes[:_NOTES]:
        print(f"note: {path}: {note}")
    if len(notes) > _NOTES:
        print(f"note: and {len(notes) - _NOTES} more, kept in the feature files")
    for path, cause in failures[:_FAILURES]:
        print(f"failed: {path}: {cause}", file=sys.stderr)
    if report.failures:
        print(f"all {len(report.failures)} failures: {listed}", file=sys.stderr)
    if report.not_retried:
        print(
            f"{report.not_retried} of them failed before and were not tried again; --retry-failed tries them",
            file=sys.stderr,
        )
    if report.extracted:
        print(report.speed())
