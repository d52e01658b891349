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
class ScoreConfig:
    """How evidence becomes one closeness."""

    days_to_fade: float = 4.0
    """Days after which the share of a match that time can take is down to 1/e. Of 3, 4, 7 and 14 the best mean nDCG@5."""
    timeless: float = 0.4
    """What is left of a match however far apart the dates are: a follow-up after months must stay possible."""
    unknown_days: float = 6.0
    """Days apart that are assumed where a date is missing; 0 would favour articles without one (-3 points on gva)."""


DEFAULT = ScoreConfig()


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
    return (evidence.dense + evidence.text + evidence.lead) / 3


def timed(close: Array, days_apart: Array, config: ScoreConfig = DEFAULT) -> Array:
    """(n,) in [0, 1]: closeness, less with every day between the two."""
    days = np.nan_to_num(days_apart, nan=config.unknown_days)
    return close * (config.timeless + (1 - config.timeless) * np.exp(-days / config.days_to_fade))


def features(evidence: Evidence) -> dict[str, Array]:
    """What the weights are for, by name."""
    close = closeness(evidence)
    now = timed(close, evidence.days_apart)
    return {"closeness": close, "timed": now, "root_timed": np.sqrt(now)}


def score(evidence: Evidence, weights: Mapping[str, Mapping[str, float]] | None = None) -> Scores:
    """The probabilities of the pairs: a logistic regression over `features`."""
    known = weights or shipped_weights()
    named = features(evidence)

    def probability(of: Mapping[str, float]) -> Array:
        logit = sum((of[name] * values for name, values in named.items()), np.full(len(evidence), of["intercept"], np.float32))
        return (1 / (1 + np.exp(-np.clip(logit, -30, 30)))).astype(np.float32)

    same = probability(known["same_story"])
    return Scores(related=np.maximum(probability(known["related"]), same), same_story=same)


@cache
def shipped_weights() -> Mapping[str, Mapping[str, float]]:
    """The weights that ship with the package; `scripts/learn_weights.py` makes the file."""
    file = resources.files("recommender.pipeline").joinpath("weights.json")
    weights: dict[str, dict[str, float]] = json.loads(file.read_text(encoding="utf-8"))["weights"]
    return weights
