"""What a reader gets: frozen values that know their JSON shape. Imports nothing of ours and nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Relation = Literal["duplicate", "same-story", "related"]
"""How two articles stand to each other, closest first."""

Profile = Literal["sidebar", "similar"]
"""`sidebar`: what a reader should see. `similar`: pure order of relevance, nothing collapsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """One article of a related list."""

    id: str
    title: str
    url: str | None
    published: str | None
    """ISO 8601 with offset."""
    score: float
    """In [0, 1], larger is closer: the probability that an editor would call the two related."""
    relation: Relation
    thread_id: str | None
    reasons: tuple[str, ...]
    """What a reader would name: shared people, places, rare words, then the time between the two."""

    def to_json(self) -> dict[str, Any]:
        """The item as in the `related` JSON."""
        return {
            "id": self.id,
            "title": self.title,
            "url": self.url,
            "published": self.published,
            "score": self.score,
            "relation": self.relation,
            "thread_id": self.thread_id,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadPlace:
    """Where an article stands in its thread."""

    id: str
    label: str
    position: int
    """1 is the oldest article of the thread."""
    size: int

    def to_json(self) -> dict[str, Any]:
        """The place as in the `related` JSON."""
        return {"id": self.id, "label": self.label, "position": self.position, "size": self.size}


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedList:
    """A related list with the thread of the article it belongs to."""

    id: str | None
    """None for a draft that has no id."""
    thread: ThreadPlace | None
    items: tuple[Related, ...]

    def to_json(self) -> dict[str, Any]:
        """The `related` JSON of the contract."""
        return {
            "id": self.id,
            "thread": self.thread.to_json() if self.thread else None,
            "items": [item.to_json() for item in self.items],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryThread:
    """Two or more articles of one running story."""

    id: str
    label: str
    keywords: tuple[str, ...]
    size: int
    first_published: str | None
    last_published: str | None
    lead_id: str
    """The most central article, whose headline is the label."""
    article_ids: tuple[str, ...]
    """Oldest first; articles without a date last."""

    def to_json(self) -> dict[str, Any]:
        """The `thread` JSON of the contract."""
        return {
            "id": self.id,
            "label": self.label,
            "keywords": list(self.keywords),
            "size": self.size,
            "first_published": self.first_published,
            "last_published": self.last_published,
            "lead_id": self.lead_id,
            "article_ids": list(self.article_ids),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the engine holds of a pair of articles."""

    ids: tuple[str, str]
    score: float
    relation: Relation | None
    """None where the pair is not close enough to be shown in any list."""
    reasons: tuple[str, ...]
    evidence: Mapping[str, float | None]
    """Named numbers; None where a piece of evidence cannot be had (no dates, no titles)."""

    def to_json(self) -> dict[str, Any]:
        """The `explain` JSON of the contract."""
        return {
            "ids": list(self.ids),
            "score": self.score,
            "relation": self.relation,
            "reasons": list(self.reasons),
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measure and its 95 % interval, each in [0, 1], larger is better."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """The figure as in the `evaluate` JSON."""
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadChange:
    """Something that happened to a story thread."""

    at: str
    """When it was written, ISO 8601 in UTC."""
    kind: str
    """founded, joined, left, merged, split, renamed or closed."""
    thread_id: str
    other_id: str | None
    """Of a merge the thread that goes on, of a split the one that the articles come from."""
    article_ids: tuple[str, ...]
    """The articles that came, went, or make up the thread; one that went from a thread to another is in a merge or a split."""
    label: str | None
    """Of the thread, then."""

    def to_json(self) -> dict[str, Any]:
        """The `changes` JSON."""
        return {
            "at": self.at,
            "kind": self.kind,
            "thread_id": self.thread_id,
            "other_id": self.other_id,
            "article_ids": list(self.article_ids),
            "label": self.label,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How far two indexes agree on the articles that both hold."""

    articles: int
    """Those that both hold."""
    only_one: int
    only_other: int
    threads_agree: float
    """B-cubed F1 between the threads, in [0, 1]."""
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
class Evaluation:
    """How an index answers a truth, beside simple lists of the same articles."""

    gold: Literal["story-labels", "judged-pairs"]
    counts: Mapping[str, int]
    """Named numbers: what was judged, what was left out, resamples."""
    measures: Mapping[str, Mapping[str, Figure | None]]
    """Measure -> system -> figure; None where the system has none, or the truth does not tell."""
    gain: str
    """One sentence: what the site gains."""

    def to_json(self) -> dict[str, Any]:
        """The `evaluate` JSON."""
        return {
            "gold": self.gold,
            **self.counts,
            "measures": {
                name: {system: figure.to_json() if figure else None for system, figure in row.items()}
                for name, row in self.measures.items()
            },
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

    gold: Literal["story-labels", "judged-pairs"]
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
