"""Writes the related lists that follow from links and threads: both profiles of an article, with reasons for what is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.archive import Archive, Links, wording_of
from recommender.pipeline.evidence import Views
from recommender.pipeline.ranking import Candidates, sidebar, similar
from recommender.pipeline.wording import Wording, reasons_of
from recommender.store import RELATIONS, Store

BLOCK = 2_000
"""Articles whose lists are written at once."""

LinkRow = tuple[int, int, float, float, int, str | None, int | None, int | None]


class _Graph:
    """The links by article."""

    def __init__(self, store: Store, archive: Archive, links: Links) -> None:
        self.archive = archive
        self.links = links
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
        found = Candidates(
            positions=others,
            scores=self.links.related[numbers],
            same_thread=(self.threads[others] == thread) & (thread > 0),
            duplicate=self.copies[others] == self.copies[position],
            days=self.archive.days[others],
            evergreen=self.evergreen[others],
        )
        return found, numbers


def write_lists(
    store: Store, archive: Archive, views: Views, links: Links, positions: NDArray[np.int64], progress: Callable[[int, int], None]
) -> None:
    """Write the lists of the articles at these positions, with all their links."""
    graph = _Graph(store, archive, links)
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
        alike = graph.alike[candidates.positions][:, candidates.positions].toarray()
        copies = graph.copies[candidates.positions]
        places = np.full((2, len(numbers)), -1, np.int64)
        for profile, order in enumerate(
            (similar(candidates), sidebar(candidates, alike, copies, float(graph.archive.days[position])))
        ):
            places[profile, order] = np.arange(len(order))
        listed.append((position, candidates, numbers, places))
    shown = np.unique(np.concatenate([numbers[(places >= 0).any(axis=0)] for _, _, numbers, places in listed]))
    reasons = dict(zip(shown.tolist(), _reasons(graph, views, wording, shown), strict=True))
    rows = graph.archive.rows
    for position, candidates, numbers, places in listed:
        related, same = graph.links.related[numbers].tolist(), graph.links.same_story[numbers].tolist()
        for i, (other, number) in enumerate(zip(candidates.positions.tolist(), numbers.tolist(), strict=True)):
            relation = "duplicate" if graph.links.duplicate[number] else "same-story" if candidates.same_thread[i] else "related"
            yield (
                int(rows[position]), int(rows[other]), related[i], same[i], RELATIONS.index(relation), reasons.get(number),
                int(places[0, i]) if places[0, i] >= 0 else None, int(places[1, i]) if places[1, i] >= 0 else None,
            )  # fmt: skip


def _reasons(graph: _Graph, views: Views, wording: Wording, links: NDArray[np.int64]) -> list[str]:
    """The reasons of some links as JSON."""
    left, right = graph.links.pairs.left[links], graph.links.pairs.right[links]
    apart = np.abs(graph.archive.days[left] - graph.archive.days[right]).astype(np.float32)
    return [json.dumps(words, ensure_ascii=False) for words in reasons_of(wording, views.text[left], views.text[right], apart)]
