"""Writes the related lists that follow from links, threads and rules: both profiles of an article, with reasons."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.archive import Archive, Links, joined, wording_of
from recommender.pipeline.candidates import unique_pairs
from recommender.pipeline.evidence import Views, evidence_of
from recommender.pipeline.overruling import CHOSEN, Ruling, overruled_list
from recommender.pipeline.ranking import DEFAULT, Candidates, is_duplicate, sidebar, similar
from recommender.pipeline.scoring import score
from recommender.pipeline.wording import Wording, reasons_of
from recommender.rulebook import ruling_in
from recommender.schema import RELATIONS
from recommender.store import Store

BLOCK = 2_000
"""Articles whose lists are written at once."""

LinkRow = tuple[int, int, float, float, int, str | None, int | None, int | None]


class _Graph:
    """The links by article."""

    def __init__(self, store: Store, archive: Archive, links: Links, ruling: Ruling) -> None:
        self.archive = archive
        self.links = links
        self.ruling = ruling
        self.starts, self.others, self.numbers = links.by_article(len(archive))
        both = np.concatenate([links.pairs.left, links.pairs.right]), np.concatenate([links.pairs.right, links.pairs.left])
        values = np.tile(links.same_story, 2)
        self.alike = sparse.csr_matrix((values, both), shape=(len(archive), len(archive)))
        threads = dict(store.query("SELECT row, thread FROM articles WHERE thread IS NOT NULL"))
        self.threads = np.array([threads.get(row, 0) for row in archive.rows.tolist()], np.int64)
        self.copies = self._copies()
        evergreen = store.evergreen_rows()
        self.evergreen = np.array([row in evergreen for row in archive.rows.tolist()], np.bool_)

    def _copies(self) -> NDArray[np.int64]:
        """(n,) a number for every text; copies of one text share it."""
        twice = self.links.only(self.links.duplicate)
        shape = (len(self.archive), len(self.archive))
        graph = sparse.coo_matrix((np.ones(len(twice), np.int8), (twice.pairs.left, twice.pairs.right)), shape=shape)
        return np.asarray(sparse.csgraph.connected_components(graph, directed=False)[1], np.int64)

    def candidates(self, position: int) -> tuple[Candidates, NDArray[np.int64]]:
        """What may be shown beside an article, and the numbers of the links that say so."""
        here = slice(self.starts[position], self.starts[position + 1])
        others, numbers = self.others[here], self.numbers[here]
        thread = self.threads[position]
        hidden = self.ruling.hidden(position, others) | (self.links.same_story[numbers] == ASKED)
        found = Candidates(
            positions=others,
            scores=np.where(hidden, 0, self.links.related[numbers]).astype(np.float32),
            same_thread=(self.threads[others] == thread) & (thread > 0),
            duplicate=self.copies[others] == self.copies[position],
            days=self.archive.days[others],
            evergreen=self.evergreen[others],
        )
        return found, numbers

    def lists(self, position: int, candidates: Candidates) -> tuple[list[int], list[int]]:
        """The places of both lists of an article; pins, and none of their copies, come first in what a reader sees."""
        copies = self.copies[candidates.positions]
        pinned = self.pinned(position, candidates)
        left = candidates
        if pinned:
            again = np.isin(copies, copies[np.array(pinned, np.int64)])
            left = candidates._replace(scores=np.where(again, 0, candidates.scores).astype(np.float32))
        alike = self.alike[candidates.positions][:, candidates.positions].toarray()
        order = sidebar(left, alike, copies, float(self.archive.days[position]))
        return similar(candidates), overruled_list(order, pinned, DEFAULT.longest)

    def pinned(self, position: int, candidates: Candidates) -> list[int]:
        """The places of the candidates that editors have put beside an article, in their order."""
        chosen = np.array(self.ruling.pins.get(position, ()), np.int64)
        return [int(place) for place in np.searchsorted(candidates.positions, chosen)]  # all are there, by rising position


ASKED = 0.0
"""`same` of a link that is kept for a pin alone. The machine's are above: log odds end at -30. No thread is made of it, and no
list but that of the pin."""


def _with_pinned(links: Links, archive: Archive, views: Views, ruling: Ruling) -> Links:
    """The links with one for each pinned pair, whatever the evidence says of it."""
    pins = np.array(ruling.pinned(), np.int64).reshape(-1, 2)
    if not len(pins):
        return links
    pairs = unique_pairs(pins[:, 0], pins[:, 1])
    evidence = evidence_of(views, pairs.left, views, pairs.right, archive.background)
    words = views.words[pairs.left], views.words[pairs.right]
    asked = Links(
        pairs=pairs,
        related=score(evidence, archive.weights).related,
        same_story=np.full(len(pairs.left), ASKED, np.float32),
        duplicate=is_duplicate(evidence.text, *words, evidence.days_apart, evidence.title),
    )
    return joined([links, asked])


def write_lists(
    store: Store, archive: Archive, views: Views, links: Links, positions: NDArray[np.int64], progress: Callable[[int, int], None]
) -> None:
    """Write the lists of the articles at these positions, with all their links, and of those that pins bind to them."""
    ruling = ruling_in(store, archive)
    positions = ruling.partners(positions)
    graph = _Graph(store, archive, _with_pinned(links, archive, views, ruling), ruling)
    wording = wording_of(archive, views)
    for start in range(0, len(positions), BLOCK):
        part = positions[start : start + BLOCK]
        rows = [(int(archive.rows[position]),) for position in part]
        store.db.executemany("DELETE FROM links WHERE row = ?", rows)
        store.db.executemany("INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _link_rows(graph, views, wording, part))
        progress(start + len(part), len(positions))


def _link_rows(graph: _Graph, views: Views, wording: Wording, positions: NDArray[np.int64]) -> Iterator[LinkRow]:
    listed = []
    for position in positions.tolist():
        candidates, numbers = graph.candidates(position)
        places = np.full((2, len(numbers)), -1, np.int64)
        for profile, order in enumerate(graph.lists(position, candidates)):
            places[profile, order] = np.arange(len(order))
        listed.append((position, candidates, numbers, places))
    shown = np.unique(np.concatenate([numbers[(places >= 0).any(axis=0)] for _, _, numbers, places in listed]))
    reasons = dict(zip(shown.tolist(), _reasons(graph, views, wording, shown), strict=True))
    rows = graph.archive.rows
    for position, candidates, numbers, places in listed:
        pinned = set(graph.pinned(position, candidates))
        related, same = graph.links.related[numbers].tolist(), graph.links.same_story[numbers].tolist()
        for i, (other, number) in enumerate(zip(candidates.positions.tolist(), numbers.tolist(), strict=True)):
            relation = "duplicate" if graph.links.duplicate[number] else "same-story" if candidates.same_thread[i] else "related"
            yield (
                int(rows[position]), int(rows[other]), related[i], same[i], RELATIONS.index(relation),
                _chosen(reasons[number]) if i in pinned else reasons.get(number),
                int(places[0, i]) if places[0, i] >= 0 else None, int(places[1, i]) if places[1, i] >= 0 else None,
            )  # fmt: skip


def _chosen(reasons: str) -> str:
    """The reasons of a pin, of the evidence's as JSON."""
    return json.dumps([CHOSEN, *json.loads(reasons)], ensure_ascii=False)


def _reasons(graph: _Graph, views: Views, wording: Wording, links: NDArray[np.int64]) -> list[str]:
    """The reasons of some links as JSON."""
    left, right = graph.links.pairs.left[links], graph.links.pairs.right[links]
    apart = np.abs(graph.archive.days[left] - graph.archive.days[right]).astype(np.float32)
    return [json.dumps(words, ensure_ascii=False) for words in reasons_of(wording, views.text[left], views.text[right], apart)]
