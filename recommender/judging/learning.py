"""A truth -> pairs to learn from -> the weights that fit them, near those that were known before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from recommender.archives.archive import Archive
from recommender.judging.gold import JudgedPairs, StoriesOrPairs, StoryLabels
from recommender.judging.measuring import numbered
from recommender.pipeline.candidates import Pairs, pairs_in, unique_pairs
from recommender.pipeline.evidence import Views, evidence_of
from recommender.pipeline.linking import connected
from recommender.pipeline.scoring import NAMES, features

STRENGTH = 10.0
"""Of the pull towards the shipped weights, in pairs. On six sets, labelled in part, 3 gains up to .08 of log loss more on
the rest (.15 on uci) but loses two to six times as much where few articles of picked stories are labelled; 30 gains about
half where 60 articles are labelled at random (scripts/measure_tuning.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The pairs of n judged articles that can be learned from, and what is known of them."""

    pairs: Pairs
    """Of numbers from 0 to n - 1."""
    table: NDArray[np.float64]
    """(pairs, len(NAMES)) their `features`."""
    truth: Mapping[str, NDArray[np.bool_]]
    """(pairs,) of each probability that the judgments tell of."""
    groups: NDArray[np.int64]
    """(n,) articles of one number are never parted: those of one story, or whatever judged pairs connect."""
    by_story: bool
    """Whether the groups are stories, lone articles included."""


def judged_of(gold: StoriesOrPairs, archive: Archive, places: NDArray[np.int64]) -> Judged:
    """The pairs of a truth on articles at these places of the archive: of labels, what the engine would look at among them."""
    views = archive.views()
    if isinstance(gold, JudgedPairs):
        number = {article: i for i, article in enumerate(gold.ids)}
        pairs = Pairs(*np.array([[number[one], number[other]] for one, other in gold.pairs], np.int64).T)
        grades = np.array(gold.grades, np.int64)
        truth = {"same_story": grades == 2, "related": grades >= 1}
        if not (grades == 1).any():
            del truth["related"]
        groups = _parts(len(places), pairs)
    else:
        pairs = _candidates(archive, views, places)
        groups, topics = numbered(gold.stories), numbered(gold.topics)
        truth = {"same_story": groups[pairs.left] == groups[pairs.right]}
        if any(gold.topics):
            truth["related"] = truth["same_story"] | (topics[pairs.left] == topics[pairs.right])
    evidence = evidence_of(views, places[pairs.left], views, places[pairs.right], archive.background)
    by_story = isinstance(gold, StoryLabels)
    return Judged(pairs=pairs, table=features(evidence), truth=truth, groups=groups, by_story=by_story)


def _candidates(archive: Archive, views: Views, places: NDArray[np.int64]) -> Pairs:
    """The candidate pairs among some articles, as numbers of these."""
    number = np.full(len(archive), -1, np.int64)
    number[places] = np.arange(len(places))
    found = pairs_in(archive.nominated(places, views))
    return unique_pairs(number[found.left], number[found.right])


def _parts(n_articles: int, pairs: Pairs) -> NDArray[np.int64]:
    """(n,) the articles that pairs connect; each by itself where more than half of all would hang together."""
    parts = connected(n_articles, pairs, np.ones(len(pairs.left), np.float32))
    return parts if np.bincount(parts).max() <= n_articles / 2 else np.arange(n_articles)


class Sample(NamedTuple):
    """Pairs to learn a probability from, or to measure it on; all of one length."""

    table: NDArray[np.float64]
    truth: NDArray[np.bool_]
    counts: NDArray[np.float64]
    """How many pairs each stands for."""


def sample_of(judged: Judged, name: str, inside: NDArray[np.bool_]) -> Sample:
    """The pairs between articles that are `inside` (n,).

    Of the pairs across groups a part of the articles holds a smaller share than of those within: each stands for so many
    that the two are as frequent as among all. Pairs of one article say much the same, so all together count as many as
    there are articles, where they are more.
    """
    left, right = judged.pairs
    chosen = inside[left] & inside[right]
    across = judged.groups[left] != judged.groups[right]
    counts = np.ones(int(chosen.sum()))
    held = {side: (chosen & (across == side)).sum() / max(1, (across == side).sum()) for side in (False, True)}
    if held[False] and held[True]:
        counts[across[chosen]] = held[False] / held[True]
    counts *= min(1, inside.sum() / max(1, counts.sum()))
    return Sample(judged.table[chosen], judged.truth[name][chosen], counts)


def fit(sample: Sample, prior: Mapping[str, float], strength: float = STRENGTH) -> dict[str, float]:
    """The weights with the least log loss on the sample plus strength / 2 times the squared distance from `prior`.

    A logistic regression with a normal prior: the estimate of the largest posterior density. The distance is taken with
    every feature centred and scaled to standard deviation 1 on the sample; one that never varies keeps its weight.
    """
    before = np.array([prior[name] for name in NAMES])
    centre, spread = _spread(sample)
    scaled = (sample.table - centre) / spread
    known = sample.table @ before

    def loss(moved: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logit = known + scaled @ moved
        value = sample.counts @ (np.logaddexp(0, logit) - sample.truth * logit) + strength / 2 * moved @ moved
        return float(value), scaled.T @ (sample.counts * (expit(logit) - sample.truth)) + strength * moved

    def curvature(moved: NDArray[np.float64]) -> NDArray[np.float64]:
        rate = expit(known + scaled @ moved)
        steepness = sample.counts * rate * (1 - rate)
        return np.asarray((scaled * steepness[:, None]).T @ scaled + strength * np.eye(len(NAMES)))

    moved = minimize(loss, np.zeros(len(NAMES)), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-6}).x
    moved = moved / spread
    moved[0] -= moved @ centre
    return dict(zip(NAMES, (before + moved).round(4).tolist(), strict=True))


def _spread(sample: Sample) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of the columns: 0 and 1 for the intercept, infinite where a feature never varies."""
    shares = sample.counts / sample.counts.sum()
    centre = shares @ sample.table
    centre[0] = 0.0
    spread = np.sqrt(shares @ (sample.table - centre) ** 2)
    return centre, np.where(spread < 1e-9, np.inf, spread)
