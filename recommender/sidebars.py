"""Writes the related lists that follow from links, threads and rules: both profiles of an article, with reasons."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.archive import Archive, wording_of
from recommender.graph import Graph, LinksOf, linked_anyhow
from recommender.pipeline.candidates import unique_pairs
from recommender.pipeline.evidence import evidence_of
from recommender.pipeline.overruling import CHOSEN, Ruling, overruled_list
from recommender.pipeline.ranking import DEFAULT, Candidates, sidebar, similar
from recommender.pipeline.wording import reasons_of
from recommender.rulebook import ruling_in
from recommender.schema import RELATIONS
from recommender.store import Store
from recommender.stories import Texts

BLOCK = 2_000
"""Articles whose lists are written at once."""

ASKED = 0.0
"""`same` of a link that is kept for a pin alone. The machine's are above: log odds end at -30. No thread is made of it, and no
list but that of the pin."""

DUPLICATE, SAME_STORY, RELATED = (RELATIONS.index(relation) for relation in ("duplicate", "same-story", "related"))

LinkRow = tuple[float, float, int, str | None, int | None, int | None]
"""score, same, relation, reasons, place in `similar`, place in `sidebar`, as the store keeps them."""


class _Lists(NamedTuple):
    """What is shown beside one article: of each of its links, by other article."""

    links: LinksOf
    same_thread: NDArray[np.bool_]
    pinned: list[int]
    """Places among the links, in the order of the pins."""
    similar: list[int]
    sidebar: list[int]

    def shown(self) -> list[int]:
        """The links that a list shows, each once."""
        return sorted({*self.similar, *self.sidebar})


class _Editor:
    """Chooses what is shown beside an article."""

    def __init__(self, store: Store, archive: Archive, graph: Graph, ruling: Ruling) -> None:
        self.archive = archive
        self.graph = graph
        self.ruling = ruling
        self.evergreen = np.zeros(len(graph), np.bool_)
        self.evergreen[archive.places_of(np.array(sorted(store.evergreen_rows()), np.int64))] = True
        self.number = np.full(len(graph), -1, np.int64)

    def lists(self, place: int, asked: LinksOf | None) -> _Lists:
        """Both lists of an article; `asked` are links that it has for pins alone."""
        links = self.graph.of(place)
        if asked is not None:
            both = links.and_more(asked.take(~np.isin(asked.others, links.others)))
            links = both.take(np.argsort(both.others))
        others, threads = links.others, self.graph.threads
        hidden = self.ruling.hidden(place, others) | (links.same == ASKED)
        found = Candidates(
            positions=others,
            scores=np.where(hidden, 0, links.related).astype(np.float32),
            same_thread=(threads[others] == threads[place]) & (threads[place] > 0),
            duplicate=self.graph.copies[others] == self.graph.copies[place],
            days=self.archive.days[others],
            evergreen=self.evergreen[others],
        )
        chosen = np.array(self.ruling.pins.get(place, ()), np.int64)
        pinned = np.searchsorted(others, chosen).tolist()  # all are there
        return _Lists(links, found.same_thread, pinned, similar(found), self._sidebar(place, found, pinned))

    def _sidebar(self, place: int, found: Candidates, pinned: list[int]) -> list[int]:
        """What a reader sees: the pins, and none of their copies, come first."""
        copies = self.graph.copies[found.positions]
        usable = found.scores >= DEFAULT.least_sidebar
        if pinned:
            usable &= ~np.isin(copies, copies[pinned])
        at = np.flatnonzero(usable)
        few = found.take(at)
        order = sidebar(few, self._alike(few.positions), copies[at], float(self.archive.days[place]))
        return overruled_list(at[order].tolist(), pinned, DEFAULT.longest)

    def _alike(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, n) the probability that two of these articles are of one story, 0 where nothing is known of them."""
        alike = np.zeros((len(places), len(places)), np.float32)
        if len(places) > 1:
            self.number[places] = np.arange(len(places))
            left, links = self.graph.of_all(places)
            right = self.number[links.others]
            alike[left[right >= 0], right[right >= 0]] = links.same[right >= 0]
            self.number[places] = -1
        return alike


def write_lists(
    store: Store, archive: Archive, graph: Graph, texts: Texts, places: NDArray[np.int64], stirred: NDArray[np.int64],
    progress: Callable[[int, int], None],
) -> None:  # fmt: skip
    """Write the lists of the articles at these places, with all their links, of those in whose lists a `stirred` one may stand
    now, and of those that pins bind to any; of the others that are linked with a stirred one, that link."""
    ruling = ruling_in(store, archive)
    near = np.setdiff1d(graph.beside(stirred), places)
    shown = near[_may_show(graph, ruling, near, stirred)]
    places = ruling.partners(np.union1d(places, shown))
    _write_links(store, archive, graph, np.setdiff1d(near, places), stirred)
    asked = _asked(archive, ruling, set(places.tolist()))
    editor = _Editor(store, archive, graph, ruling)
    for start in range(0, len(places), BLOCK):
        part = places[start : start + BLOCK].tolist()
        lists = {place: editor.lists(place, asked.get(place)) for place in part}
        stored = {place: _stored(store, int(archive.rows[place])) for place in part}
        _write(store, archive, texts, lists, stored)
        progress(start + len(part), len(places))


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


