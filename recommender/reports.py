"""What the site is told of its index: frozen values that know their JSON shape. Imports nothing of ours and nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

GoldForm = Literal["story-labels", "judged-pairs", "graded-lists"]
"""Form of a truth, by the columns of its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measure and its 95 % interval.

    In [0, 1], and larger is better; but `empty`, `unjudged` and `ece` are better if small, and
    `shown` is a number of places.
    """

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """The figure as in the `evaluate` JSON."""
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """The judged places of the sidebars whose score is in one bin."""

    low: float
    high: float
    """End of the bin; scores are in [low, high), in the last bin also `high`."""
    places: int
    said: float | None
    """Mean score of the places; None without any."""
    belongs: float | None
    """Share of the places with grade 1 or 2; None without any."""

    def to_json(self) -> dict[str, Any]:
        """The bin as in the `evaluate` JSON."""
        return {
            "low": self.low,
            "high": self.high,
            "places": self.places,
            "said": _rounded(self.said),
            "belongs": _rounded(self.belongs),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How an index answers a truth, beside simple lists of the same articles."""

    gold: GoldForm
    counts: Mapping[str, int]
    """Named numbers: what was judged, what was left out, resamples."""
    measures: Mapping[str, Mapping[str, Figure | None]]
    """Measure -> system -> figure; None where the system has none, or the truth does not tell."""
    gain: str
    """What the site gains, in a sentence; of graded lists in two or three."""
    reliability: tuple[ReliabilityBin, ...] = ()
    """Ten bins of the score, lowest first; of graded lists alone."""

    def to_json(self) -> dict[str, Any]:
        """The `evaluate` JSON."""
        reliability = {"reliability": [one.to_json() for one in self.reliability]} if self.reliability else {}
        return {
            "gold": self.gold,
            **self.counts,
            "measures": {
                name: {system: figure.to_json() if figure else None for system, figure in row.items()}
                for name, row in self.measures.items()
            },
            **reliability,
            "gain": self.gain,
        }


Outcome = Literal["better", "unsure", "worse", "unrelated"]
"""Of tuned weights against the shipped ones on held-out articles: `unsure` is a gain whose interval holds 0, `unrelated`
one by judgments that do not follow the evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """A measure of each fold, by the shipped weights and by those learned without the fold; None where it does not tell."""

    shipped: tuple[float | None, ...]
    tuned: tuple[float | None, ...]
    gain: tuple[float, float] | None = None
    """95 % interval of tuned less shipped, over all that was judged."""

    def gains(self) -> list[float]:
        """Tuned less shipped, in the folds that tell."""
        both = zip(self.shipped, self.tuned, strict=True)
        return [tuned - shipped for shipped, tuned in both if shipped is not None and tuned is not None]

    def means(self) -> tuple[float | None, float | None]:
        """Of shipped and of tuned, over the folds that tell."""
        return _mean(self.shipped), _mean(self.tuned)

    def to_json(self) -> dict[str, Any]:
        """The measure as in the `tune` JSON."""
        both = {
            name: {"mean": _rounded(_mean(values)), "folds": [_rounded(value) for value in values]}
            for name, values in (("shipped", self.shipped), ("tuned", self.tuned))
        }
        return both | {"gain": [_rounded(end) for end in self.gain] if self.gain else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What was learned of one probability."""

    pairs: int
    positive: int
    """Pairs of which it is true."""
    shipped: Mapping[str, float]
    tuned: Mapping[str, float]
    """Learned from all pairs."""
    measures: Mapping[str, HeldOut]
    """`log_loss` (smaller is better), `f1` of the pairs at one half, `bcubed_f1` of threads where stories are known."""
    outcome: Outcome

    @property
    def better(self) -> bool:
        """Whether the tuned weights are to be used."""
        return self.outcome == "better"

    def to_json(self) -> dict[str, Any]:
        """The relation as in the `tune` JSON."""
        return {
            "pairs": self.pairs,
            "positive": self.positive,
            "shipped": dict(self.shipped),
            "tuned": dict(self.tuned),
            "held_out": {name: measure.to_json() for name, measure in self.measures.items()},
            "outcome": self.outcome,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a truth of the site's own teaches the score."""

    gold: GoldForm
    counts: Mapping[str, int]
    """Named numbers: what was judged, what was left out."""
    relations: Mapping[str, Tuned]
    """Of `same_story` and `related` those that the truth tells of."""
    weights: Mapping[str, Mapping[str, float]]
    """What is best here: tuned where that is better, else shipped."""
    applied: bool
    """Whether the index has these weights now."""

    @property
    def better(self) -> bool:
        """Whether anything was learned that is to be used."""
        return any(one.better for one in self.relations.values())

    def to_json(self) -> dict[str, Any]:
        """The `tune` JSON."""
        return {
            "gold": self.gold,
            **self.counts,
            "relations": {name: one.to_json() for name, one in self.relations.items()},
            "weights": {name: dict(of) for name, of in self.weights.items()},
            "better": self.better,
            "applied": self.applied,
        }


def _mean(values: tuple[float | None, ...]) -> float | None:
    told = [value for value in values if value is not None]
    return sum(told) / len(told) if told else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How far two indexes agree on the articles that both hold."""

    articles: int
    """Those that both hold."""
    only_one: int
    only_other: int
    threads_agree: float | None
    """B-cubed F1 between the threads, in [0, 1]; None without articles that both hold."""
    ids_kept: float | None
    """Share of the articles in a thread of either whose thread has the same id in both; None without any."""
    lists_agree: float | None
    """Mean share of the items of the first five of a sidebar that both show, over articles that have any; None without any."""
    moved: tuple[str, ...]
    """Ids of the articles whose lists share nothing, most a hundred."""

    def to_json(self) -> dict[str, Any]:
        """The `compare` JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"moved": list(self.moved)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of damage in an index."""

    kind: str
    """What is wrong, in words."""
    count: int
    """How often, 1 or more."""
    example: str
    """The first thing it is wrong with: an id, a row, or what SQLite says."""

    def to_json(self) -> dict[str, Any]:
        """The finding as in the `check` JSON."""
        return {"kind": self.kind, "count": self.count, "example": self.example}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What `repair` has saved of an index."""

    saved: int
    """Articles of the index now."""
    lost: int
    """Articles that could not be read whole."""
    lost_ids: tuple[str, ...]
    """Those of them whose ids could be read."""
    kept: str | None
    """The name that the damaged file has in the folder now; None where the index was sound and nothing was changed."""

    def to_json(self) -> dict[str, Any]:
        """The result as in the `repair` JSON."""
        return {"saved": self.saved, "lost": self.lost, "lost_ids": list(self.lost_ids), "kept": self.kept}
