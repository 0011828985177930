"""The verb ``explain`` whole: answers explained, the check over them, and the files and the page of it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidrnn.experiments.explained_split import ExplainableSplit
from vidrnn.experiments.provenance import provenance
from vidrnn.explanation.explanation import Explanation
from vidrnn.explanation.files import FIGURES, TABLE, write_explanations
from vidrnn.explanation.importance import Method
from vidrnn.explanation.nearest import TrainingVideos
from vidrnn.explanation.question import refuse_unexplainable
from vidrnn.explanation.removal import RemovalSummary, summarise
from vidrnn.inference.recogniser import Recogniser
from vidrnn.inference.side_files import SideFiles
from vidrnn.reporting.explanation_page import write_explanation_page
from vidrnn.reporting.options import ReportOptions, WrittenReport
from vidrnn.reporting.rendering import refuse_other_page
from vidrnn.settings.outputs import refuse_foreign_results
from vidrnn.settings.run import RunSettings

PAGE = "explanation.html"


@dataclass(frozen=True)
class ExplainOptions:
    """How answers are explained.

    Attributes:
        label: the class in question; None: the likeliest of each video.
        method: how importance is found.
        page: how the page is made.
        on_video: called after each video.
    """

    label: str | None = None
    method: Method = "occlusion"
    page: ReportOptions = field(default_factory=ReportOptions)
    on_video: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Explained:
    """What became of it.

    Attributes:
        explanations: of the videos, in order.
        failed: path to why a video cannot be explained.
        removal: the check over all of them; None where no part of a video could be removed.
        page: the page that was written.
        files: everything that was written.
        missing: annotated videos that have no features.
    """

    explanations: tuple[Explanation, ...]
    failed: Mapping[str, str]
    removal: RemovalSummary | None
    page: WrittenReport
    files: tuple[Path, ...]
    missing: tuple[str, ...] = ()


def explain_new(
    recogniser: Recogniser,
    videos: Sequence[Path],
    *,
    output: Path,
    options: ExplainOptions,
    side_files: SideFiles | None = None,
    training: TrainingVideos | None = None,
    training_root: Path | None = None,
) -> Explained:
    """Explain the answers for new videos, each of which is a group of its own.

    Args:
        recogniser: the model.
        videos: that were found already.
        output: folder for the files.
        options: how.
        side_files: texts and arrays of the videos.
        training: the videos that the model learned from.
        training_root: what the paths of those are relative to.

    Raises:
        ConfigError: see `Recogniser.explain`, or the page is there and no report. OSError: see `write_explanations`.
    """
    refuse_unexplainable(recogniser.model)
    _refuse_foreign(output)
    made: list[Explanation] = []
    failed: dict[str, str] = {}
    asked = recogniser.explain_found(
        videos, label=options.label, method=options.method, side_files=side_files, training=training
    )
    with closing(asked) as found:
        for video in found:
            if video.explanation is None:
                failed[video.path] = video.error or ""
            else:
                made.append(video.explanation)
            options.on_video()
    groups = {explanation.path: explanation.path for explanation in made}
    places = [options.page.videos] if options.page.videos else [Path()]
    places += [training_root] if training_root is not None else []
    settings = recogniser.model.settings
    return _write(output, made, failed=failed, groups=groups, places=places, settings=settings, options=options)


def explain_split(
    split: ExplainableSplit, *, name: str, root: Path, output: Path, options: ExplainOptions
) -> Explained:
    """Explain the answers for the stored videos of a split.

    Args:
        split: its videos.
        name: what it is called.
        root: what the paths of its videos are relative to.
        output: folder for the files.
        options: how.

    Raises:
        ConfigError: see `vidrnn.explanation.explanation.explain`, or the page is there and no report. OSError: see
            `write_explanations`.
    """
    _refuse_foreign(output)
    made = list(split.explain_all(label=options.label, method=options.method, on_video=options.on_video))
    groups = dict(zip(split.paths, split.groups, strict=True))
    places = [options.page.videos] if options.page.videos else [root, Path()]
    missing, settings = split.sequences.missing, split.model.settings
    written = _write(
        *(output, made), failed={}, groups=groups, places=places, settings=settings, options=options, split=name
    )
    return Explained(written.explanations, {}, written.removal, written.page, written.files, missing)


def _refuse_foreign(output: Path) -> None:
    """Refuse a folder in which files would be replaced that vidrnn did not write, before any work is done."""
    refuse_other_page(output / PAGE)
    refuse_foreign_results(output, (TABLE, FIGURES))


def _write(
    output: Path,
    made: Sequence[Explanation],
    *,
    failed: Mapping[str, str],
    groups: Mapping[str, str],
    places: Sequence[Path],
    settings: RunSettings,
    options: ExplainOptions,
    **facts: Any,  # noqa: ANN401  what explanation.json also says
) -> Explained:
    checked = [explanation for explanation in made if explanation.removal is not None]
    removals = [explanation.removal for explanation in checked if explanation.removal is not None]
    summary = summarise(removals, [groups[explanation.path] for explanation in checked])
    facts |= {"method": options.method, **provenance(settings)}
    files = write_explanations(output, made, summary=summary, failed=failed, facts=facts)
    page = write_explanation_page(
        output / PAGE,
        made,
        failed=failed,
        summary=summary,
        places=places,
        features=settings.features,
        options=options.page,
    )
    return Explained(tuple(made), failed, summary, page, (*files, page.path))
