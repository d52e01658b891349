"""Step 7b of 8: Evidence -> probabilities. The weights are readable data, `weights.json` beside this module."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from recommender.pipeline.evidence import Evidence

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeritConfig:
    """How the pieces of evidence weigh against each other. The order of a list depends on these alone."""

    time: float = 0.42
    """Weight of the log odds that time brings, one unit of log closeness being 1. Flat from .3 to .55 on the sets with dates."""
    names: float = 0.115
    """Weight of the log cosine of the names. Without it the mean nDCG@5 of seven sets is .6 points lower; .2 gains
    .2 points on gva and uci and loses .3 on og2021 and wikinews."""
    burst: float = 0.2
    """Weight of the log cosine of the bursting terms. On seven sets .1 to .4 gain .2 to .3 points of mean nDCG@5: gva .6, uci
    .9, og2021 .4 at .2, ecbplus and fnc1 lose .1."""
    least_burst: float = 0.05
    """Added before the logarithm."""
    least_closeness: float = 0.03
    """Added before the logarithm: closeness below it is noise."""
    least_names: float = 0.05
    """The same for the names."""
    no_names: float = 0.1
    """Cosine of the names that is assumed where one article has none."""


DEFAULT = MeritConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Probabilities of n pairs, each (n,) float32 in [0, 1]."""

    related: Array
    """That an editor would call the two related: the score that everyone sees."""
    same_story: Array
    """That the two belong to one story thread."""


def closeness(evidence: Evidence) -> Array:
    """(n,) in [0, 1]: the mean of three cosines (dense, full text, title with lead).

    On six sets of real news the mean of the three beats each alone; equal weights are within half a point of the best.
    """
    return np.asarray((evidence.dense + evidence.text + evidence.lead) / 3, np.float32)


def merit(evidence: Evidence, config: MeritConfig = DEFAULT) -> Array:
    """(n,) what all evidence says together, a log: larger is closer, and it orders every list."""
    names = np.nan_to_num(evidence.names, nan=config.no_names)
    logs = (
        np.log(closeness(evidence) + config.least_closeness)
        + config.time * evidence.time
        + config.burst * np.log(evidence.burst + config.least_burst)
        + config.names * np.log(names + config.least_names)
    )
    return np.asarray(logs, np.float32)


def features_of(evidence: Evidence) -> dict[str, Array]:
    """What the probabilities are learned over, by name; each (n,)."""
    told = ("form", "names_differ", "numbers_differ", "bare")
    return {"merit": merit(evidence)} | {name: getattr(evidence, name) for name in told}


def score(evidence: Evidence, weights: Mapping[str, Mapping[str, float]] | None = None) -> Scores:
    """The probabilities of the pairs: two logistic regressions over `features_of`; each names the features it uses."""
    known = weights or shipped_weights()
    features = features_of(evidence)

    def probability(of: Mapping[str, float]) -> Array:
        logit = of["intercept"] + sum(of[name] * features[name] for name in of if name != "intercept")
        return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))), np.float32)

    same = probability(known["same_story"])
    return Scores(related=np.maximum(probability(known["related"]), same), same_story=same)


@cache
def shipped_weights() -> Mapping[str, Mapping[str, float]]:
    """The weights that ship with the package; `scripts/learn_weights.py` makes the file."""
    file = resources.files("recommender.pipeline").joinpath("weights.json")
    weights: dict[str, dict[str, float]] = json.loads(file.read_text(encoding="utf-8"))["weights"]
    return weights
