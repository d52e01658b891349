"""Chooses and writes the related lists that follow from links, threads and rules: both profiles of an article."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recommender.archives.archive import Archive
from recommender.archives.graph import Graph
from recommender.archives.links import NO_LINKS, LinksOf, linked_anyhow
from recommender.archives.rulebook import ruling_in
from recommender.distinct import distinct, others
from recommender.parallel import in_order
from recommender.pipeline.candidates import codes_of, unique_pairs
from recommender.pipeline.evidence import evidence_of
from recommender.pipeline.overruling import Ruling, overruled_list
from recommender.pipeline.ranking import DEFAULT, Candidates, sidebar, similar
from recommender.storage.damage import unreadable
from recommender.storage.packing import NO_PLACE
from recommender.storage.schema import RELATIONS
from recommender.storage.store import Store
from recommender.writing.stories import Texts
from recommender.writing.telling import Seen, changed_blobs, had_in

BLOCK = 1_000
"""Articles whose lists are written at once."""

ASKED = 0.0
"""`same` of a link that is kept for a pin alone. The machine's are above: log odds end at -30. No thread is made of it, and no
list but that of the pin."""

DUPLICATE, SAME_STORY, RELATED = (RELATIONS.index(relation) for relation in ("duplicate", "same-story", "related"))


def write_lists(
    store: Store, archive: Archive, graph: Graph, texts: Texts, places: NDArray[np.int64], stirred: NDArray[np.int64],
    came: NDArray[np.int64], progress: Callable[[int, int], None], *, again: bool = False,
) -> None:  # fmt: skip
    """Write the lists of the articles at these places, with all their links, of those in whose lists a `stirred` one may stand
    now, and of those that pins bind to any; of the others that are linked with a stirred one, the links alone.

    Reasons that the store has stay as they are, but for links with what `came`, or unless all are to be told `again`.
    """
    ruling = ruling_in(store, archive)
    near = others(graph.beside(stirred), places)
    bound = np.isin(near, np.array(ruling.pinned(), np.int64))
    places = ruling.partners(distinct(places, near[bound | _may_show(graph, ruling, near, stirred)]))
    near = others(near, places)
    asked = _asked(archive, ruling, places)
    editor = _Editor(graph, ruling)

    def made(piece: tuple[NDArray[np.int64], bool, Mapping[int, bytes]]) -> tuple[int, dict[int, bytes | None]]:
        part, with_lists, blobs = piece
        with unreadable(store.folder):
            had = had_in(blobs)
        seen = editor.lists(part, asked) if with_lists else editor.relations(part)
        return len(part), changed_blobs(archive, texts, part, seen, had, came, again=again and with_lists)

    done = 0
    through = in_order if len(places) + len(near) > BLOCK else map  # a little is done before threads have started
    for some, blobs in through(made, _pieces(store, archive, places, near)):
        store.db.executemany("DELETE FROM links WHERE row = ?", [(row,) for row, blob in blobs.items() if blob is None])
        changed = [(row, blob) for row, blob in blobs.items() if blob is not None]
        store.db.executemany("INSERT OR REPLACE INTO links VALUES (?, ?)", changed)
        done += some
        progress(min(done, len(places)), len(places))


def _pieces(
    store: Store, archive: Archive, places: NDArray[np.int64], near: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], bool, Mapping[int, bytes]]]:
    """(a block of places, whether their lists are written, what the store has of them by row)."""
    for some, with_lists in ((places, True), (near, False)):
        for start in range(0, len(some), BLOCK):
            part = some[start : start + BLOCK]
            rows = json.dumps(archive.rows[part].tolist())
            asked = "SELECT row, packed FROM links WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row"
            yield part, with_lists, dict(store.query(asked, rows))


def _may_show(graph: Graph, ruling: Ruling, places: NDArray[np.int64], stirred: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) which of the places may show a stirred article: it is related enough for a sidebar, or among the nearest.

    What stood in such a list may not any longer; it was among the nearest then, and is near their rank still.
    """
    number, links = graph.of_all(places)
    order = np.lexsort((links.others, -links.nearness, number))
    starts = np.searchsorted(number, np.arange(len(places)))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - starts[number[order]]
    hidden = len(ruling.nowhere) + len(ruling.apart)
    near = (links.related >= DEFAULT.first_floor) | (rank < DEFAULT.longest + hidden)
    shown = np.zeros(len(places), np.bool_)
    shown[number[near & np.isin(links.others, stirred)]] = True
    return shown


Asked = tuple[NDArray[np.int64], LinksOf]
"""(owners, links) for pins alone."""


NO_PINS: Asked = (np.zeros(0, np.int64), NO_LINKS)


