"""`vidrnn.training.losses` against PyTorch where they coincide, and against the formulas in float64."""

import math
from itertools import groupby, product

import numpy as np
import pytest
import torch
from torch import nn

from tests.worlds import Array
from vidrnn.training.losses import AsymmetricLoss, FocalLoss, ctc_loss, smoothing_loss

HALVES = (torch.float16, torch.bfloat16)


def normal(*shape: int, seed: int = 0, scale: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * scale


def labels_of(*shape: int, seed: int = 1) -> torch.Tensor:
    return (normal(*shape, seed=seed) > 0).double()


def soft_targets(batch: int, classes: int) -> torch.Tensor:
    return normal(batch, classes, seed=5).softmax(1)


def reference_asymmetric(logits: Array, targets: Array, *, positive: float, negative: float, margin: float) -> float:
    p = 1 / (1 + np.exp(-logits))
    shifted = np.maximum(p - margin, 0)
    costs = -targets * (1 - p) ** positive * np.log(p) - (1 - targets) * shifted**negative * np.log(1 - shifted)
    return float(costs.mean())


@pytest.mark.parametrize("positive", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("negative", [0.0, 0.5, 4.0])
@pytest.mark.parametrize("margin", [0.0, 0.05, 0.3])
def test_the_asymmetric_loss_equals_its_formula(positive: float, negative: float, margin: float) -> None:
    logits, targets = normal(7, 5), labels_of(7, 5)
    targets[0] = 0.25  # in between
    loss = AsymmetricLoss(gamma_positive=positive, gamma_negative=negative, margin=margin)
    expected = reference_asymmetric(
        logits.numpy(), targets.numpy(), positive=positive, negative=negative, margin=margin
    )
    assert float(loss(logits, targets)) == pytest.approx(expected, rel=1e-12)
    assert float(loss(logits.float(), targets.float())) == pytest.approx(expected, rel=1e-5)


def test_without_gammas_and_margin_it_is_binary_cross_entropy() -> None:
    logits, targets = normal(6, 4, scale=20.0), labels_of(6, 4)
    found, expected = (logits.clone().requires_grad_() for _ in range(2))
    value = AsymmetricLoss(gamma_positive=0.0, gamma_negative=0.0, margin=0.0)(found, targets)
    reference = nn.BCEWithLogitsLoss()(expected, targets)
    torch.testing.assert_close(value, reference)
    torch.testing.assert_close(torch.autograd.grad(value, found), torch.autograd.grad(reference, expected))


def test_negatives_below_the_margin_cost_nothing() -> None:
    logits = torch.logit(torch.tensor([[0.01, 0.1, 0.19]], dtype=torch.float64)).requires_grad_()
    value = AsymmetricLoss(gamma_positive=0.0, gamma_negative=2.0, margin=0.2)(logits, torch.zeros(1, 3))
    value.backward()
    assert value.item() == 0.0
    assert logits.grad is not None
    assert logits.grad.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("margin", [0.0, 0.05])
@pytest.mark.parametrize("gamma", [0.5, 1.0, 3.0])
def test_the_asymmetric_gradient_equals_differences(margin: float, gamma: float) -> None:
    loss = AsymmetricLoss(gamma_positive=gamma, gamma_negative=gamma, margin=margin)
    targets = labels_of(4, 3)
    assert torch.autograd.gradcheck(lambda logits: loss(logits, targets), normal(4, 3).requires_grad_())


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_certain_answers_give_finite_losses_and_gradients(dtype: torch.dtype, gamma: float, margin: float) -> None:
    """Logits of 200 make probabilities of exactly 0 and 1 in float32."""
    logits = torch.tensor([[-200.0, 200.0, -17.0, 17.0, 0.0]], dtype=dtype).repeat(2, 1).requires_grad_()
    targets = torch.stack([torch.zeros(5), torch.ones(5)])
    value = AsymmetricLoss(gamma_positive=gamma, gamma_negative=gamma, margin=margin)(logits, targets)
    value.backward()
    assert math.isfinite(value.item())
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    logits, targets = normal(5, 4).to(dtype), labels_of(5, 4).to(dtype)
    asymmetric = AsymmetricLoss(gamma_positive=0.0, gamma_negative=4.0, margin=0.05)
    focal, classes = FocalLoss(gamma=2.0, weight=torch.tensor([1.0, 0.3, 2.0, 0.7])), torch.tensor([0, 1, 2, 3, 0])
    for found, expected in (
        (asymmetric(logits, targets), asymmetric(logits.float(), targets.float())),
        (focal(logits, classes), focal(logits.float(), classes)),
        (
            ctc_loss(logits[None], torch.tensor([5]), torch.tensor([[0, 1]]), blank=3),
            ctc_loss(logits[None].float(), torch.tensor([5]), torch.tensor([[0, 1]]), blank=3),
        ),
    ):
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)


def test_the_asymmetric_loss_takes_logits_and_targets_of_one_shape() -> None:
    loss = AsymmetricLoss(gamma_positive=0.0, gamma_negative=4.0, margin=0.05)
    with pytest.raises(ValueError, match=r"logits have shape \(3, 2\), targets \(3,\); give both as \(B, C\)"):
        loss(torch.zeros(3, 2), torch.zeros(3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gamma_positive": -1.0}, r"gamma_positive -1\.0 must be at least 0"),
        ({"gamma_negative": math.nan}, "gamma_negative nan must be at least 0"),
        ({"margin": 1.0}, r"margin 1\.0 must be at least 0 and below 1; the paper takes 0\.05"),
    ],
)
def test_asymmetric_settings_out_of_range_are_named(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AsymmetricLoss(**({"gamma_positive": 0.0, "gamma_negative": 0.0, "margin": 0.0} | changes))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("soft", [False, True])
def test_at_gamma_0_the_focal_loss_is_cross_entropy_of_weighted_examples(
    smoothing: float, weighted: bool, soft: bool
) -> None:
    weight = torch.tensor([0.5, 1.0, 4.0, 0.1], dtype=torch.float64) if weighted else None
    targets = soft_targets(6, 4) if soft else torch.tensor([0, 1, 2, 3, 2, 2])
    found, expected = (normal(6, 4, scale=10.0).requires_grad_() for _ in range(2))
    value = FocalLoss(gamma=0.0, weight=weight, label_smoothing=smoothing)(found, targets)
    costs = nn.CrossEntropyLoss(label_smoothing=smoothing, reduction="none")(expected, targets)
    shares = targets if soft else torch.eye(4, dtype=torch.float64)[targets]
    reference = (costs if weight is None else costs * (shares @ weight)).mean()
    torch.testing.assert_close(value, reference)
    torch.testing.assert_close(torch.autograd.grad(value, found), torch.autograd.grad(reference, expected))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_focal_loss_equals_its_formula(gamma: float, smoothing: float) -> None:
    logits, targets, weight = normal(5, 3).numpy(), np.asarray([0, 2, 1, 1, 2]), np.asarray([1.0, 0.5, 3.0])
    total = 0.0
    for row, target in zip(logits, targets, strict=True):
        p = np.exp(row) / np.exp(row).sum()
        wanted = (1 - smoothing) * np.eye(3)[target] + smoothing / 3
        total -= float(weight[target] * (wanted * (1 - p) ** gamma * np.log(p)).sum())
    loss = FocalLoss(gamma=gamma, weight=torch.from_numpy(weight), label_smoothing=smoothing)
    found = loss(torch.from_numpy(logits), torch.from_numpy(targets))
    assert float(found) == pytest.approx(total / 5, rel=1e-12)


def test_soft_targets_that_are_certain_are_classes() -> None:
    logits, targets = normal(6, 4), torch.tensor([0, 1, 2, 3, 2, 2])
    loss = FocalLoss(gamma=2.0, label_smoothing=0.1)
    torch.testing.assert_close(loss(logits, targets), loss(logits, torch.eye(4, dtype=torch.float64)[targets]))


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_focal_gradient_equals_differences(gamma: float) -> None:
    loss, targets = FocalLoss(gamma=gamma, label_smoothing=0.1), torch.tensor([0, 2, 1, 1])
    assert torch.autograd.gradcheck(lambda logits: loss(logits, targets), normal(4, 3).requires_grad_())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("dtype", [*HALVES, torch.float32])
def test_a_certain_class_gives_a_finite_loss_and_gradient(gamma: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([[300.0, 0.0, -300.0]], dtype=dtype).repeat(3, 1).requires_grad_()
    value = FocalLoss(gamma=gamma)(logits, torch.tensor([0, 1, 2]))
    value.backward()
    assert value.item() == pytest.approx((0 + 300 + 600) / 3)
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


@pytest.mark.parametrize("targets", [torch.zeros(4, dtype=torch.int64), torch.zeros(3), torch.zeros(3, 1)])
def test_focal_targets_that_do_not_fit_are_named(targets: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"logits have shape \(3, 2\), targets .* give logits \(B, C\) with classes"):
        FocalLoss(gamma=1.0)(torch.zeros(3, 2), targets)


def test_focal_settings_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match=r"gamma -1\.0 must be at least 0"):
        FocalLoss(gamma=-1.0)
    with pytest.raises(ValueError, match=r"label_smoothing 1\.5 must be between 0 and 1"):
        FocalLoss(gamma=1.0, label_smoothing=1.5)
    with pytest.raises(ValueError, match=r"weight has shape \(3,\), expected \(2,\); give one per class"):
        FocalLoss(gamma=1.0, weight=torch.ones(3))(torch.zeros(1, 2), torch.tensor([0]))


def reference_ctc(logits: Array, transcript: list[int], *, blank: int) -> float:
    """-log of the summed probability of every path that collapses to the transcript, over its length."""
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    total = 0.0
    for path in product(range(logits.shape[1]), repeat=len(logits)):
        if [label for label, _ in groupby(path) if label != blank] == transcript:
            total += float(np.prod([p[step, label] for step, label in enumerate(path)]))
    return -math.log(total) / max(len(transcript), 1)


VIDEOS = ((5, [0, 1]), (4, [1, 1]), (3, []), (1, [0]), (3, [0, 0]), (5, [1, 0, 1]), (1, []))


def batch(
    videos: tuple[tuple[int, list[int]], ...], *, blank: int, steps: int = 5, width: int = 3
) -> list[torch.Tensor]:
    """Logits (B, steps, 3), lengths, targets (B, width), with labels that step over the blank."""
    others = [label for label in range(3) if label != blank]
    targets = torch.full((len(videos), width), -1)
    for row, (_, transcript) in enumerate(videos):
        targets[row, : len(transcript)] = torch.tensor([others[label] for label in transcript], dtype=torch.int64)
    return [normal(len(videos), steps, 3), torch.tensor([length for length, _ in videos]), targets]


@pytest.mark.parametrize("blank", [0, 1, 2])
def test_ctc_equals_the_sum_over_all_paths(blank: int) -> None:
    logits, lengths, targets = batch(VIDEOS, blank=blank)
    expected = [
        reference_ctc(logits[row, :length].numpy(), [int(label) for label in targets[row] if label >= 0], blank=blank)
        for row, (length, _) in enumerate(VIDEOS)
    ]
    assert float(ctc_loss(logits, lengths, targets, blank=blank)) == pytest.approx(np.mean(expected), rel=1e-10)
    for row in range(len(VIDEOS)):
        rows = slice(row, row + 1)
        alone = float(ctc_loss(logits[rows], lengths[rows], targets[rows], blank=blank))
        assert alone == pytest.approx(expected[row], rel=1e-10)


@pytest.mark.parametrize("filling", [0.0, math.nan, math.inf, 1e4])
def test_padding_changes_no_loss_and_no_gradient(filling: float) -> None:
    logits, lengths, targets = batch(VIDEOS, blank=2)
    beyond = torch.arange(5) >= lengths.unsqueeze(1)
    padded = torch.cat([logits, normal(len(VIDEOS), 3, 3, seed=9)], dim=1)
    padded[torch.cat([beyond, torch.ones(len(VIDEOS), 3, dtype=torch.bool)], dim=1)] = filling
    wide = torch.cat([targets, torch.full((len(VIDEOS), 4), -1)], dim=1)
    logits.requires_grad_()
    padded.requires_grad_()
    expected, found = ctc_loss(logits, lengths, targets, blank=2), ctc_loss(padded, lengths, wide, blank=2)
    assert torch.equal(found, expected)
    (reference,) = torch.autograd.grad(expected, logits)
    (gradient,) = torch.autograd.grad(found, padded)
    assert torch.equal(gradient[:, :5], reference)
    assert not gradient[:, 5:].any()
    assert not gradient[:, :5][beyond].any()


def test_the_ctc_gradient_equals_differences() -> None:
    logits, lengths, targets = batch(VIDEOS, blank=1)
    assert torch.autograd.gradcheck(lambda steps: ctc_loss(steps, lengths, targets, blank=1), logits.requires_grad_())


def test_transcripts_may_all_be_empty() -> None:
    logits = normal(2, 4, 3)
    expected = -logits.log_softmax(2)[:, :, 0].sum(1).mean()
    for width in (0, 2):
        found = ctc_loss(logits, torch.tensor([4, 4]), torch.full((2, width), -1), blank=0)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("transcript", "needed"), [([0, 1, 0], 3), ([0, 0], 3), ([1, 1, 1], 5)])
def test_a_transcript_needs_a_step_per_label_and_a_blank_between_equals(transcript: list[int], needed: int) -> None:
    logits, lengths, targets = batch(((5, [0]), (needed, transcript)), blank=2)
    assert math.isfinite(float(ctc_loss(logits, lengths, targets, blank=2)))
    lengths[1] -= 1
    message = (
        f"the transcript of row 1 has {len(transcript)} labels and needs {needed} steps .*has {needed - 1}; sample"
    )
    with pytest.raises(ValueError, match=message):
        ctc_loss(logits, lengths, targets, blank=2)


@pytest.mark.parametrize("row", [[3, -1], [2, -1], [-1, 0], [0, -2]])
def test_targets_that_are_no_transcript_are_named(row: list[int]) -> None:
    with pytest.raises(ValueError, match=r"targets of row 1 are .* allowed are 0 to 2 except the blank 2, then -1"):
        ctc_loss(normal(2, 4, 3), torch.tensor([4, 4]), torch.tensor([[0, 1], row]), blank=2)


@pytest.mark.parametrize("length", [0, 5])
def test_lengths_out_of_range_are_named(length: int) -> None:
    with pytest.raises(ValueError, match=f"length {length} of row 0 must be 1 to 4, the steps of the logits"):
        ctc_loss(normal(1, 4, 3), torch.tensor([length]), torch.tensor([[0]]), blank=2)


def test_the_blank_is_one_of_the_outputs() -> None:
    with pytest.raises(ValueError, match="blank 3 must be 0 to 2, one of the 3 outputs"):
        ctc_loss(normal(1, 4, 3), torch.tensor([4]), torch.tensor([[0]]), blank=3)


@pytest.mark.parametrize(
    ("logits", "lengths", "targets"), [((2, 4), (2,), (2, 1)), ((2, 4, 3), (3,), (2, 1)), ((2, 4, 3), (2,), (2,))]
)
def test_ctc_shapes_that_do_not_fit_are_named(
    logits: tuple[int, ...], lengths: tuple[int, ...], targets: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"logits have shape .* give \(B, S, C \+ 1\), \(B,\) and \(B, L\)"):
        ctc_loss(torch.zeros(logits), torch.ones(lengths, dtype=torch.int64), torch.zeros(targets).long(), blank=0)


def reference_smoothing(logits: Array, known: Array, *, limit: float) -> float:
    """Farha & Gall 2019, eq. 4 to 6, video by video."""
    log_p = logits - np.log(np.exp(logits).sum(2, keepdims=True))
    total = 0.0
    for video, seen in zip(log_p, known, strict=True):
        for t in range(1, len(video)):
            if seen[t] and seen[t - 1]:
                total += (np.minimum(np.abs(video[t] - video[t - 1]), limit) ** 2).sum()
    return float(total / (known.sum() * logits.shape[2]))


@pytest.mark.parametrize("limit", [0.5, 4.0])
def test_the_smoothing_loss_equals_its_formula(limit: float) -> None:
    """Pairs beside a step that nobody knows, or behind the end, do not count, whatever stands there."""
    logits = normal(3, 6, 4, scale=2.0).double()
    known = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]]).bool()
    expected = reference_smoothing(logits.numpy(), known.numpy(), limit=limit)
    logits[2, 3:] = math.nan
    assert float(smoothing_loss(logits, known, limit=limit)) == pytest.approx(expected, rel=1e-12)


