"""The page of ``vidrnn explain``: filmstrips, which moments count, and whether that can be believed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vidrnn.explanation.explanation import Explanation
from vidrnn.explanation.removal import RemovalSummary
from vidrnn.reporting.clips import Clip, Seconds
from vidrnn.reporting.filmstrips import make_filmstrips
from vidrnn.reporting.folders import Places, shown_paths, without_folders
from vidrnn.reporting.options import ReportOptions, WrittenReport
from vidrnn.reporting.rendering import ROOM_FOR_IMAGES, render, write_page
from vidrnn.reporting.views import LONGEST_NAME, Strips, shortened
from vidrnn.settings.features import FeatureSettings

_MOST_FAILED = 50
_NO_CLIP = "No clip can be shown: the videos are not where they were. `--videos FOLDER` says where they are."


def write_explanation_page(
    output: Path,
    explanations: Sequence[Explanation],
    *,
    failed: Mapping[str, str],
    summary: RemovalSummary | None,
    places: Sequence[Path],
    features: FeatureSettings,
    options: ReportOptions,
) -> WrittenReport:
    """Write the page.

    Args:
        output: the page.
        explanations: of all videos, of which the first are shown.
        failed: path to why a video cannot be explained.
        summary: the check over all videos; None where there is none.
        places: folders that the paths of the videos may be relative to.
        features: how the steps of the videos were chosen.
        options: how many clips are shown.

    Raises:
        OSError: the page cannot be written.
    """
    clipped = explanations[: options.clips]
    alike = dict.fromkeys(neighbour.path for explanation in clipped for neighbour in explanation.nearest)
    shown = shown_paths([*(explanation.path for explanation in explanations), *failed, *alike])
    clips = {_clip(explanation, shown): explanation for explanation in clipped}
    wanted = dict.fromkeys([*(clip.shown for clip in clips), *((shown.get(path, path), None) for path in alike)])
    options.on_total(len(wanted))
    videos = Places(shown, have_moved=options.videos is not None)
    on_disk = videos.on_disk(wanted)
    found = make_filmstrips(on_disk, places, features=features, workers=options.workers, on_clip=options.on_clip)
    strips = Strips(videos.on_page(found), room=ROOM_FOR_IMAGES)
    problems = (_NO_CLIP,) if clips and not strips.images else ()
    context: dict[str, Any] = {
        "name": shortened(output.resolve().parent.name, LONGEST_NAME),
        "num_videos": len(explanations),
        "method": explanations[0].method if explanations else "",
        "is_number": bool(explanations) and explanations[0].label is None,
        "summary": summary,
        "clips": [strips.explained(clip, explanation, shown) for clip, explanation in clips.items()],
        "strip_height": strips.height,
        "failed": _shown_failures(failed, shown),
        "num_failed": len(failed),
        "problems": problems,
    }
    size, num_strips = write_page(output, render("explanation.html.j2", context), strips.images)
    return WrittenReport(output, size, num_strips, problems)


def _shown_failures(failed: Mapping[str, str], shown: Mapping[str, str]) -> list[tuple[str, str]]:
    first = list(failed.items())[:_MOST_FAILED]
    return [(shown.get(path, path), shortened(without_folders(error), 300)) for path, error in first]


def _clip(explanation: Explanation, shown: Mapping[str, str]) -> Clip:
    """What the model looked at of the video, so that the bars stand below their pictures."""
    answer = f"{explanation.score:.4g}" if explanation.label is None else explanation.label
    stretch = Seconds(float(explanation.bounds_s[0]), float(explanation.bounds_s[-1]))
    truth = explanation.truth or ""
    return Clip(
        shown.get(explanation.path, explanation.path),
        truth,
        answer,
        not truth or truth == answer,
        None if explanation.label is None else explanation.score,
        1.0,
        stretch,
    )
