"""A site's own judgments -> weights of its own, and what they gain on articles that they were not learned from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from recommender.answers import HeldOut, Outcome, Tuned, Tuning
from recommender.archive import Archive
from recommender.errors import UnreadableSourceError
from recommender.evaluation import bootstrap, elements_of, weighted_bcubed, weighted_ratio
from recommender.gold import Gold, JudgedPairs, StoryLabels
from recommender.judging import known_part, numbered
from recommender.pipeline.candidates import Pairs, unique_pairs
from recommender.pipeline.evidence import Views, evidence_of
from recommender.pipeline.linking import connected, thread_groups
from recommender.pipeline.scoring import NAMES, Weights, features, probability, shipped_weights
from recommender.store import Store

STRENGTH = 10.0
"""Of the pull towards the shipped weights, in pairs. On six sets, labelled in part, 3 gains up to .08 of log loss more on
the rest (.15 on uci) but loses two to six times as much where few articles of picked stories are labelled; 30 gains about
half where 60 articles are labelled at random (scripts/measure_tuning.py)."""

FOLDS = 5
LEAST_PAIRS = 30
"""Usable pairs from which weights are learned at all."""

LEAST_OF_A_KIND = 5
"""Pairs that are of one story (or related), and pairs that are not, from which that probability is learned."""

LEAST_EXPLAINED = 0.05
"""Share of the log loss of the base rate that the evidence must explain on held-out articles (the R² of McFadden, 1974).
Below it the judgments do not follow the evidence, and weights learned from them would only flatten every list."""


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


class Sample(NamedTuple):
    """Pairs to learn a probability from, or to measure it on; all of one length."""

    table: NDArray[np.float64]
    truth: NDArray[np.bool_]
    counts: NDArray[np.float64]
    """How many pairs each stands for."""


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


def tune(store: Store, archive: Archive, gold: Gold, *, source: str) -> Tuning:
    """What a truth that was read from `source` teaches, and what that gains.

    RecommenderError where too little of it can be learned from; articles that are not in the index are counted.
    """
    known, rows, unknown = known_part(store, gold, source)
    judged = judged_of(known, archive, archive.places_of(rows))
    shipped = shipped_weights()
    learned = {name: _tuned(judged, name, shipped.to_json()[name]) for name in _learnable(judged, source)}
    weights = shipped.to_json() | {name: dict(one.tuned) for name, one in learned.items() if one.better}
    counts = {"articles": len(known.ids), "unknown_articles": unknown, "pairs": len(judged.pairs.left)}
    if judged.by_story:
        sizes = np.unique(judged.groups, return_counts=True)[1]
        counts["stories"] = int((sizes > 1).sum())
    form: Literal["story-labels", "judged-pairs"] = "story-labels" if isinstance(known, StoryLabels) else "judged-pairs"
    return Tuning(gold=form, counts=counts, relations=learned, weights=weights, applied=False)


def judged_of(gold: Gold, archive: Archive, places: NDArray[np.int64]) -> Judged:
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
    found = [pairs for _, pairs in archive.nominated(places, views)]
    left, right = (number[np.concatenate(side)] for side in zip(*found, strict=True))
    return unique_pairs(left, right)


def _parts(n_articles: int, pairs: Pairs) -> NDArray[np.int64]:
    """(n,) the articles that pairs connect; each by itself where more than half of all would hang together."""
    parts = connected(n_articles, pairs, np.ones(len(pairs.left), np.float32))
    return parts if np.bincount(parts).max() <= n_articles / 2 else np.arange(n_articles)


def _learnable(judged: Judged, source: str) -> list[str]:
    """The probabilities that there are enough pairs for."""
    total = len(judged.pairs.left)
    if total < LEAST_PAIRS:
        reason = f"only {total} of its pairs can be learned from, {LEAST_PAIRS} are needed"
        raise UnreadableSourceError(source, reason, "judge more articles of this index")
    enough = [name for name, truth in judged.truth.items() if min(truth.sum(), (~truth).sum()) >= LEAST_OF_A_KIND]
    if not enough:
        counts = ", ".join(f"{truth.sum():,} {name.replace('_', ' ')}" for name, truth in judged.truth.items())
        reason = f"of its {total:,} pairs {counts}: {LEAST_OF_A_KIND} that are and {LEAST_OF_A_KIND} that are not are needed"
        raise UnreadableSourceError(source, reason, "judge more pairs of the kind that is missing")
    return enough


def folds_of(judged: Judged) -> NDArray[np.int64]:
    """(n,) the fold of each article: whole groups, the largest first, each into the fold with the fewest articles."""
    _, group, sizes = np.unique(judged.groups, return_inverse=True, return_counts=True)
    fold, filled = np.zeros(len(sizes), np.int64), np.zeros(FOLDS)
    for one in np.argsort(-sizes, kind="stable").tolist():
        fold[one] = np.argmin(filled)
        filled[fold[one]] += sizes[one]
    return fold[group.ravel()]


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


def _tuned(judged: Judged, name: str, prior: Mapping[str, float]) -> Tuned:
    """The weights of one probability, with what they gain where they were not learned."""
    folds, truth = folds_of(judged), judged.truth[name]
    shipped = probability(judged.table, prior)
    tuned, base = held_out(judged, name, folds, prior)
    known = {"shipped": shipped, "tuned": tuned}
    loss = {who: losses(given, truth) for who, given in known.items()}
    measures = {
        "log_loss": HeldOut(
            shipped=_by_fold(judged, folds, loss["shipped"]), tuned=_by_fold(judged, folds, loss["tuned"]),
            gain=_gain_in_loss(judged, loss["tuned"] - loss["shipped"]),
        ),
        "f1": HeldOut(shipped=_f1(judged, folds, shipped >= 0.5, truth), tuned=_f1(judged, folds, tuned >= 0.5, truth)),
    }  # fmt: skip
    if judged.by_story and name == "same_story":
        before, after = (_threads(judged, given) for given in known.values())
        measures["bcubed_f1"] = HeldOut(
            shipped=_bcubed_f1(judged, folds, before), tuned=_bcubed_f1(judged, folds, after),
            gain=_gain_in_threads(judged, before, after),
        )  # fmt: skip
    everything = sample_of(judged, name, np.ones(len(folds), np.bool_))
    return Tuned(
        pairs=len(truth), positive=int(truth.sum()), shipped=dict(prior), tuned=fit(everything, prior), measures=measures,
        outcome=_outcome(measures, float(losses(base, truth).mean())),
    )  # fmt: skip


def held_out(
    judged: Judged, name: str, folds: NDArray[np.int64], prior: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(pairs,) twice: the probability by weights learned without the folds of both articles, and the base rate there."""
    one, other = (folds[side] for side in judged.pairs)
    known, base = np.empty(len(one)), np.empty(len(one))
    for low, high in combinations_with_replacement(range(FOLDS), 2):
        asked = ((one == low) & (other == high)) | ((one == high) & (other == low))
        if asked.any():
            sample = sample_of(judged, name, (folds != low) & (folds != high))
            weights = fit(sample, prior) if len(sample.truth) else prior
            known[asked] = probability(judged.table[asked], weights)
            base[asked] = (sample.counts @ sample.truth + 0.5) / (sample.counts.sum() + 1)
    return known, base