def test_classes_by_themselves_are_smoothed_as_two_outcomes_each() -> None:
    """The loss over decisions is that of softmax over (logit, 0), class by class, where the class is known."""
    logits, known = normal(2, 5, 3, scale=2.0).double(), torch.rand(2, 5, 3, generator=torch.Generator()) < 0.8
    pairs = torch.stack([logits, torch.zeros_like(logits)], dim=3).permute(2, 0, 1, 3).flatten(0, 1)
    expected = smoothing_loss(pairs, known.permute(2, 0, 1).flatten(0, 1), limit=1.0)
    assert float(expected) > 0.0
    torch.testing.assert_close(smoothing_loss(logits, known, limit=1.0), expected)


def test_no_gradient_of_the_smoothing_loss_reaches_the_earlier_step_or_what_is_cut() -> None:
    """The paper takes the earlier step as given; beyond the limit the loss is flat."""
    logits = torch.tensor([[[0.0, 0.0], [0.5, 0.0], [30.0, 0.0]]], requires_grad=True)
    smoothing_loss(logits, torch.ones(1, 3, dtype=torch.bool), limit=4.0).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    earlier, later, cut = logits.grad[0].abs().sum(1).tolist()
    assert earlier == 0.0
    assert later > 0.01
    assert cut < later


def test_without_a_known_step_the_smoothing_loss_is_zero() -> None:
    """A window of a long video may have none."""
    logits = torch.full((1, 3, 2), math.nan)
    assert float(smoothing_loss(logits, torch.zeros(1, 3, dtype=torch.bool), limit=4.0)) == 0.0
