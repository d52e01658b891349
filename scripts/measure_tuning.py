"""What weights tuned by `recommender tune` gain on the rest of a labelled set, by how many of its articles are labelled.

    python -m scripts.measure_tuning DATA_DIR

DATA_DIR holds the sets of `learn_weights.py`. The prior is learned on all other sets. Articles are chosen at random, as a
stretch that follows each other in the file (by date in wikinews, nearly so in og2021), or as whole stories at random;
printed is the mean log loss of same story on the pairs among the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommender.judging.learning import STRENGTH, Judged, Sample, fit, sample_of
from recommender.judging.tuning import losses
from recommender.pipeline.candidates import Pairs
from recommender.pipeline.scoring import features, probability, shipped_weights
from scripts.learn_weights import SETS, LabelledSet, load_set

LABELLED = (60, 120, 250, 600)
STRENGTHS = (1.0, 3.0, STRENGTH, 30.0, 100.0)
DRAWS = 12


def judged_set(one: LabelledSet) -> Judged:
    """A set as if all its articles were labelled."""
    stories = np.unique(one.story, return_inverse=True)[1].astype(np.int64)
    truth = {"same_story": one.same}
    return Judged(pairs=Pairs(*one.pairs), table=features(one.evidence), truth=truth, groups=stories, by_story=True)


def prior_of(others: list[Judged]) -> dict[str, float]:
    """The weights learned from all these sets, each weighing the same."""
    parts = [(one.table, one.truth["same_story"], np.full(len(one.table), 1e4 / len(one.table))) for one in others]
    table, truth, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    return fit(Sample(table, truth, counts), shipped_weights().same_story, 1e-3)


def chosen(how: str, judged: Judged, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """About n labelled articles."""
    total = len(judged.groups)
    inside = np.zeros(total, np.bool_)
    if how == "random":
        inside[rng.choice(total, n, replace=False)] = True
    elif how == "stretch":
        start = int(rng.integers(total - n))
        inside[start : start + n] = True
    else:
        stories = rng.permutation(judged.groups.max() + 1)
        size = np.bincount(judged.groups)[stories]
        inside = np.isin(judged.groups, stories[np.cumsum(size) <= max(n, size[0])])
    return inside


def gains(how: str, judged: Judged, n: int, prior: Mapping[str, float]) -> tuple[float, list[float]]:
    """The log loss of the prior on what is not labelled, and what each strength gains on it."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(DRAWS):
        inside = chosen(how, judged, n, rng)
        sample, rest = sample_of(judged, "same_story", inside), sample_of(judged, "same_story", ~inside)
        if min(sample.truth.sum(), (~sample.truth).sum()) < 5:
            continue
        # as a site would: it cannot know what its choice of articles does to the base rate
        plain = sample._replace(counts=np.full(len(sample.truth), min(1, inside.sum() / len(sample.truth))))
        known = [prior, *(fit(plain, prior, strength) for strength in STRENGTHS)]
        rows.append([float(losses(probability(rest.table, weights), rest.truth).mean()) for weights in known])
    before, *after = np.mean(rows, axis=0).tolist() if rows else [np.nan] * (1 + len(STRENGTHS))
    return before, [before - loss for loss in after]


def main() -> None:
    """Print a line for each set, way to choose and number of articles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    sets = {name: judged_set(load_set(parser.parse_args().data / f"{name}.jsonl.gz")) for name in SETS}
    print(f"{'set':10s}{'chosen':10s}{'labels':>8s}{'prior':>9s}" + "".join(f"{strength:>9g}" for strength in STRENGTHS))
    for name, judged in sets.items():
        prior = prior_of([other for key, other in sets.items() if key != name])
        for how in ("random", "stretch", "stories"):
            for n in LABELLED:
                if n < 0.6 * len(judged.groups):
                    before, gained = gains(how, judged, n, prior)
                    print(f"{name:10s}{how:10s}{n:8d}{before:9.3f}" + "".join(f"{gain:+9.3f}" for gain in gained), flush=True)


if __name__ == "__main__":
    main()