def losses(known: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n,) minus the log of the probability that was given to what is true."""
    return -np.log(np.maximum(np.where(truth, known, 1 - known), 1e-15))


def _shares(judged: Judged, folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """(FOLDS, pairs) how much of each pair is in each fold: half where its articles are in two."""
    one, other = (folds[side] for side in judged.pairs)
    number = np.arange(FOLDS)[:, None]
    return np.asarray(((one == number) + (other == number).astype(np.float64)) / 2)


def _by_fold(judged: Judged, folds: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[float | None, ...]:
    return _told(weighted_ratio(values, np.ones(len(values)), _shares(judged, folds)))


def _f1(judged: Judged, folds: NDArray[np.int64], said: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float | None, ...]:
    both, either = (2 * (said & truth)).astype(np.float64), said.astype(np.float64) + truth.astype(np.float64)
    return _told(weighted_ratio(both, either, _shares(judged, folds)))


def _threads(judged: Judged, known: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) a number for each thread that all judged articles would have; one of its own, below 0, for an article in none."""
    threads = -1 - np.arange(len(judged.groups))
    for number, group in enumerate(thread_groups(len(threads), judged.pairs, known.astype(np.float32))):
        threads[group] = number
    return threads


def _bcubed_f1(judged: Judged, folds: NDArray[np.int64], threads: NDArray[np.int64]) -> tuple[float | None, ...]:
    """Of the articles of each fold."""
    here = (folds == np.arange(FOLDS)[:, None]).astype(np.float64)
    return _told(weighted_bcubed(elements_of(threads, judged.groups), here)[2])


