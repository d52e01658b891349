"""The links between articles as arrays: pairs with what is held of them, and as either article sees them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.pipeline.candidates import Pairs, codes_of
from recommender.pipeline.evidence import Evidence
from recommender.pipeline.linking import DEFAULT as THREADS
from recommender.pipeline.ranking import DEFAULT as LISTS
from recommender.pipeline.ranking import is_duplicate
from recommender.pipeline.scoring import Weights, score


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What is held of the pairs worth keeping, each once, by position in the archive; all fields (n,)."""

    pairs: Pairs
    """int32 where they are many."""
    related: NDArray[np.float32]
    same_story: NDArray[np.float32]
    nearness: NDArray[np.float32]
    duplicate: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.related)

    def only(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Links:
        """Some of the links, by mask or number."""
        pairs = Pairs(self.pairs.left[chosen], self.pairs.right[chosen])
        fields = {name: getattr(self, name)[chosen] for name in ("related", "same_story", "nearness", "duplicate")}
        return Links(pairs=pairs, **fields)

    def by_article(self, n_articles: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
        """(starts, others, links): the links of article i are at starts[i]:starts[i + 1], by rising other article."""
        number = np.tile(np.arange(len(self), dtype=np.int32), 2)
        left, right = self.pairs.left.astype(np.int32), self.pairs.right.astype(np.int32)
        ends = (np.concatenate([left, right]), np.concatenate([right, left]))
        by_article = sparse.coo_matrix((number, ends), shape=(n_articles, n_articles)).tocsr()  # a counting sort: no two are one
        return by_article.indptr.astype(np.int64), by_article.indices, by_article.data

    def seen(self, n_articles: int) -> tuple[NDArray[np.int64], LinksOf]:
        """(starts, links): the links as article i sees them are at starts[i]:starts[i + 1], by rising other article."""
        starts, others, numbers = self.by_article(n_articles)
        fields = (self.related[numbers], self.same_story[numbers], self.nearness[numbers], self.duplicate[numbers])
        return starts, LinksOf(others.astype(np.int64), *fields)


class LinksOf(NamedTuple):
    """Links as the articles at one end of them see them; all fields (n,)."""

    others: NDArray[np.int64]
    related: NDArray[np.float32]
    same: NDArray[np.float32]
    nearness: NDArray[np.float32]
    duplicate: NDArray[np.bool_]

    def take(self, chosen: Any) -> LinksOf:
        """Some of them, by place, mask or slice."""
        return LinksOf(
            self.others[chosen], self.related[chosen], self.same[chosen], self.nearness[chosen], self.duplicate[chosen]
        )

    def and_more(self, more: LinksOf) -> LinksOf:
        """With others after them."""
        return LinksOf(
            np.concatenate([self.others, more.others]),
            np.concatenate([self.related, more.related]),
            np.concatenate([self.same, more.same]),
            np.concatenate([self.nearness, more.nearness]),
            np.concatenate([self.duplicate, more.duplicate]),
        )


_NONE = np.zeros(0, np.float32)
NO_LINKS = LinksOf(np.zeros(0, np.int64), _NONE, _NONE, _NONE, np.zeros(0, np.bool_))


def in_a_row(parts: Iterable[Links], most: int) -> Links:
    """The links of several parts, no pair of which is in two, and `most` of all together: room that is not filled costs none."""
    pairs: NDArray[Any] = np.empty((2, most), np.int32)
    related, same_story, nearness = (np.empty(most, np.float32) for _ in range(3))
    duplicate = np.empty(most, np.bool_)
    n = 0
    for part in parts:
        here = slice(n, n + len(part))
        pairs[0, here], pairs[1, here] = part.pairs
        related[here], same_story[here], nearness[here] = part.related, part.same_story, part.nearness
        duplicate[here] = part.duplicate
        n += len(part)
    return Links(
        pairs=Pairs(pairs[0, :n], pairs[1, :n]), related=related[:n], same_story=same_story[:n], nearness=nearness[:n],
        duplicate=duplicate[:n],
    )  # fmt: skip


def joined(parts: list[Links]) -> Links:
    """The links of several parts, each pair once; the first part that knows a pair says what is held of it."""
    links = in_a_row(parts, sum(map(len, parts)))
    return links.only(np.unique(codes_of(*links.pairs), return_index=True)[1])


def linked(pairs: Pairs, evidence: Evidence, weights: Weights, words: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Links:
    """What the evidence says of the pairs; those that can be of no use are left out. `words` are those of either article."""
    links = linked_anyhow(pairs, evidence, weights, words)
    listed = (links.related >= LISTS.least_score) | (links.nearness >= LISTS.least_score)
    return links.only(listed | (links.same_story >= THREADS.floor) | links.duplicate)


def linked_anyhow(
    pairs: Pairs, evidence: Evidence, weights: Weights, words: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> Links:
    """The same of all pairs, of use or not."""
    scores = score(evidence, weights)
    return Links(
        pairs=pairs,
        related=scores.related,
        same_story=scores.same_story,
        nearness=scores.nearness,
        duplicate=is_duplicate(evidence, *words),
    )


def worth_keeping(links: Links, n_articles: int) -> Links:
    """The links that a thread or a list may need: of one story perhaps, or among the best of either article."""
    kept = (links.same_story >= THREADS.floor) | links.duplicate
    left, right = links.pairs
    ends = np.linspace(0, n_articles, 2 + len(links) // AT_ONCE).astype(np.int32)
    for first, last in itertools.pairwise(ends):
        own = np.concatenate([np.flatnonzero((side >= first) & (side < last)) for side in (left, right)])
        half = np.count_nonzero((left >= first) & (left < last))
        article = np.concatenate([left[own[:half]], right[own[half:]]])
        for value in (links.related, links.nearness):
            order = np.lexsort((own, -value[own], article))
            in_order = article[order]
            rank = np.arange(len(order)) - np.searchsorted(in_order, in_order)
            kept[own[order[rank < MOST_KEPT]]] = True
    return links.only(kept)


AT_ONCE = 500_000
"""Links that are weighed at once, about; bounds the memory."""

MOST_KEPT = 30
"""Links of an article that are kept for each of its lists, which show at most 20 and leave copies out."""
