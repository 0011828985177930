"""What to do next, read off the figures of a run."""

import math
from collections.abc import Sequence

from vidrnn.reporting.clips import Clip
from vidrnn.reporting.matrix import Matrix
from vidrnn.reporting.run_folder import Run
from vidrnn.reporting.words import figure, nothing_learned, worth_of_recurrence

_FEW_CLIPS, _LOW_RECALL = 15, 0.7
_CLOSE = 0.1  # a baseline without pixels that comes this near to the model
_LARGE_ECE = 0.1


def advice_for(
    run: Run,
    *,
    matrix: Matrix | None,
    mistakes: Sequence[Clip],
    classes: Sequence[dict[str, object]],
    ece: float | None,
) -> list[str]:
    """Sentences, the most urgent first; what does not apply is left out."""
    found = [*_about_trust(run), *_about_labels(matrix, mistakes, classes)]
    if ece is not None and ece > _LARGE_ECE:
        found.append(
            f"Scores and truth are {100 * ece:.0f} points apart on average. `vidrnn train` with validation videos "
            "fits a temperature that brings them together."
        )
    if run.table is None:
        found.insert(0, missing_predictions(run))
    return found


def missing_predictions(run: Run) -> str:
    """What writes the predictions that a run lacks."""
    if run.verb == "train":
        return (
            "A training writes no predictions. `vidrnn evaluate --model model.safetensors --config config.yaml "
            "--output test` in this folder makes some (`--split val` where there are no test videos), and "
            "`vidrnn report test` then shows its clips and confusions."
        )
    return "predictions.csv is not here: run the command again that made this folder, to see clips and confusions."


def _about_trust(run: Run) -> list[str]:
    found = []
    if nothing_learned(run) or not worth_of_recurrence(run).is_gain:
        found.append(
            "Before anything else, find out whether time matters here: try another `model.cell`, more `training.steps` "
            "or a stream of motion, and compare two runs with `vidrnn compare`."
        )
    metadata = run.baselines.get("metadata_only", math.nan)
    if run.headline.higher_is_better and metadata >= run.value - _CLOSE:
        found.append(
            f"Size, length and frame rate alone reach {figure(metadata)}: run `vidrnn check`, and cut and encode all "
            "classes alike."
        )
    missing = run.figures.get("missing_features") or []
    if isinstance(missing, list) and missing:
        found.append(
            f"{len(missing)} annotated videos have no features and are not counted: run `vidrnn extract` with "
            "`--retry-failed`, and read its report."
        )
    return found


def _about_labels(matrix: Matrix | None, mistakes: Sequence[Clip], classes: Sequence[dict[str, object]]) -> list[str]:
    found = []
    if mistakes:
        which = "largest errors" if matrix is None else "surest mistakes"
        found.append(
            f"Look at the {which} first. A wrong annotation looks just like one, and correcting it costs least."
        )
    pairs = matrix.pairs if matrix is not None and matrix.is_square else []
    if matrix is not None and pairs and pairs[0].share >= 0.15:
        worst = pairs[0]
        truth, predicted = matrix.rows[worst.row], matrix.columns[worst.column]
        found.append(
            f"“{truth}” is called “{predicted}” in {100 * worst.share:.0f} % of all cases. If you cannot tell "
            "the clips in that cell apart either, the classes want another definition; if you can, label more of both."
        )
    few = [row for row in classes if 0 < int(str(row["n"])) < _FEW_CLIPS and float(str(row["value"])) < _LOW_RECALL]
    if few and matrix is not None and matrix.unit == "answers":
        rarest = min(few, key=lambda row: (float(str(row["value"])), int(str(row["n"]))))
        found.append(
            f"Label more of “{rarest['name']}”: it has {rarest['n']} clips here and {rarest['shown']} are found."
        )
    return found