def _gain_in_loss(judged: Judged, gains: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval of the mean of these; pairs are drawn with the group of their first article."""
    units = np.unique(judged.groups[judged.pairs.left], return_inverse=True)[1].ravel()
    total, pairs = (np.asarray(np.bincount(units, of), np.float64) for of in (gains, np.ones(len(units))))
    return _interval(lambda weights: weighted_ratio(total, pairs, weights)[None], np.arange(len(total)))


def _gain_in_threads(judged: Judged, shipped: NDArray[np.int64], tuned: NDArray[np.int64]) -> tuple[float, float]:
    """The same of the B-cubed F1; articles are drawn with their story."""
    before, after = elements_of(shipped, judged.groups), elements_of(tuned, judged.groups)
    units = np.unique(judged.groups, return_inverse=True)[1].ravel()
    return _interval(lambda weights: (weighted_bcubed(after, weights) - weighted_bcubed(before, weights))[2:], units)


def _interval(statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], units: NDArray[np.int64]) -> tuple[float, float]:
    ((_, low, high),) = bootstrap(statistic, units)
    return low, high


def _told(values: NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)


def _outcome(measures: Mapping[str, HeldOut], base_loss: float) -> Outcome:
    """What the measures say of the tuned weights: the interval of some gain lies above 0, and that of none below.

    Five folds are too few, and share too many articles, for an error of their own. Of 1,000 times that pairs were graded by
    the shipped probabilities themselves, which nothing can better, these intervals said "better" 23 times; more than one
    standard error of the folds was reached in 8 to 24 of 100.
    """
    intervals = [tuple(sorted((-low, -high))) for low, high in (measures["log_loss"].gain or (0.0, 0.0),)]
    if found := measures.get("bcubed_f1"):
        intervals.append(found.gain or (0.0, 0.0))
    if not any(low > 0 for low, _ in intervals) or any(high < 0 for _, high in intervals):
        shipped, tuned = measures["log_loss"].means()
        return "unsure" if (tuned or 0.0) < (shipped or 0.0) else "worse"
    return "better" if (measures["log_loss"].means()[1] or 0.0) <= (1 - LEAST_EXPLAINED) * base_loss else "unrelated"


def write_weights(path: str | os.PathLike[str], found: Tuning) -> None:
    """What was learned as JSON; `read_weights` and `build --weights` take its `weights`."""
    told = {name: value for name, value in found.to_json().items() if name != "applied"}
    Path(path).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def read_weights(path: str | os.PathLike[str]) -> Weights:
    """The weights of such a file, or of one like `weights.json`; UnreadableSourceError for anything else."""
    try:
        given = json.loads(Path(path).read_text(encoding="utf-8"))
        return Weights.from_json(given["weights"] if isinstance(given, dict) and "weights" in given else given)
    except OSError as error:
        reason = f"it cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except (json.JSONDecodeError, RecursionError):
        reason = "it is not JSON"
    except ValueError as error:
        reason = f"it holds no weights ({error})"
    raise UnreadableSourceError(os.fspath(path), reason, "write it with `recommender tune GOLD --output FILE`")
