"""A site's own judgments -> weights of its own, and what they gain on articles that they were not learned from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommender.archives.archive import Archive
from recommender.errors import UnreadableSourceError
from recommender.evaluation import bootstrap, elements_of, weighted_bcubed, weighted_ratio
from recommender.judging.gold import Gold, GradedLists
from recommender.judging.learning import Judged, fit, judged_of, sample_of
from recommender.judging.measuring import known_part
from recommender.pipeline.linking import thread_groups
from recommender.pipeline.scoring import NAMES, Weights, probability, shipped_weights
from recommender.reports import HeldOut, Outcome, Tuned, Tuning
from recommender.storage.store import Store

FOLDS = 5
LEAST_PAIRS = 30
"""Usable pairs from which weights are learned at all."""

LEAST_OF_A_KIND = 5
"""Pairs that are of one story (or related), and pairs that are not, from which that probability is learned."""

LEAST_EXPLAINED = 0.05
"""Share of the log loss of the base rate that the evidence must explain on held-out articles (the R² of McFadden, 1974).
Below it the judgments do not follow the evidence, and weights learned from them would only flatten every list."""


def tune(store: Store, archive: Archive, gold: Gold, *, source: str) -> Tuning:
    """What a truth that was read from `source` teaches, and what that gains.

    Graded lists are learned from as judged pairs.

    RecommenderError where too little of it can be learned from; articles that are not in the index are counted.
    """
    teaching = gold.to_pairs() if isinstance(gold, GradedLists) else gold
    known, rows, unknown = known_part(store, teaching, source)
    judged = judged_of(known, archive, archive.places_of(rows))
    shipped = shipped_weights()
    learned = {name: _tuned(judged, name, shipped.to_json()[name]) for name in _learnable(judged, source)}
    weights = shipped.to_json() | {name: dict(one.tuned) for name, one in learned.items() if one.better}
    counts = {"articles": len(known.ids), "unknown_articles": unknown, "pairs": len(judged.pairs.left)}
    if judged.by_story:
        sizes = np.unique(judged.groups, return_counts=True)[1]
        counts["stories"] = int((sizes > 1).sum())
    return Tuning(gold=gold.form, counts=counts, relations=learned, weights=weights, applied=False)


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


def _tuned(judged: Judged, name: str, prior: Mapping[str, float]) -> Tuned:
    """The weights of one probability, with what they gain where they were not learned.

    A feature that the prior gives no weight keeps none: judgments of one site are too few to learn it from nothing.
    """
    is_used = np.array([feature == "intercept" or prior[feature] != 0 for feature in NAMES])
    judged = replace(judged, table=np.where(is_used, judged.table, 0.0))
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
        outcome=outcome_of(measures, float(losses(base, truth).mean())),
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


def outcome_of(measures: Mapping[str, HeldOut], base_loss: float) -> Outcome:
    """What the measures say of the tuned weights: the interval of some gain lies above 0, that of none below.

    Surely less loss beside threads that are worse, surely or not, is no gain: on one labelled set it left the lists as they
    were and took 1.6 points of B-cubed F1 from the threads.

    Five folds are too few, and share too many articles, for an error of their own. Of 1,000 times that pairs were graded by
    the shipped probabilities themselves, which nothing can better, these intervals said "better" 23 times; more than one
    standard error of the folds was reached in 8 to 24 of 100.
    """
    intervals = [tuple(sorted((-low, -high))) for low, high in (measures["log_loss"].gain or (0.0, 0.0),)]
    threads_fall = False
    if found := measures.get("bcubed_f1"):
        intervals.append(found.gain or (0.0, 0.0))
        threads_fall = sum(found.gains()) < 0
    if threads_fall or not any(low > 0 for low, _ in intervals) or any(high < 0 for _, high in intervals):
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
