"""Changes of a training batch that should not change its answer. All are off unless a setting names them."""

from dataclasses import replace

import torch
from torch.nn import functional

from vidrnn.sequences.sequence_set import Batch
from vidrnn.sequences.steps import StepChoice, choose_steps
from vidrnn.settings.model import Head
from vidrnn.settings.training import TrainingSettings


def draw_steps(totals: torch.Tensor, settings: TrainingSettings, *, generator: torch.Generator) -> StepChoice:
    """Choose the steps of a training batch, from a random stretch of each video and at a speed that varies if so set.

    With ``time_crop`` c the stretch is a share of the video between 1 - c and 1, anywhere in it. With ``time_warp`` w
    the share u of the stretch is shown at u + k u (1 - u), k between -w and w: faster at one end than at the other.

    Args:
        totals: (B,) int64 cached steps of each video, on the CPU.
        settings: ``steps``, ``jitter``, ``time_crop``, ``time_warp``.
        generator: draws all of it.

    Returns:
        Steps in order of time; one is never drawn twice, unless the video is warped.
    """
    jitter = generator if settings.jitter else None
    if not settings.time_crop and not settings.time_warp:
        return choose_steps(totals, settings.steps, generator=jitter)
    drawn = torch.rand(3, len(totals), dtype=torch.float64, generator=generator)
    kept = (totals * (1.0 - settings.time_crop * drawn[0])).ceil().to(torch.int64).clamp(min=1)
    start = (drawn[1] * (totals - kept + 1)).to(torch.int64).clamp(max=totals - kept)
    choice = choose_steps(kept, settings.steps, generator=jitter)
    indices = choice.indices
    if settings.time_warp:
        bend = settings.time_warp * (2.0 * drawn[2] - 1.0).unsqueeze(1)
        share = (indices + 0.5) / kept.unsqueeze(1)
        warped = share + bend * share * (1.0 - share)
        indices = (warped * kept.unsqueeze(1)).to(torch.int64)
    return StepChoice(start.unsqueeze(1) + torch.minimum(indices, (kept - 1).unsqueeze(1)), choice.lengths)


def augment(
    batch: Batch,
    settings: TrainingSettings,
    *,
    head: Head,
    num_classes: int,
    generator: torch.Generator,
    hiding: torch.Tensor | None = None,
) -> Batch:
    """Hide streams of a training batch, mix, blur and thin it, as far as the settings say.

    Args:
        batch: from `SequenceSet.batch`.
        settings: ``stream_dropout``, ``mixup``, ``feature_noise``, ``step_dropout``.
        head: what is answered; only heads with one answer per video other than transcripts can be mixed.
        num_classes: classes that the head tells apart.
        generator: draws all of it, on the CPU.
        hiding: of `draw_hiding`, where several windows of a video hide the same; None: drawn here.
    """
    if settings.stream_dropout and batch.present is not None:
        if hiding is None:
            hiding = draw_hiding(batch.present.shape[0], batch.present.shape[2], generator=generator)
        batch = replace(batch, present=hide_streams(batch.present, settings.stream_dropout, drawn=hiding))
    if settings.mixup:
        batch = _mix(batch, settings.mixup, head=head, num_classes=num_classes, generator=generator)
    features = batch.features
    if settings.feature_noise:
        streams = torch.split(features, list(batch.widths or features.shape[2:]), dim=2)
        spread = torch.cat(  # of one number it is 0, and not nan
            [stream.std(dim=2, correction=0, keepdim=True).expand_as(stream) for stream in streams], dim=2
        )
        noise = torch.randn(features.shape, generator=generator).to(features.device)
        features = features + settings.feature_noise * spread * noise
    if settings.step_dropout:
        kept = torch.rand(features.shape[:2], generator=generator) >= settings.step_dropout
        features = features * kept.to(features.device).unsqueeze(2)
    return batch if features is batch.features else replace(batch, features=features)


def draw_hiding(videos: int, streams: int, *, generator: torch.Generator) -> torch.Tensor:
    """(videos, streams) numbers between 0 and 1, on the CPU, that decide what `hide_streams` hides."""
    return torch.rand((videos, streams), generator=generator)


def hide_streams(present: torch.Tensor, share: float, *, drawn: torch.Tensor) -> torch.Tensor:
    """Hide whole streams of videos, each with probability ``share``, but never all that a video has.

    Where all would be hidden, the one with the largest draw stays, which is any of them with the same probability.

    Args:
        present: (B, S, streams) bool.
        share: between 0 and 1.
        drawn: (B, streams) from `draw_hiding`.

    Returns:
        (B, S, streams) bool.
    """
    there = present.any(1).cpu()
    drawn = drawn.masked_fill(~there, -1.0)
    kept = (drawn >= share) | (drawn == drawn.amax(1, keepdim=True))
    return present & kept.to(present.device).unsqueeze(1)


def _mix(batch: Batch, alpha: float, *, head: Head, num_classes: int, generator: torch.Generator) -> Batch:
    """Mixup (Zhang et al. 2018) of each sequence with another of the batch, step by step at the same share of time.

    The share of the first is drawn from Beta(alpha, alpha), once for the batch as in the paper's code. Where only one
    of the two shows a stream at a step, a stream of the first stays as it is and a stream of the second is left out.
    """
    gammas = torch._standard_gamma(torch.full((2,), alpha, dtype=torch.float64), generator=generator)  # noqa: SLF001
    share = float(gammas[0] / gammas.sum())
    partner = torch.randperm(len(batch.lengths), generator=generator)
    lengths, partner_lengths = batch.lengths.unsqueeze(1), batch.lengths[partner].unsqueeze(1)
    steps = torch.arange(batch.features.shape[1])
    same_time = ((2 * steps + 1) * partner_lengths // (2 * lengths)).clamp(max=partner_lengths - 1)
    rows = partner.unsqueeze(1).expand_as(same_time)
    at = rows.to(batch.features.device), same_time.to(batch.features.device)
    second = batch.features[at]
    if batch.present is not None:
        widths = torch.tensor(batch.widths, device=second.device)
        second = torch.where(batch.present[at].repeat_interleave(widths, dim=2), second, batch.features)
    inside = (steps < lengths).to(batch.features.device).unsqueeze(2)
    features = (share * batch.features + (1.0 - share) * second) * inside
    targets = functional.one_hot(batch.targets, num_classes).float() if head == "label" else batch.targets
    return replace(
        batch, features=features, targets=share * targets + (1.0 - share) * targets[partner.to(targets.device)]
    )


def draw_order(targets: torch.Tensor, n: int, *, balanced: bool, generator: torch.Generator) -> torch.Tensor:
    """Order of an epoch's n videos: each once, or drawn with replacement so that classes come equally often.

    Args:
        targets: for ``balanced`` (n,) int64 classes.
        n: how many videos there are.
        balanced: draw with replacement.
        generator: draws it.

    Returns:
        (n,) int64 positions.
    """
    if not balanced:
        return torch.randperm(n, generator=generator)
    classes = targets.cpu()
    weight = 1.0 / torch.bincount(classes).double()[classes]
    return torch.multinomial(weight, n, replacement=True, generator=generator)
