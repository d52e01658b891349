"""Step 7b of 8: Evidence -> probabilities. The weights are readable data, `weights.json` beside this module."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any

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
    nearness: Array
    """How near the two are, the order of the profile `similar`; see `NEARNESS`."""


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


LEAST_CROSS = 0.03
"""Added to `cross` before the logarithm: below it is noise."""


SHORT_WORDS, LONG_WORDS = 40.0, 120.0
"""Distinct terms of the longer text up to which the lead is as good as the whole, and from which it is a part of its own."""


def log_cross(evidence: Evidence) -> Array:
    """(n,) log of `cross`. Of short texts, whose lead is nearly all there is, it would say again what `text` says: there
    `closeness` takes its place. (On the sample newsroom, by weights learned elsewhere, nDCG@5 .365 -> .508.)"""
    long = np.clip((evidence.words - SHORT_WORDS) / (LONG_WORDS - SHORT_WORDS), 0, 1)
    return np.asarray(np.log(long * evidence.cross + (1 - long) * closeness(evidence) + LEAST_CROSS), np.float32)


def log_words(evidence: Evidence) -> Array:
    """(n,) log of 1 + `words`: beside the cosines it tells a long text that touches on many things from a short one."""
    return np.asarray(np.log1p(evidence.words), np.float32)


def log_usual_words(evidence: Evidence) -> Array:
    """(n,) log of 1 + `usual_words`: where texts are short, those of one story share fewer of their words. With the texts of
    three archives cut to 90 words, the closeness of pairs that belong falls by a fifth."""
    return np.asarray(np.log1p(evidence.usual_words), np.float32)


UNSURE_FORM, SURE_FORM = 0.45, 0.8
"""`form` up to which two texts may as well be a report and its follow-up, and from which they are one template filled in twice.
Of pairs that readers call background or the same story, 85 in 100 lie below .45 in an agency's archive with its weekly reports;
closing reports of the stock market are at .93."""

STALE_DAYS = 30.0, 60.0
"""Days apart up to which an earlier issue of a report is still welcome beside it, and from which it is not."""


def template(evidence: Evidence) -> Array:
    """(n,) in [0, 1]: how surely the two are one template filled in twice, months apart; see `UNSURE_FORM` and `STALE_DAYS`."""
    sure = np.clip((evidence.form - UNSURE_FORM) / (SURE_FORM - UNSURE_FORM), 0, 1)
    stale = np.clip((evidence.days_apart - STALE_DAYS[0]) / (STALE_DAYS[1] - STALE_DAYS[0]), 0, 1)
    return np.asarray(sure * np.nan_to_num(stale, nan=0.0), np.float32)


FEATURES: Mapping[str, Callable[[Evidence], Array]] = {
    "merit": merit,
    "cross": log_cross,
    "words": log_words,
    "usual_words": log_usual_words,
    "template": template,
    "form": lambda evidence: evidence.form,
    "names_differ": lambda evidence: evidence.names_differ,
    "numbers_differ": lambda evidence: evidence.numbers_differ,
    "bare": lambda evidence: evidence.bare,
}
"""What the two regressions weigh, by the names that the weights have; beside these each has an `intercept`."""

NAMES = ("intercept", *FEATURES)

SINCE_0_1_0 = ("cross", "words", "usual_words", "template")
"""Features that weights of version 0.1.0 do not have; they weigh nothing there."""


def features(evidence: Evidence) -> NDArray[np.float64]:
    """(n, len(NAMES)) what the regressions weigh, a column each in the order of NAMES; that of the intercept is 1."""
    return np.column_stack([np.ones(len(evidence)), *(column(evidence) for column in FEATURES.values())]).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What one unit of each feature adds to the log odds, by NAMES, for either probability; ValueError where a name is amiss."""

    same_story: Mapping[str, float]
    related: Mapping[str, float]

    def __post_init__(self) -> None:
        for relation, of in asdict(self).items():
            if not isinstance(of, dict) or of.keys() != set(NAMES):
                raise ValueError(f"{relation} must have {', '.join(NAMES)} and nothing else")
            for name, value in of.items():
                if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= MOST:
                    raise ValueError(f"{relation}.{name} must be a number from -{MOST} to {MOST}")

    @classmethod
    def from_json(cls, given: object) -> Weights:
        """The weights in an object of JSON; ValueError says what is amiss."""
        if not isinstance(given, dict) or given.keys() != {"same_story", "related"}:
            raise ValueError("it must have same_story and related and nothing else")
        return cls(**{name: _with_later_features(of) for name, of in given.items()})

    def to_json(self) -> dict[str, dict[str, float]]:
        """The same as `weights` in weights.json."""
        return {"same_story": dict(self.same_story), "related": dict(self.related)}


def _with_later_features(of: Any) -> Any:
    """Weights of one probability as they were given, 0 for the features that version 0.1.0 did not have."""
    return of | {name: 0 for name in SINCE_0_1_0 if name not in of} if isinstance(of, dict) else of


NEARNESS: Mapping[str, float] = dict.fromkeys(NAMES, 0.0) | {
    "intercept": 6.178, "merit": 2.691, "form": -1.854, "names_differ": -1.889,
}  # fmt: skip
"""The weights of `nearness`, learned from labelled stories: an order in which the pieces of one story come before its background.
Of lists judged by story labels it is the best that was found (nDCG@5 on six sets; by P(related) gva loses .5 points, og2021 1.2,
uci 1.0); lists judged by what a reader is glad of are better in the order of P(related)."""

MOST = 1000
"""Largest weight that is believed to be one; the shipped ones are below 10."""


def probability(table: NDArray[np.float64], of: Mapping[str, float]) -> NDArray[np.float64]:
    """(n,) what one regression makes of `features`; row by row, so that the same pair has the same number in any company."""
    logit = (table * [of[name] for name in NAMES]).sum(axis=1)
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))), np.float64)


def score(evidence: Evidence, weights: Weights) -> Scores:
    """The probabilities of the pairs: two logistic regressions over `features`."""
    table = features(evidence)
    same = probability(table, weights.same_story).astype(np.float32)
    related = np.maximum(probability(table, weights.related).astype(np.float32), same)
    return Scores(related=related, same_story=same, nearness=np.maximum(probability(table, NEARNESS).astype(np.float32), same))


@cache
def shipped_weights() -> Weights:
    """The weights that ship with the package; `scripts/learn_weights.py` makes the file."""
    file = resources.files("recommender.pipeline").joinpath("weights.json")
    return Weights.from_json(json.loads(file.read_text(encoding="utf-8"))["weights"])
