"""How good story threads and related lists are, against the truth. Imports nothing of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from math import comb, log2
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWN_AT_ONCE = 2_000_000
"""Weights of one block of resamples; bounds the memory of a bootstrap to a few times 16 MB."""

CALIBRATION_BINS = 10
"""Bins of a reliability diagram and of the expected calibration error."""


class BCubed(NamedTuple):
    """B-cubed of a clustering, each in [0, 1], larger is better."""

    precision: float
    recall: float
    f1: float


def bcubed(predicted: Mapping[str, str], gold: Mapping[str, str]) -> BCubed:
    """How well predicted stories match the true ones, as the mean over articles; both map an article's id to its story.

    An article's precision is the share of its predicted story that is of its true story, its recall the share of its true
    story found in its predicted one. The articles of `gold` count and no others; one that `predicted` lacks is a story of
    its own. Raises ValueError for an empty `gold`.

    Bagga and Baldwin (1998), Entity-based cross-document coreferencing using the vector space model; Amigó, Gonzalo,
    Artiles and Verdejo (2009), A comparison of extrinsic clustering evaluation metrics based on formal constraints.
    """
    if not gold:
        raise ValueError("B-cubed needs at least one article with a true story")
    stories = _stories(predicted, gold)
    shared = Counter((stories[article], gold[article]) for article in gold)
    found = Counter(stories.values())
    true = Counter(gold.values())
    precision = sum(n * n / found[story] for (story, _), n in shared.items()) / len(gold)
    recall = sum(n * n / true[story] for (_, story), n in shared.items()) / len(gold)
    return BCubed(precision, recall, _harmonic_mean(precision, recall))


def pairwise_f1(predicted: Mapping[str, str], gold: Mapping[str, str]) -> float:
    """F1 over pairs of articles said to be of one story; large stories weigh by the square of their size.

    The same articles count as in `bcubed`. 1 where neither side has a pair, 0 where one side alone has.
    """
    stories = _stories(predicted, gold)
    shared = _pairs(Counter((stories[article], gold[article]) for article in gold))
    found, true = _pairs(Counter(stories.values())), _pairs(Counter(gold.values()))
    return 2 * shared / (found + true) if found + true else 1.0


def ndcg_at_k(ranked: Sequence[str], gains: Mapping[str, float], k: int) -> float:
    """nDCG of the first `k` of a list, in [0, 1]; 0 where nothing has a gain.

    Gains are linear, the discount is log2(rank + 1), an id without a gain (or with one below 0) gains 0. An id that is
    listed twice counts at its first place, and the later ones move up. Raises ValueError for k < 1.

    Järvelin and Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques.
    """
    ideal = _discounted(sorted((max(gain, 0.0) for gain in gains.values()), reverse=True)[:k])
    reached = _discounted([max(gains.get(article, 0.0), 0.0) for article in _first(ranked, k)])
    return reached / ideal if ideal else 0.0


def recall_at_k(ranked: Sequence[str], relevant: Collection[str], k: int) -> float:
    """The share of the relevant ids that the first `k` of a list hold, in [0, 1]; 0 where nothing is relevant.

    An id that is listed twice takes one place, its first. Raises ValueError for k < 1.
    """
    wanted = set(relevant)
    return len(wanted.intersection(_first(ranked, k))) / len(wanted) if wanted else 0.0


def ndcg_of_rows(gains: NDArray[np.float64], ideal: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the nDCG of n lists at once: their gains by rank, and the best there are, both (n, k); nan where that is nothing."""
    discount = 1 / np.log2(np.arange(2, gains.shape[1] + 2))
    best = ideal @ discount
    return _divided(gains @ discount, best)


class Elements(NamedTuple):
    """What each of n articles shares with others, itself included, in numbers of articles; all fields (n,) and 1 or more."""

    shared: NDArray[np.float64]  # of its predicted story and of its true one
    found: NDArray[np.float64]  # of its predicted story
    true: NDArray[np.float64]  # of its true story


def elements_of(predicted: NDArray[np.int64], gold: NDArray[np.int64]) -> Elements:
    """The elements of n articles by the numbers of their predicted and of their true stories, both (n,)."""

    def sizes(stories: NDArray[np.int64]) -> NDArray[np.float64]:
        _, inverse, counts = np.unique(stories, return_inverse=True, return_counts=True)
        return counts[inverse.ravel()].astype(np.float64)

    _, one = np.unique(predicted, return_inverse=True)
    _, other = np.unique(gold, return_inverse=True)
    return Elements(sizes(one.ravel() * (len(gold) + 1) + other.ravel()), sizes(predicted), sizes(gold))


