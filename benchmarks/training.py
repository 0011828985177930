"""Does the fit loop cost anything? The same model, optimiser and batches in `fit` and in a bare PyTorch loop.

    python -m benchmarks.training [--epochs 7] [--device cuda]

The bare loop has its float batches gathered before the clock starts; `fit` draws steps, gathers them from resident
float16 features, sets the learning rate and keeps its log. Epochs of the two alternate, so that other load on the
machine meets both. The first epoch of each is thrown away. The last line is JSON.
"""

import statistics
import time

import numpy as np
import torch
from torch import nn

from benchmarks.common import make_parser, print_json, print_machine
from vidrnn.annotations import Annotation
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.sequences.sequence_set import SequenceSet
from vidrnn.sequences.steps import choose_steps
from vidrnn.sequences.stream_table import StreamTable
from vidrnn.sequences.targets import Targets
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.fit import fit
from vidrnn.training.objective import Objective, make_optimiser

SEQUENCES, CACHED_STEPS, DIM, STEPS, BATCH, CLASSES = 512, 100, 1280, 24, 16, 10


def make_sequences(device: torch.device) -> SequenceSet:
    """Noise in the shape of cached EfficientNet-Lite0 features."""
    generator = torch.Generator().manual_seed(0)
    totals = torch.full((SEQUENCES,), CACHED_STEPS)
    features = torch.randn(SEQUENCES * CACHED_STEPS, DIM, generator=generator).half().to(device)
    return SequenceSet(
        tuple(Annotation(f"{number}.mp4", f"{number % CLASSES}", None, f"{number}") for number in range(SEQUENCES)),
        {"rgb": StreamTable(features, totals.cumsum(0) - totals, totals)},
        totals,
        Targets((torch.arange(SEQUENCES) % CLASSES).to(device)),
        np.zeros((SEQUENCES, 4)),
    )


class BareLoop:
    """What one would write by hand for tensors that are already in place."""

    def __init__(self, train: SequenceSet, model: ModelSettings, settings: TrainingSettings) -> None:
        self.model = SequenceClassifier(model, dim=DIM, num_classes=CLASSES).to(train.device).train()
        self.optimiser = make_optimiser(self.model, settings)
        self.loss = Objective(settings, "label", train=train, num_classes=CLASSES)
        self.clip_norm = settings.clip_norm
        self.batches = [
            train.batch(positions, choose_steps(train.totals[positions], STEPS), model)
            for positions in torch.split(torch.arange(SEQUENCES), BATCH)
        ]

    def epoch(self) -> float:
        """Seconds of one epoch."""
        started = time.perf_counter()
        for batch in self.batches:
            value = self.loss(self.model(batch.features, batch.lengths), batch.targets, batch.lengths)
            self.optimiser.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
            self.optimiser.step()
        if value.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - started


def measure(device: torch.device, epochs: int) -> tuple[dict[str, list[float]], ModelSettings]:
    """Seconds of each epoch of both loops, without the first one."""
    model = ModelSettings(inputs=("features",), cell="gru", hidden_size=128, dropout=0.5)  # as filed
    train = make_sequences(device)
    settings = TrainingSettings(steps=STEPS, batch_size=BATCH, epochs=epochs + 1, device=device.type)
    bare = BareLoop(train, model, settings)
    seconds: dict[str, list[float]] = {"fit": [], "bare": []}

    def alternate(row: dict[str, float]) -> None:
        seconds["fit"].append(row["seconds"])
        seconds["bare"].append(bare.epoch())

    fit(train, None, num_classes=CLASSES, model_settings=model, settings=settings, on_epoch=alternate)
    return {name: values[1:] for name, values in seconds.items()}, model


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--epochs", type=int, default=7, help="measured epochs of each loop")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    seconds, model = measure(torch.device(options.device), options.epochs)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    print_machine("torch")
    print(f"{SEQUENCES} sequences of {CACHED_STEPS} cached steps, D = {DIM},")
    print(f"{STEPS} steps, batch {BATCH}, {CLASSES} classes; {model.model_dump()}\n")
    print("| loop | median s/epoch | fastest | slowest | sequences/s |")
    print("|---|---|---|---|---|")
    for name, values in seconds.items():
        rate = SEQUENCES / median[name]
        print(f"| {name} | {median[name]:.3f} | {min(values):.3f} | {max(values):.3f} | {rate:.0f} |")
    print_json(
        {
            "fit_sequences_per_s": SEQUENCES / median["fit"],
            "bare_sequences_per_s": SEQUENCES / median["bare"],
            "ratio": median["bare"] / median["fit"],
        }
    )


if __name__ == "__main__":
    main()