def _asked(archive: Archive, ruling: Ruling, places: NDArray[np.int64]) -> Asked:
    """A link for each pinned pair of these places, whatever the evidence says of it."""
    inside = set(places.tolist()) if ruling.pins else set()
    pins = np.array([pair for pair in ruling.pinned() if inside.issuperset(pair)], np.int64).reshape(-1, 2)
    if not len(pins):
        return NO_PINS
    pairs = unique_pairs(pins[:, 0], pins[:, 1])
    here, sides = np.unique(np.concatenate(pairs), return_inverse=True)
    views = archive.views(here)
    left, right = np.split(sides, 2)
    evidence = evidence_of(views, left, views, right, archive.background)
    links = linked_anyhow(pairs, evidence, archive.weights, (views.words[left], views.words[right]))
    starts, found = replace(links, same_story=np.full_like(links.same_story, ASKED)).seen(len(archive.rows))
    return np.repeat(np.arange(len(archive.rows)), np.diff(starts)), found


class _Editor:
    """Chooses what is shown beside articles."""

    def __init__(self, graph: Graph, ruling: Ruling) -> None:
        self.graph = graph
        self.ruling = ruling

    def relations(self, places: NDArray[np.int64]) -> Seen:
        """The links of these articles, in the lists that they are in."""
        number, links = self.graph.of_all(places)
        owners = places[number]
        return Seen(owners, links, self._relation(owners, links), None, np.zeros(len(owners), np.bool_))

    def lists(self, places: NDArray[np.int64], asked: Asked) -> Seen:
        """The links of these articles and their places in both lists; a pin, and none of its copies, comes first."""
        number, links = self.graph.of_all(places)
        owners = places[number]
        more = np.isin(asked[0], places) & ~np.isin(codes_of(asked[0], asked[1].others), codes_of(owners, links.others))
        if more.any():
            owners, links = np.concatenate([owners, asked[0][more]]), links.and_more(asked[1].take(more))
            order = np.lexsort((links.others, owners))
            owners, links = owners[order], links.take(order)
        hidden = self._hidden(owners, links)
        found = Candidates(
            lists=np.searchsorted(places, owners),
            positions=links.others,
            scores=np.where(hidden, 0, links.related).astype(np.float32),
            nearness=np.where(hidden, 0, links.nearness).astype(np.float32),
            duplicate=self.graph.copies[links.others] == self.graph.copies[owners],
            copies=self.graph.copies[links.others],
        )
        pinned = self._pinned(places, owners, links)
        barred = np.zeros(len(owners), np.bool_)
        for pins in pinned:
            barred |= (owners == owners[pins[0]]) & np.isin(found.copies, found.copies[pins])
        left = found._replace(scores=np.where(barred, 0, found.scores).astype(np.float32))
        seen = sidebar(left)
        for pins in pinned:
            mine = np.flatnonzero((owners == owners[pins[0]]) & (seen >= 0))
            shown = overruled_list(mine[np.argsort(seen[mine])].tolist(), pins, DEFAULT.longest)[:NO_PLACE]
            seen[mine] = -1
            seen[shown] = np.arange(len(shown))
        is_pinned = np.zeros(len(owners), np.bool_)
        is_pinned[[at for pins in pinned for at in pins]] = True
        return Seen(owners, links, self._relation(owners, links), (similar(found), seen), is_pinned)

    def _together(self, owners: NDArray[np.int64], links: LinksOf) -> NDArray[np.bool_]:
        threads = self.graph.threads
        return np.asarray((threads[owners] == threads[links.others]) & (threads[owners] > 0), np.bool_)

    def _relation(self, owners: NDArray[np.int64], links: LinksOf) -> NDArray[np.int64]:
        together = np.where(self._together(owners, links), SAME_STORY, RELATED)
        return np.where(links.duplicate, DUPLICATE, together)

    def _hidden(self, owners: NDArray[np.int64], links: LinksOf) -> NDArray[np.bool_]:
        """What no list of the machine's may show."""
        hidden = (links.same == ASKED) | np.isin(links.others, list(self.ruling.nowhere))
        apart = [(one, other) for one, others in self.ruling.apart.items() for other in others]
        if apart:
            hidden |= np.isin(codes_of(owners, links.others), [one << 32 | other for one, other in apart])
        return np.asarray(hidden, np.bool_)

    def _pinned(self, places: NDArray[np.int64], owners: NDArray[np.int64], links: LinksOf) -> list[list[int]]:
        """Of each article with pins the numbers of the links that are pinned, in the order of the pins."""
        codes = codes_of(owners, links.others)
        return [
            np.searchsorted(codes, np.array([place << 32 | other for other in others], np.int64)).tolist()
            for place, others in self.ruling.pins.items()
            if np.isin(place, places) and others
        ]  # all are there, by rising owner and other