def weighted_bcubed(elements: Elements, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, r) `bcubed` precision, recall and F1 where article i counts weights[j, i] times; weights (r, n)."""
    precision = weighted_ratio(elements.shared / elements.found, np.ones_like(elements.found), weights)
    recall = weighted_ratio(elements.shared / elements.true, np.ones_like(elements.true), weights)
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return np.stack([precision, recall, f1])


def weighted_pairwise_f1(elements: Elements, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r,) `pairwise_f1` as a ratio of sums over articles, each with its pairs; nan where neither side has a pair."""
    return weighted_ratio(2 * (elements.shared - 1), elements.found + elements.true - 2, weights)


def weighted_ratio(part: NDArray[np.float64], whole: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r,) the weighted sum of `part` over that of `whole`, both (n,), weights (r, n); nan where the latter is 0."""
    return _divided(weights @ part, weights @ whole)


def weighted_auc(scores: NDArray[np.float64], positive: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(r,) the probability that a positive scores above a negative, a tie being half; scores (n,), weights (r, n).

    nan where one kind is missing. Hanley and McNeil (1982), The meaning and use of the area under a ROC curve.
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) > 0) if len(order) else np.zeros(0, np.int64)
    if not len(starts):
        return np.full(len(weights), np.nan)
    above = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)
    below = np.add.reduceat(weights[:, order] * ~positive[order], starts, axis=1)
    won = (above * (np.cumsum(below, axis=1) - below / 2)).sum(axis=1)
    return _divided(won, above.sum(axis=1) * below.sum(axis=1))


def calibration_bins(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) the bin of each score in [0, 1]: `CALIBRATION_BINS` of equal width, numbered from 0.

    A score at the border of two bins is in the upper one.
    """
    return np.digitize(scores, np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS)


def weighted_calibration_error(
    gaps: NDArray[np.float64], counts: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(r,) expected calibration error: the distance of mean score and mean truth, over all bins.

    A bin weighs as much as it has scores. `gaps` (n, bins) is the sum of score minus truth (0 or 1)
    of each of n units in each bin, `counts` (n,) its number of scores, `weights` (r, n) how often
    each unit counts. nan where there is no score.

    Naeini, Cooper and Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian
    binning.
    """
    return _divided(np.abs(weights @ gaps).sum(axis=1), weights @ counts)


class Interval(NamedTuple):
    """A measure with its 95 % interval; all nan where it cannot be had."""

    value: float
    low: float
    high: float


def bootstrap(
    statistics: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    units: NDArray[np.int64],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Interval]:
    """The interval of each statistic by the percentiles of its values when the units are drawn again with replacement.

    `units` (n,) numbers from 0 what each value belongs to and is drawn with. `statistics` gets weights (r, n), how often
    each value counts in each of r resamples, and returns (s, r). Efron and Tibshirani (1993), An introduction to the
    bootstrap. The same seed draws the same resamples.
    """
    rng = np.random.default_rng(seed)
    value = statistics(np.ones((1, len(units))))[:, 0]
    n_units = int(units.max(initial=-1)) + 1
    if not n_units:
        return [Interval(np.nan, np.nan, np.nan)] * len(value)
    block = max(1, DRAWN_AT_ONCE // len(units))
    drawn = []
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        picks = rng.integers(n_units, size=(rows, n_units)) + n_units * np.arange(rows)[:, None]
        counts = np.bincount(picks.ravel(), minlength=rows * n_units).reshape(rows, n_units)
        drawn.append(statistics(counts[:, units].astype(np.float64)))
    return [_interval(float(one), row[~np.isnan(row)]) for one, row in zip(value, np.concatenate(drawn, axis=1), strict=True)]


def _divided(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """The quotients; nan where there is nothing to divide by."""
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0), np.float64)


def _interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (np.nan, np.nan)
    return Interval(value, float(low), float(high))


def _stories(predicted: Mapping[str, str], gold: Mapping[str, str]) -> dict[str, tuple[bool, str]]:
    """The predicted story of every article of `gold`; one named after the article itself where there is none."""
    return {article: (True, predicted[article]) if article in predicted else (False, article) for article in gold}


def _pairs(sizes: Mapping[Hashable, int]) -> int:
    return sum(comb(size, 2) for size in sizes.values())


def _first(ranked: Sequence[str], k: int) -> list[str]:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    return list(dict.fromkeys(ranked))[:k]


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _harmonic_mean(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
