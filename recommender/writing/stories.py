"""Writes the threads that follow from the links, and what readers see of them: id, label, keywords, order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.archives.archive import Archive, wording_of
from recommender.archives.graph import Graph
from recommender.archives.rejoining import rejoined
from recommender.archives.rulebook import ruling_in
from recommender.pipeline.history import Threads, changes_between
from recommender.pipeline.linking import inherit_thread_ids
from recommender.pipeline.overruling import Ruling
from recommender.pipeline.wording import keywords_of, label_of, most_central
from recommender.storage.damage import unreadable
from recommender.storage.store import Store
from recommender.writing.records import Former, texts_of, write_changes

Texts = Callable[[NDArray[np.int64]], sparse.csr_matrix]
"""The unit rows of TF-IDF of the articles at some places."""


def write_threads(
    store: Store, archive: Archive, graph: Graph, texts: Texts, touched: NDArray[np.int64], lost: Sequence[int],
    previous: Former, now: str,
) -> NDArray[np.int64]:  # fmt: skip
    """Bring the threads around the `touched` places up to date; returns the places whose thread is another one now.

    `lost` are the numbers of threads that have lost an article, of which all others are touched. `previous` is what to carry
    over from an index that is being replaced, `now` (ISO 8601) when this happens; what happens to threads is logged.
    """
    ruling = ruling_in(store, archive)
    here, groups = rejoined(graph, ruling, touched)
    return _replace(store, archive, graph, texts, _Change(here, groups, touched, set(lost)), previous, ruling, now)


class _Change(NamedTuple):
    """What is written in place of what."""

    here: NDArray[np.int64]
    """All places that may have another thread now; rising."""
    groups: list[NDArray[np.int64]]
    touched: NDArray[np.int64]
    """Places whose thread is written again even where it has the same articles."""
    lost: set[int]
    """Numbers of threads that have lost articles which are no longer there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """The articles there, by place, and the threads that they, or articles that are gone, were in."""

    ids: dict[int, str]
    titles: dict[int, str]
    threads: dict[int, int]
    """Place -> number; 0 for none."""
    id_of: dict[int, str]
    """Number -> id of the thread."""
    inherited: dict[str, str]
    """Article id -> id of the thread it was in."""
    leads: dict[str, str]
    labels: dict[str, str]


def _before(store: Store, archive: Archive, change: _Change, previous: Former) -> _Before:
    rows = json.dumps(archive.rows[change.here].tolist())
    asked = "SELECT id, title, thread FROM articles WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row"
    known = list(zip(change.here.tolist(), store.query(asked, rows), strict=True))
    ids = {place: article for place, (article, _, _) in known}
    numbers = {place: number or 0 for place, (_, _, number) in known}
    threads = store.query(
        "SELECT t.number, t.id, t.label, a.id FROM threads t LEFT JOIN articles a ON a.row = t.lead"
        " WHERE t.number IN (SELECT value FROM json_each(?))",
        json.dumps(sorted(change.lost.union(numbers.values()) - {0})),
    )
    id_of = {number: thread for number, thread, _, _ in threads}
    inherited = {article: previous.threads[article] for article in ids.values() if article in previous.threads}
    return _Before(
        ids=ids,
        titles={place: title for place, (_, title, _) in known},
        threads=numbers,
        id_of=id_of,
        inherited=inherited | {ids[place]: id_of[number] for place, number in numbers.items() if number},
        leads={**previous.leads, **{thread: lead for _, thread, _, lead in threads}},
        labels={**previous.labels, **{thread: label for _, thread, label, _ in threads}},
    )


