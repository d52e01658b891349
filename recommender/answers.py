"""What a reader gets of an index: frozen values that know their JSON shape. Imports nothing of ours and nothing heavy."""

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
