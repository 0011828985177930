"""Time and memory of a training step against the number of steps T, for every layer type; and forms of the scan.

    python -m benchmarks.temporal --plot temporal.png

A training step is forward, backward and AdamW of the whole classifier: one bidirectional layer of 128 units per
direction, 8 sequences of 256 features. Memory is the highest sum of what PyTorch's allocator gave out and did not get
back during the first step, gradients and optimiser state included. A type stops where the next step would take longer
than --limit seconds, growing as it last did. `gru, ragged` has sequences of T/2 to T steps. On a CPU, seconds are those
that the one thread had the processor, which other work on the machine touches least.

The second part compares ways to compute one minGRU recurrence, against a loop in float64 on the same rounded inputs.
The last line is JSON.
"""

import statistics
import sys
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from benchmarks.common import make_parser, print_json, print_machine
from vidrnn.evaluation.report import format_table
from vidrnn.models.classifier import SequenceClassifier
from vidrnn.models.scan import linear_scan
from vidrnn.settings.base import validate
from vidrnn.settings.model import ModelSettings
from vidrnn.settings.training import TrainingSettings
from vidrnn.training.objective import make_optimiser

BATCH, DIM, CLASSES = 8, 256, 10
CELLS = ("rnn", "gru", "gru, ragged", "lstm", "mingru", "minlstm", "transformer", "tcn")
LENGTHS = tuple(2**power for power in range(4, 14))
SCAN_STEPS = (1024, 4096, 16_384)


def clock(device: torch.device) -> float:
    """Seconds: of this process on a CPU, of the wall clock once a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def measure(cell: str, steps: int, device: torch.device) -> dict[str, float]:
    """Median seconds of a training step and its peak memory in MB."""
    torch.manual_seed(0)
    name, _, ragged = cell.partition(", ")
    settings = validate(ModelSettings, {"cell": name, "projection": 0, "inputs": ["features"]})
    model = SequenceClassifier(settings, dim=DIM, num_classes=CLASSES).to(device).train()
    optimiser = make_optimiser(model, TrainingSettings())
    features, targets = torch.randn(BATCH, steps, DIM, device=device), torch.arange(BATCH, device=device)
    lengths = torch.linspace(steps / 2, steps, BATCH).long() if ragged else torch.full((BATCH,), steps)

    def train() -> None:
        loss = functional.cross_entropy(model(features, lengths), targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    found = {"mb": round(peak_mb(train, device), 1)}
    seconds: list[float] = []
    while len(seconds) < 9 and sum(seconds) < 15:
        started = clock(device)
        train()
        seconds.append(clock(device) - started)
    return found | {"seconds": round(statistics.median(seconds), 5), "runs": len(seconds)}


def peak_mb(call: Callable[[], None], device: torch.device) -> float:
    """Highest sum of allocated minus freed bytes on the device during a call, in MB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        call()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns()))) / 2**20


