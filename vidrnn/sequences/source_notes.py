"""What people are told of stored features whose videos are no longer what they were made of."""

from vidrnn.names import quoted
from vidrnn.sequences.earlier_readings import note_outdated
from vidrnn.sequences.sequence_set import SequenceSet


def note_sources(*sets: SequenceSet | None) -> tuple[str, ...]:
    """Lines about the videos of some sets, None among them: replaced, gone, or made by an earlier version."""
    given = [one for one in sets if one is not None]
    replaced = {path: cause for one in given for path, cause in one.replaced.items()}
    sourceless = list(dict.fromkeys(path for one in given for path in one.sourceless))
    lines = []
    if replaced:
        path, cause = next(iter(replaced.items()))
        lines.append(
            f"stored features of {len(replaced)} videos are not used: the files have changed and the new ones gave "
            f"none, first {quoted(path)}: {cause}"
        )
    if sourceless:
        lines.append(
            f"{len(sourceless)} videos were gone when they were last to be extracted, first {quoted(sourceless[0])}; "
            "their stored features are used"
        )
    return (*lines, *note_outdated([path for one in given for path in one.outdated]))
