"""Writes the related lists that follow from links, threads and rules: both profiles of an article, with reasons."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.archives.archive import Archive, wording_of
from recommender.archives.graph import Graph
from recommender.archives.links import NO_LINKS, LinksOf, Written, linked_anyhow, unwritten
from recommender.archives.rulebook import ruling_in
from recommender.pipeline.candidates import unique_pairs
from recommender.pipeline.evidence import evidence_of
from recommender.pipeline.overruling import CHOSEN, Ruling, overruled_list
from recommender.pipeline.ranking import DEFAULT, Candidates, sidebar, similar
from recommender.pipeline.wording import reasons_of
from recommender.storage.schema import RELATIONS
from recommender.storage.store import Store
from recommender.writing.stories import Texts

BLOCK = 1_000
"""Articles whose lists are written at once."""

PAIRS = 8_000
"""Pairs whose reasons are found at once; bounds the memory."""

in_json = json.JSONEncoder(ensure_ascii=False).encode
"""As `json.dumps` would, which makes an encoder for each call where it is asked for more than ASCII: half of its time."""

ASKED = 0.0
"""`same` of a link that is kept for a pin alone. The machine's are above: log odds end at -30. No thread is made of it, and no
list but that of the pin."""

DUPLICATE, SAME_STORY, RELATED = (RELATIONS.index(relation) for relation in ("duplicate", "same-story", "related"))


class _Seen(NamedTuple):
    """Links as the articles at one end see them, one article's after another's; all fields (n,)."""

    owners: NDArray[np.int64]
    links: LinksOf
    """With what the store has of them."""
    now: Written
    """What it is to have."""
    pinned: NDArray[np.bool_]


def write_lists(
    store: Store, archive: Archive, graph: Graph, texts: Texts, places: NDArray[np.int64], stirred: NDArray[np.int64],
    progress: Callable[[int, int], None], *, again: bool = False,
) -> None:  # fmt: skip
    """Write the lists of the articles at these places, with all their links, of those in whose lists a `stirred` one may stand
    now, and of those that pins bind to any; of the others that are linked with a stirred one, that link.

    What the store has is left as it is, reasons too, unless all is to be written `again`.
    """
    ruling = ruling_in(store, archive)
    near = np.setdiff1d(graph.beside(stirred), places)
    places = ruling.partners(np.union1d(places, near[_may_show(graph, ruling, near, stirred)]))
    near = np.setdiff1d(near, places)
    asked = _asked(store, archive, ruling, places)
    editor = _Editor(store, archive, graph, ruling)
    for start in range(0, len(places), BLOCK):
        part = places[start : start + BLOCK]
        seen = editor.lists(part, asked)
        _write(store, archive, texts, seen, again=again)
        graph.know_written(part, seen.now.take(seen.links.same != ASKED))
        progress(start + len(part), len(places))
    seen = editor.relations(near)
    _write(store, archive, texts, seen)
    graph.know_written(near, seen.now)


def _may_show(graph: Graph, ruling: Ruling, places: NDArray[np.int64], stirred: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) which of the places may show a stirred article: it is related enough for a sidebar, or among the most related.

    What stood in such a list may not any longer; it was among the most related then, and is near their rank still.
    """
    number, links = graph.of_all(places)
    order = np.lexsort((links.others, -links.related, number))
    starts = np.searchsorted(number, np.arange(len(places)))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - starts[number[order]]
    hidden = len(ruling.nowhere) + len(ruling.apart)
    near = (links.related >= DEFAULT.least_sidebar) | (rank < DEFAULT.longest + hidden)
    shown = np.zeros(len(places), np.bool_)
    shown[number[near & np.isin(links.others, stirred)]] = True
    return shown


Asked = tuple[NDArray[np.int64], LinksOf]
"""(owners, links) for pins alone."""


NO_PINS: Asked = (np.zeros(0, np.int64), NO_LINKS)


