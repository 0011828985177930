"""Which videos to label next, one after the other: each rule weighs uncertainty and diversity in its own way."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from vidrnn.errors import ConfigError

Floats = npt.NDArray[np.float32]
Rule = Literal["typical", "diverse", "uncertain", "uncertain_diverse", "badge"]
RULES: tuple[Rule, ...] = get_args(Rule)
NEED_A_MODEL: tuple[Rule, ...] = ("uncertain", "uncertain_diverse", "badge")
DEFAULT: Rule = "typical"
DEFAULT_WITH_MODEL: Rule = "uncertain_diverse"
_NEIGHBOURS = 20  # by which it is measured how typical a video is, as in TypiClust
_MOST_CLUSTERS = 500  # as in TypiClust


@dataclass(frozen=True)
class Pool:
    """The videos to choose from, and the ones that are labelled already.

    Attributes:
        vectors: (n, F) of length 1, one per unlabelled video.
        labelled: (m, F) of the labelled ones.
        uncertainty: (n,) from 0 to 1; None without a model.
        probabilities: (n, C) the mean over the members of a model; None without a model or for other heads.
        states: (n, H) what the output layer of the model is given; None without a model.
    """

    vectors: Floats
    labelled: Floats
    uncertainty: npt.NDArray[np.float64] | None = None
    probabilities: npt.NDArray[np.float64] | None = None
    states: Floats | None = None


@dataclass(frozen=True)
class Choice:
    """One chosen video.

    Attributes:
        position: in the pool.
        score: what the rule went by; the greater, the earlier, but for rounds of ``typical``.
        distance: from the nearest video that is labelled or was chosen before, from 0 to 2; None for the very first.
    """

    position: int
    score: float
    distance: float | None


def rule_of(text: str, *, with_model: bool) -> Rule:
    """The rule of a name; ``auto`` is the one that docs/label_less.md measures as the best.

    Raises:
        ConfigError: there is no such rule, or it needs a model and there is none.
    """
    if text == "auto":
        return DEFAULT_WITH_MODEL if with_model else DEFAULT
    for rule in RULES:
        if text == rule:
            if rule in NEED_A_MODEL and not with_model:
                raise ConfigError(
                    f"rule {rule!r} needs a model that says how uncertain it is; give --model, or another rule"
                )
            return rule
    raise ConfigError(f"rule {text!r} is unknown; allowed: auto, {', '.join(RULES)}")


def choose(pool: Pool, rule: Rule, *, count: int) -> list[Choice]:
    """The ``count`` videos to label next, the most useful first; all of them where there are fewer.

    Nothing is drawn at random: the same pool gives the same choice.

    ``typical``: videos fall into as many clusters (k-means) as there will be labelled ones. From each cluster without
    a labelled video, the greatest first, comes the video with the nearest neighbours (TypiClust, Hacohen et al. 2022).
    ``diverse``: each time the video that is farthest from all that are labelled or chosen (greedy k-centre, Sener &
    Savarese 2018). ``uncertain``: by uncertainty alone. ``uncertain_diverse``: each time the greatest product of
    uncertainty and that distance. ``badge``: farthest first among the gradients that the likeliest class as label
    would give in the output layer (after Ash et al. 2020, without its random draws).

    Raises:
        ConfigError: ``badge`` and a model that does not give one class per video.
    """
    assert rule not in NEED_A_MODEL or pool.uncertainty is not None, "rule_of refuses it before"
    count = min(count, len(pool.vectors))
    if rule == "typical":
        return _with_distances(pool, _typical(pool, count))
    if rule == "badge":
        return _with_distances(pool, _badge(pool, count))
    if rule == "uncertain":
        assert pool.uncertainty is not None
        order = np.argsort(-pool.uncertainty, kind="stable")[:count].tolist()
        return _with_distances(pool, [(position, float(pool.uncertainty[position])) for position in order])
    weights = np.ones(len(pool.vectors)) if rule == "diverse" else pool.uncertainty
    assert weights is not None
    return list(_farthest_first(pool, weights, count))


def _farthest_first(pool: Pool, weights: npt.NDArray[np.float64], count: int) -> Iterator[Choice]:
    """Each time the greatest product of weight and distance.

    Without any labelled video the first is the nearest to the mean of all, times its weight: an outlier would teach
    little.
    """
    distances = _distances_to(pool.vectors, pool.labelled)
    open_ = np.ones(len(pool.vectors), bool)
    for _ in range(count):
        if np.isinf(distances).all():
            centre = pool.vectors.mean(axis=0)
            scores = weights * (2.0 - np.linalg.norm(pool.vectors - centre, axis=1))
        else:
            scores = weights * distances
        position = int(np.where(open_, scores, -1.0).argmax())
        distance = None if np.isinf(distances[position]) else float(distances[position])
        yield Choice(position, float(scores[position]), distance)
        open_[position] = False
        distances = np.minimum(distances, np.linalg.norm(pool.vectors - pool.vectors[position], axis=1))


def _with_distances(pool: Pool, chosen: list[tuple[int, float]]) -> list[Choice]:
    distances, found = _distances_to(pool.vectors, pool.labelled), []
    for position, score in chosen:
        distance = None if np.isinf(distances[position]) else float(distances[position])
        found.append(Choice(position, score, distance))
        distances = np.minimum(distances, np.linalg.norm(pool.vectors - pool.vectors[position], axis=1))
    return found


def _distances_to(vectors: Floats, others: Floats) -> npt.NDArray[np.float64]:
    """(n,) distance of each from the nearest of the others; infinite without others."""
    nearest = np.full(len(vectors), np.inf)
    for start in range(0, len(others), 256):  # in blocks, so that memory stays small
        block = others[start : start + 256]
        squares = 2.0 - 2.0 * (vectors @ block.T).astype(np.float64)
        nearest = np.minimum(nearest, np.sqrt(np.maximum(squares, 0.0)).min(axis=1))
    return nearest


def _typical(pool: Pool, count: int) -> list[tuple[int, float]]:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    everything = np.concatenate([pool.vectors, pool.labelled])
    n, labelled = len(pool.vectors), len(pool.labelled)
    clusters = min(labelled + count, _MOST_CLUSTERS, len(everything))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # copies of a video leave clusters empty
        of_video = KMeans(clusters, n_init=4, random_state=0).fit_predict(everything)
    typicality = _typicality(everything, of_video)
    waiting = [
        sorted(np.flatnonzero(of_video[:n] == number).tolist(), key=lambda place: (-typicality[place], place))
        for number in range(clusters)
    ]
    sizes = np.bincount(of_video, minlength=clusters).tolist()
    taken = np.bincount(of_video[n:], minlength=clusters).tolist()
    chosen: list[tuple[int, float]] = []
    while len(chosen) < count:
        cluster = min((number for number in range(clusters) if waiting[number]), key=lambda c: (taken[c], -sizes[c]))
        position = waiting[cluster].pop(0)
        chosen.append((position, float(typicality[position])))
        taken[cluster] += 1
    return chosen


def _typicality(vectors: Floats, of_video: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """(n,) one over the mean distance of the nearest neighbours in the same cluster; 0 for one that is alone."""
    from sklearn.neighbors import NearestNeighbors

    typicality = np.zeros(len(vectors))
    for cluster in np.unique(of_video):
        inside = np.flatnonzero(of_video == cluster)
        neighbours = min(_NEIGHBOURS, len(inside) - 1)
        if neighbours:
            distances, _ = NearestNeighbors(n_neighbors=neighbours).fit(vectors[inside]).kneighbors()
            typicality[inside] = 1.0 / np.maximum(distances.mean(axis=1), 1e-6)
    return typicality


def _badge(pool: Pool, count: int) -> list[tuple[int, float]]:
    """Gradients are p - e times the state, e the likeliest class; they are compared without being written out."""
    if pool.probabilities is None or pool.states is None:
        raise ConfigError("rule 'badge' needs a model with one class per video (head label); choose another rule")
    errors = pool.probabilities.copy()
    errors[np.arange(len(errors)), errors.argmax(axis=1)] -= 1.0
    states = pool.states.astype(np.float64)
    norms = np.square(errors).sum(axis=1) * np.square(states).sum(axis=1)

    def squares_from(position: int) -> npt.NDArray[np.float64]:
        products = (errors @ errors[position]) * (states @ states[position])
        squares: npt.NDArray[np.float64] = np.maximum(norms + norms[position] - 2.0 * products, 0.0)
        return squares

    chosen: list[tuple[int, float]] = []
    scores, open_ = norms, np.ones(len(norms), bool)  # the first is the longest gradient
    for _ in range(count):
        position = int(np.where(open_, scores, -1.0).argmax())
        chosen.append((position, float(np.sqrt(scores[position]))))
        open_[position] = False
        squares = squares_from(position)
        scores = squares if len(chosen) == 1 else np.minimum(scores, squares)
    return chosen