def _replace(
    store: Store, archive: Archive, graph: Graph, texts: Texts, change: _Change, previous: Former, ruling: Ruling, now: str
) -> NDArray[np.int64]:
    """Write the groups in place of all threads that the articles there are in; returns the places that have moved."""
    db = store.db
    with unreadable(store.folder):
        before = _before(store, archive, change, previous)
    numbers = {thread: number for number, thread in before.id_of.items()}
    groups = [_in_order(group, archive) for group in change.groups]
    named = [[before.ids[place] for place in group.tolist()] for group in groups]

    def taken(thread_id: str) -> bool:
        asked = "SELECT 1 FROM threads WHERE id = ?1 UNION ALL SELECT 1 FROM redirects WHERE former = ?1"
        return thread_id in previous.labels or bool(store.query(asked, thread_id))

    thread_ids = inherit_thread_ids(named, before.inherited, taken)
    same = _unchanged(groups, before.threads, change, [numbers.get(thread_id) for thread_id in thread_ids])
    labels = {thread_id: before.labels[thread_id] for thread_id, kept in zip(thread_ids, same, strict=True) if kept}
    kept_places = {place for group, kept in zip(groups, same, strict=True) if kept for place in group.tolist()}
    left = [(int(archive.rows[place]),) for place in before.ids if place not in kept_places]
    db.executemany("UPDATE articles SET thread = NULL, position = NULL WHERE row = ?", left)
    go_on = set(thread_ids)
    gone = [(number,) for number, thread_id in before.id_of.items() if thread_id not in go_on]
    db.executemany("DELETE FROM threads WHERE number = ?", gone)
    next_number = int(store.query("SELECT coalesce(max(number), 0) + 1 FROM threads")[0][0])
    changed = [number for number, kept in enumerate(same) if not kept]
    keywords = _keywords(archive, [groups[number] for number in changed])
    leads = _leads(texts, before, [groups[number] for number in changed], [thread_ids[number] for number in changed])
    after = {place: number if place in kept_places else 0 for place, number in before.threads.items()}
    for group_number, words, lead in zip(changed, keywords, leads, strict=True):
        group, thread_id = groups[group_number], thread_ids[group_number]
        thread = numbers.get(thread_id)
        if thread is None:
            thread, next_number = next_number, next_number + 1
        lead_row = int(archive.rows[lead])
        labels[thread_id] = ruling.label_of(group.tolist()) or label_of(*texts_of(db, lead_row))
        dated = archive.days[group][~np.isnan(archive.days[group])] * 86_400
        first, last = (float(dated[0]), float(dated[-1])) if len(dated) else (None, None)
        told = json.dumps(words, ensure_ascii=False)
        values = (thread, thread_id, labels[thread_id], told, lead_row, len(group), first, last)
        db.execute("INSERT OR REPLACE INTO threads VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        db.executemany(
            "UPDATE articles SET thread = ?, position = ? WHERE row = ?",
            [(thread, position, row) for position, row in enumerate(archive.rows[group].tolist(), start=1)],
        )
        after.update((place, thread) for place in group.tolist())
    graph.enter_threads(after)
    now_in = {article: thread_id for thread_id, members in zip(thread_ids, named, strict=True) for article in members}
    changes = changes_between(Threads(of=before.inherited, labels=before.labels), Threads(of=now_in, labels=labels))
    write_changes(db, changes, {**before.labels, **labels}, now)
    return np.array([place for place, thread in after.items() if thread != before.threads[place]], np.int64)


def _unchanged(groups: list[NDArray[np.int64]], before: dict[int, int], change: _Change, numbers: list[int | None]) -> list[bool]:
    """Of each group, whether it is the thread of its number as it was."""
    sizes: dict[int, int] = {}
    for number in before.values():
        sizes[number] = sizes.get(number, 0) + 1
    touched = set(change.touched.tolist())
    return [
        number is not None
        and number not in change.lost
        and sizes.get(number) == len(group)
        and all(before[place] == number and place not in touched for place in group.tolist())
        for group, number in zip(groups, numbers, strict=True)
    ]


def _keywords(archive: Archive, groups: list[NDArray[np.int64]]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for start in range(0, len(groups), GROUPS):
        some = groups[start : start + GROUPS]
        here, places = np.unique(np.concatenate(some), return_inverse=True)
        members = np.split(places, np.cumsum([len(group) for group in some])[:-1])
        counts = archive.counts_of(here).text
        found += keywords_of(wording_of(archive), counts, [group.tolist() for group in members], archive.occurrences)
    return found


GROUPS = 200
"""Threads whose keywords and leads are found at once; bounds the memory."""


def _leads(texts: Texts, before: _Before, groups: list[NDArray[np.int64]], thread_ids: list[str]) -> list[int]:
    """Of each group the place of the article whose headline stands for it: the one that the thread was shown under while it is
    there, else the most central one."""
    known: list[int | None] = []
    for group, thread_id in zip(groups, thread_ids, strict=True):
        shown = before.leads.get(thread_id)
        known.append(next((place for place in group.tolist() if before.ids[place] == shown), None))
    without = [group for group, lead in zip(groups, known, strict=True) if lead is None]
    central: list[int] = []
    for start in range(0, len(without), GROUPS):
        some = without[start : start + GROUPS]
        members = np.concatenate(some)
        titled = np.array([bool(before.titles[place]) for place in members.tolist()], np.bool_)
        numbers = np.repeat(np.arange(len(some)), [len(group) for group in some])
        central += members[most_central(texts(members), numbers, titled)].tolist()
    found = iter(central)
    return [next(found) if lead is None else lead for lead in known]


def _in_order(group: NDArray[np.int64], archive: Archive) -> NDArray[np.int64]:
    """Oldest first, articles without a date last, ties in the order of the index."""
    return group[np.lexsort((group, np.nan_to_num(archive.days[group], nan=np.inf)))]
