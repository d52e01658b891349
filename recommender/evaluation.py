"""How good story threads and related lists are, against the truth. Imports nothing of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from math import comb, log2
from typing import NamedTuple


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