def _asked(store: Store, archive: Archive, ruling: Ruling, places: NDArray[np.int64]) -> Asked:
    """A link for each pinned pair of these places, whatever the evidence says of it; what the store had of such links is gone."""
    store.db.executemany("DELETE FROM links WHERE row = ? AND same = 0", [(row,) for row in archive.rows[places].tolist()])
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

    def __init__(self, store: Store, archive: Archive, graph: Graph, ruling: Ruling) -> None:
        self.archive = archive
        self.graph = graph
        self.ruling = ruling
        self.evergreen = np.zeros(len(graph), np.bool_)
        self.evergreen[archive.places_of(np.array(sorted(store.evergreen_rows()), np.int64))] = True

    def relations(self, places: NDArray[np.int64]) -> _Seen:
        """The links of these articles, in the lists that they are in."""
        number, links = self.graph.of_all(places)
        owners = places[number]
        now = links.written._replace(relation=self._relation(owners, links))
        return _Seen(owners, links, now, np.zeros(len(owners), np.bool_))

    def lists(self, places: NDArray[np.int64], asked: Asked) -> _Seen:
        """The links of these articles and their places in both lists; a pin, and none of its copies, comes first."""
        number, links = self.graph.of_all(places)
        owners = places[number]
        more = np.isin(asked[0], places) & ~np.isin(_codes(*asked), _codes(owners, links))
        if more.any():
            owners, links = np.concatenate([owners, asked[0][more]]), links.and_more(asked[1].take(more))
            order = np.lexsort((links.others, owners))
            owners, links = owners[order], links.take(order)
        hidden = self._hidden(owners, links)
        found = Candidates(
            lists=np.searchsorted(places, owners),
            positions=links.others,
            scores=np.where(hidden, 0, links.related).astype(np.float32),
            same_thread=self._together(owners, links),
            duplicate=self.graph.copies[links.others] == self.graph.copies[owners],
            copies=self.graph.copies[links.others],
            days=self.archive.days[links.others],
            evergreen=self.evergreen[links.others],
        )
        pinned = self._pinned(places, owners, links)
        barred = np.zeros(len(owners), np.bool_)
        for pins in pinned:
            barred |= (owners == owners[pins[0]]) & np.isin(found.copies, found.copies[pins])
        left = found._replace(scores=np.where(barred, 0, found.scores).astype(np.float32))
        seen = sidebar(left, lambda numbers: self._alike(numbers, links), self.archive.days[places])
        for pins in pinned:
            mine = np.flatnonzero((owners == owners[pins[0]]) & (seen >= 0))
            shown = overruled_list(mine[np.argsort(seen[mine])].tolist(), pins, DEFAULT.longest)
            seen[mine] = -1
            seen[shown] = np.arange(len(shown))
        places_in = (similar(found).astype(np.int16), seen.astype(np.int16))
        is_pinned = np.zeros(len(owners), np.bool_)
        is_pinned[[at for pins in pinned for at in pins]] = True
        return _Seen(owners, links, Written(self._relation(owners, links), *places_in), is_pinned)

    def _alike(self, numbers: NDArray[np.int64], links: LinksOf) -> NDArray[np.float32]:
        return self.graph.alike(np.where(numbers >= 0, links.others[numbers], -1))

    def _together(self, owners: NDArray[np.int64], links: LinksOf) -> NDArray[np.bool_]:
        threads = self.graph.threads
        return np.asarray((threads[owners] == threads[links.others]) & (threads[owners] > 0), np.bool_)

    def _relation(self, owners: NDArray[np.int64], links: LinksOf) -> NDArray[np.int16]:
        together = np.where(self._together(owners, links), SAME_STORY, RELATED)
        return np.where(links.duplicate, DUPLICATE, together).astype(np.int16)

    def _hidden(self, owners: NDArray[np.int64], links: LinksOf) -> NDArray[np.bool_]:
        """What no list of the machine's may show."""
        hidden = (links.same == ASKED) | np.isin(links.others, list(self.ruling.nowhere))
        apart = [(one, other) for one, others in self.ruling.apart.items() for other in others]
        if apart:
            hidden |= np.isin(_codes(owners, links), [one << 32 | other for one, other in apart])
        return np.asarray(hidden, np.bool_)

    def _pinned(self, places: NDArray[np.int64], owners: NDArray[np.int64], links: LinksOf) -> list[list[int]]:
        """Of each article with pins the numbers of the links that are pinned, in the order of the pins."""
        codes = _codes(owners, links)
        return [
            np.searchsorted(codes, np.array([place << 32 | other for other in others], np.int64)).tolist()
            for place, others in self.ruling.pins.items()
            if np.isin(place, places) and others
        ]  # all are there, by rising owner and other