def _write_links(store: Store, archive: Archive, graph: Graph, places: NDArray[np.int64], stirred: NDArray[np.int64]) -> None:
    """Write the links of these places with stirred articles, which no list of theirs shows."""
    number, links = graph.of_all(places)
    chosen = np.isin(links.others, stirred)
    here, links = places[number[chosen]], links.take(chosen)
    together = (graph.threads[here] == graph.threads[links.others]) & (graph.threads[here] > 0)
    store.db.executemany(
        "INSERT INTO links (row, other, score, same, relation) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (row, other) DO UPDATE SET score = excluded.score, same = excluded.same, relation = excluded.relation",
        zip(
            archive.rows[here].tolist(), archive.rows[links.others].tolist(), links.related.tolist(), links.same.tolist(),
            np.where(links.duplicate, DUPLICATE, np.where(together, SAME_STORY, RELATED)).tolist(),
            strict=True,
        ),
    )  # fmt: skip


def _asked(archive: Archive, ruling: Ruling, places: set[int]) -> dict[int, LinksOf]:
    """Of each of these places the links for each pinned pair, whatever the evidence says of it."""
    pins = np.array([pair for pair in ruling.pinned() if places.issuperset(pair)], np.int64).reshape(-1, 2)
    if not len(pins):
        return {}
    pairs = unique_pairs(pins[:, 0], pins[:, 1])
    here, sides = np.unique(np.concatenate(pairs), return_inverse=True)
    views = archive.views(here)
    left, right = np.split(sides, 2)
    evidence = evidence_of(views, left, views, right, archive.background)
    links = linked_anyhow(pairs, evidence, archive.weights, (views.words[left], views.words[right]))
    links = replace(links, same_story=np.full_like(links.same_story, ASKED))
    starts, found = links.seen(int(pins.max()) + 1)
    return {place: found.take(slice(starts[place], starts[place + 1])) for place in set(pins.ravel().tolist())}


def _stored(store: Store, row: int) -> dict[int, LinkRow]:
    """What the store has of the links of an article, by the row of the other one."""
    found = store.query("SELECT other, score, same, relation, reasons, similar, sidebar FROM links WHERE row = ?", row)
    return {other: tuple(rest) for other, *rest in found}


def _write(store: Store, archive: Archive, texts: Texts, lists: dict[int, _Lists], stored: dict[int, dict[int, LinkRow]]) -> None:
    """Bring the links of these articles in the store up to date; what is there already is left as it is."""
    rows = archive.rows
    known: dict[tuple[int, int], str] = {}
    for place, links in stored.items():
        known.update(((int(rows[place]), other), _unchosen(of[3])) for other, of in links.items() if of[3] is not None)
    wanted = {
        (min(place, other), max(place, other))
        for place, of in lists.items()
        for other in of.links.others[of.shown()].tolist()
        if (int(rows[place]), int(rows[other])) not in known
    }
    told = _reasons(archive, texts, sorted(wanted))
    gone: list[tuple[int, int]] = []
    written: list[tuple[int, int, *LinkRow]] = []
    for place, of in lists.items():
        row, former = int(rows[place]), stored[place]
        others, other_places = rows[of.links.others].tolist(), of.links.others.tolist()
        reasons: list[str | None] = [None] * len(others)
        for at in of.shown():
            pair = min(place, other_places[at]), max(place, other_places[at])
            reasons[at] = known.get((row, others[at])) or told[pair]
        for at in of.pinned:
            reasons[at] = _chosen(str(reasons[at]))
        relations = np.where(of.links.duplicate, DUPLICATE, np.where(of.same_thread, SAME_STORY, RELATED)).tolist()
        related, same = of.links.related.tolist(), of.links.same.tolist()
        listed = (_numbered(of.similar, len(others)), _numbered(of.sidebar, len(others)))
        values = zip(related, same, relations, reasons, *listed, strict=True)
        written += [(row, other, *now) for other, now in zip(others, values, strict=True) if former.get(other) != now]
        gone += [(row, other) for other in former.keys() - set(others)]
    store.db.executemany("DELETE FROM links WHERE row = ? AND other = ?", gone)
    store.db.executemany("INSERT OR REPLACE INTO links VALUES (?, ?, ?, ?, ?, ?, ?, ?)", written)


def _numbered(order: list[int], n: int) -> list[int | None]:
    """Of each of n links its place in a list; None where it has none."""
    places: list[int | None] = [None] * n
    for place, at in enumerate(order):
        places[at] = place
    return places


def _chosen(reasons: str) -> str:
    """The reasons of a pin, of the evidence's as JSON."""
    return json.dumps([CHOSEN, *json.loads(reasons)], ensure_ascii=False)


def _unchosen(reasons: str) -> str:
    """The reasons of the evidence, of stored ones as JSON."""
    words = json.loads(reasons) if CHOSEN in reasons else []
    return json.dumps(words[1:], ensure_ascii=False) if words[:1] == [CHOSEN] else reasons


def _reasons(archive: Archive, texts: Texts, pairs: Iterable[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """The reasons of some pairs of places as JSON."""
    asked = np.array(list(pairs), np.int64).reshape(-1, 2)
    if not len(asked):
        return {}
    here, sides = np.unique(asked, return_inverse=True)
    left, right = sides.reshape(-1, 2).T
    rows = texts(here)
    apart = np.abs(archive.days[asked[:, 0]] - archive.days[asked[:, 1]]).astype(np.float32)
    found = reasons_of(wording_of(archive), rows[left], rows[right], apart)
    return {(one, other): json.dumps(of, ensure_ascii=False) for (one, other), of in zip(asked.tolist(), found, strict=True)}