def measure_layers(device: torch.device, limit: float) -> dict[str, dict[int, dict[str, float]]]:
    """Every layer type at every T."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for cell in CELLS:
        found[cell] = {}
        for steps in LENGTHS:
            found[cell][steps] = measure(cell, steps, device)
            print(f"{cell:12} {steps:5} {found[cell][steps]}", file=sys.stderr, flush=True)
            if expect(found[cell]) > limit:
                break
    return found


def expect(measured: dict[int, dict[str, float]]) -> float:
    """Seconds of the next T when they grow as they last did."""
    seconds = [figures["seconds"] for figures in measured.values()]
    return seconds[-1] ** 2 / seconds[-2] if len(seconds) > 1 else 0.0


def loop(logit: torch.Tensor, candidate: torch.Tensor) -> torch.Tensor:
    """The recurrence as it is written."""
    state, states = torch.zeros_like(candidate[:, 0]), []
    decays, values = torch.sigmoid(-logit), torch.sigmoid(logit) * positive(candidate)
    for decay, value in zip(decays.unbind(1), values.unbind(1), strict=True):
        state = decay * state + value
        states.append(state)
    return torch.stack(states, 1)


def log_space(logit: torch.Tensor, candidate: torch.Tensor) -> torch.Tensor:
    """Feng et al. 2024, appendix B: one cumulative log-sum-exp over all steps (Heinsen 2023)."""
    log_positive = torch.where(
        candidate >= 0, (functional.relu(candidate) + 0.5).log(), -functional.softplus(-candidate)
    )
    summed = -functional.softplus(logit).cumsum(1)
    return (summed + torch.logcumsumexp(log_positive - functional.softplus(-logit) - summed, 1)).exp()


def doubling(logit: torch.Tensor, candidate: torch.Tensor) -> torch.Tensor:
    """Hillis & Steele 1986: log2(T) passes over all steps."""
    decay, value = torch.sigmoid(-logit), torch.sigmoid(logit) * positive(candidate)
    width = 1
    while width < value.shape[1]:
        value = torch.cat([value[:, :width], value[:, width:] + decay[:, width:] * value[:, :-width]], 1)
        decay = torch.cat([decay[:, :width], decay[:, width:] * decay[:, :-width]], 1)
        width *= 2
    return value


def chunks(logit: torch.Tensor, candidate: torch.Tensor) -> torch.Tensor:
    """What vidrnn does."""
    logit, candidate = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in (logit, candidate))
    return linear_scan(torch.sigmoid(-logit), torch.sigmoid(logit) * positive(candidate))


def positive(value: torch.Tensor) -> torch.Tensor:
    return torch.where(value >= 0, value + 0.5, torch.sigmoid(value))


FORMS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "loop over time": loop,
    "log space, whole length": log_space,
    "doubling": doubling,
    "chunks of 16 (vidrnn)": chunks,
}


def measure_scan(device: torch.device) -> list[dict[str, object]]:
    """Seconds of forward and backward in float32, and errors of states and gradients for three precisions."""
    rows: list[dict[str, object]] = []
    for steps in SCAN_STEPS:
        generator = torch.Generator().manual_seed(0)
        drawn = [scale * torch.randn(2, steps, 64, generator=generator).to(device) for scale in (2.0, 1.0, 1.0)]
        for name, form in FORMS.items():
            row: dict[str, object] = {"form": name, "T": steps}
            for dtype in (torch.float32, torch.bfloat16, torch.float16):
                inputs = [part.to(dtype) for part in drawn]
                exact = gradients(loop, [part.double() for part in inputs])
                found = gradients(form, inputs)
                errors = [
                    float((a.double() - b).abs().max() / b.abs().max()) for a, b in zip(found, exact, strict=True)
                ]
                row[str(dtype).removeprefix("torch.")] = [float(f"{errors[0]:.1e}"), float(f"{max(errors[1:]):.1e}")]
            seconds = []
            for _ in range(3):
                started = clock(device)
                gradients(form, drawn)
                seconds.append(clock(device) - started)
            rows.append(row | {"seconds": round(statistics.median(seconds), 4)})
    return rows


def gradients(
    form: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], inputs: list[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """States, and gradients of their weighted sum."""
    logit, candidate = (part.clone().requires_grad_() for part in inputs[:2])
    states = form(logit, candidate)
    states.backward(inputs[2])
    assert logit.grad is not None
    assert candidate.grad is not None
    return states.detach(), logit.grad, candidate.grad


def plot(found: dict[str, dict[int, dict[str, float]]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for axis, key, label in ((axes[0], "seconds", "seconds per training step"), (axes[1], "mb", "peak memory, MB")):
        for cell, values in found.items():
            axis.loglog(list(values), [figures[key] for figures in values.values()], marker=".", label=cell)
        axis.set(xlabel="steps T", ylabel=label)
        axis.grid(visible=True, which="major", alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--limit", type=float, default=40.0, help="longest step to be tried, in seconds")
    parser.add_argument("--plot", type=Path, help="PNG to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(options.device)
    found = measure_layers(device, options.limit)
    scan = measure_scan(device)
    print_machine("torch")
    print(options.device)
    for key, form in (("seconds", "{:.4f}"), ("mb", "{:.0f}")):
        cells = [[form.format(found[cell][t][key]) if t in found[cell] else "-" for t in LENGTHS] for cell in CELLS]
        rows = [[cell, *values] for cell, values in zip(CELLS, cells, strict=True)]
        print(f"\n{key} per training step\n")
        print(format_table(["T", *map(str, LENGTHS)], rows))
    print("\nscan: largest error of states, of gradients, over the largest value; seconds in float32\n")
    print(format_table(list(scan[0]), [[str(value) for value in row.values()] for row in scan]))
    if options.plot:
        plot(found, options.plot)
    print_json({"layers": found, "scan": scan}, 18)


if __name__ == "__main__":
    main()