def _codes(owners: NDArray[np.int64], links: LinksOf) -> NDArray[np.int64]:
    return owners << 32 | links.others


def _write(store: Store, archive: Archive, texts: Texts, seen: _Seen, *, again: bool = False) -> None:
    """Bring the store up to what it is to have of these links."""
    had = unwritten(len(seen.owners)) if again else seen.links.written
    new = had.relation < 0
    shown = (seen.now.similar >= 0) | (seen.now.sidebar >= 0)
    told = (had.similar >= 0) | (had.sidebar >= 0)
    other = np.any([now != former for now, former in zip(seen.now, had, strict=True)], axis=0)
    wanted = shown & ~told
    reasons = _reasons(archive, texts, seen, np.flatnonzero(wanted))
    rows, others = archive.rows[seen.owners], archive.rows[seen.links.others]

    def values(chosen: NDArray[np.bool_], *fields: NDArray[np.generic]) -> list[list[object]]:
        return [field[chosen].tolist() for field in fields]

    def places(chosen: NDArray[np.bool_]) -> list[list[int | None]]:
        return [[None if place < 0 else place for place in field[chosen].tolist()] for field in seen.now[1:]]

    links = seen.links
    columns = [*values(new, rows, others, links.related, links.same, seen.now.relation), reasons[new].tolist(), *places(new)]
    written = "INSERT OR REPLACE INTO links (row, other, score, same, relation, reasons, similar, sidebar)"
    store.db.executemany(f"{written} VALUES (?, ?, ?, ?, ?, ?, ?, ?)", zip(*columns, strict=True))
    for chosen, with_reasons in ((other & ~new & (wanted | ~shown), True), (other & ~new & ~wanted & shown, False)):
        columns = [*values(chosen, seen.now.relation), *places(chosen)]
        columns += [reasons[chosen].tolist()] if with_reasons else []
        columns += values(chosen, rows, others)
        changed = "relation = ?, similar = ?, sidebar = ?" + (", reasons = ?" if with_reasons else "")
        store.db.executemany(f"UPDATE links SET {changed} WHERE row = ? AND other = ?", zip(*columns, strict=True))


def _reasons(archive: Archive, texts: Texts, seen: _Seen, wanted: NDArray[np.int64]) -> NDArray[np.object_]:
    """(n,) the reasons of the wanted links as JSON, None of all others; those of a pin begin with it."""
    found = np.full(len(seen.owners), None, np.object_)
    if not len(wanted):
        return found
    one, other = seen.owners[wanted], seen.links.others[wanted]
    pairs, which = np.unique(np.minimum(one, other) << 32 | np.maximum(one, other), return_inverse=True)
    here, sides = np.unique(np.stack([pairs >> 32, pairs & 0xFFFFFFFF]), return_inverse=True)
    left, right = sides.reshape(2, -1)
    rows = texts(here)
    apart = np.abs(archive.days[here[left]] - archive.days[here[right]]).astype(np.float32)
    wording = wording_of(archive)
    told = np.full(len(pairs), None, np.object_)
    for start in range(0, len(pairs), PAIRS):
        part = slice(start, start + PAIRS)
        words = reasons_of(wording, rows[left[part]], rows[right[part]], apart[part])
        told[part] = list(map(in_json, words))
    found[wanted] = told[which]
    for at in np.flatnonzero(seen.pinned & (found != None)).tolist():  # noqa: E711 - of each
        found[at] = json.dumps([CHOSEN, *json.loads(found[at])], ensure_ascii=False)
    return found
