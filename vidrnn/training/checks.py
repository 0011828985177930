"""What can be seen to go wrong before a fit."""

from itertools import pairwise

from vidrnn.errors import TrainingError
from vidrnn.names import quoted
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import choose_steps
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings


def check_inputs(train: SequenceSet, model: ModelSettings) -> None:
    """Refuse a stream of which the model would see nothing. Raises TrainingError."""
    for stream, table in train.streams.items():
        inputs = model.of_stream(stream).inputs
        if "features" in inputs or int(table.totals.max()) != 1:
            continue
        if len(train.streams) == 1:
            raise TrainingError(
                f"every training video has one step, of which model.inputs {', '.join(inputs)} show nothing; add "
                "features to model.inputs"
            )
        raise TrainingError(
            f"every training video has one step of {stream} at most, of which {', '.join(inputs)} show nothing; set "
            f"model.stream_inputs: {{{stream}: [features]}}"
        )


def check_transcripts(sequences: SequenceSet, settings: TrainingSettings) -> None:
    """CTC puts one label at most on a step, and a blank between two equal ones. Raises TrainingError."""
    lengths = choose_steps(sequences.totals, settings.steps).lengths.tolist()
    for annotation, length in zip(sequences.annotations, lengths, strict=True):
        names = annotation.names
        needed = len(names) + sum(before == after for before, after in pairwise(names))
        if needed > length:
            raise TrainingError(
                f"transcript of {quoted(annotation.path)} has {len(names)} labels and needs {needed} steps, "
                "but the video "
                f"gives {length}; raise training.steps, or extract at a higher features.rate"
            )
