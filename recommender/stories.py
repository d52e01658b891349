"""Writes the threads that follow from the links, and what readers see of them: id, label, keywords, order."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.archive import Archive, wording_of
from recommender.graph import Graph
from recommender.pipeline.candidates import Pairs
from recommender.pipeline.history import Threads, changes_between
from recommender.pipeline.linking import DEFAULT, inherit_thread_ids, reaches, thread_groups
from recommender.pipeline.overruling import Ruling, overruled_groups
from recommender.pipeline.wording import keywords_of, label_of, most_central
from recommender.records import Former, texts_of, write_changes
from recommender.rulebook import ruling_in
from recommender.store import Store

MOST_REJOINED = 400
"""Articles of a part of the graph up to which the whole part is threaded anew when an article of it comes, changes or goes, so
that the outcome is that of a build. Of a larger part, as the whole of a big archive is nearly one, only what lies around the
article is: the threads it might be joined to, and those that these might then be joined to."""

MOST_RINGS = 10
"""How often what lies around may be widened because a thread that has changed now reaches another."""

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


def rejoined(graph: Graph, ruling: Ruling, touched: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
    """(places, the groups they form now); whole threads of before, around the `touched` places.

    No two groups are joined without a pair of them from `join` up, so parts that no such pair connects are threaded apart. What
    rules tie together is one part, and what they keep apart may be in one.
    """
    here, is_part = _around(graph, ruling, touched)
    for _ in range(MOST_RINGS):
        pairs, same_story = graph.within(here, DEFAULT.floor)
        allowed = ruling.allowed(Pairs(here[pairs.left], here[pairs.right]))
        groups = thread_groups(len(here), Pairs(pairs.left[allowed], pairs.right[allowed]), same_story[allowed])
        found = [here[np.array(group, np.int64)] for group in groups]
        wider = here if is_part else _with_mates(graph, np.union1d(here, _reached(graph, ruling, here, found)))
        if len(wider) == len(here):
            break
        here = wider
    inside = set(here.tolist()) if ruling.ties else set()
    ties = [tie for tie in ruling.ties if inside.issuperset(tie)]
    ruled = overruled_groups([group.tolist() for group in found], ties)
    return here, [np.array(group, np.int64) for group in ruled]


def _around(graph: Graph, ruling: Ruling, touched: NDArray[np.int64]) -> tuple[NDArray[np.int64], bool]:
    """(what has to be looked at for the touched places, whether it is a whole part of the graph)."""
    nearest = here = _wider(graph, ruling, _with_mates(graph, touched))
    while (wider := _wider(graph, ruling, here)).size != here.size:
        if len(wider) > MOST_REJOINED:
            return nearest, False
        here = wider
    return here, True


def _wider(graph: Graph, ruling: Ruling, here: NDArray[np.int64]) -> NDArray[np.int64]:
    """These places, what might be joined to one of them, and all in a thread with any of those."""
    inside = set(here.tolist()) if ruling.ties else set()
    tied = [side for tie in ruling.ties if inside.intersection(tie) for side in tie]
    beside = graph.beside(here, DEFAULT.join)
    return _with_mates(graph, np.unique(np.concatenate([here, beside, np.array(tied, np.int64)])))


def _with_mates(graph: Graph, places: NDArray[np.int64]) -> NDArray[np.int64]:
    """These places and all in a thread with one of them; rising."""
    numbers = np.unique(graph.threads[places])
    return np.union1d(places, np.flatnonzero(np.isin(graph.threads, numbers[numbers > 0])))


def _reached(graph: Graph, ruling: Ruling, here: NDArray[np.int64], groups: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The places elsewhere whose threads, or which alone, a group that has changed would be joined to."""
    inside = np.zeros(len(graph), np.bool_)
    inside[here] = True
    found = [np.zeros(0, np.int64)]
    for group in groups:
        numbers = graph.threads[group]
        if numbers[0] > 0 and (numbers == numbers[0]).all() and np.count_nonzero(graph.threads == numbers[0]) == len(group):
            continue
        own, links = graph.of_all(group)
        outside = ~inside[links.others] & (links.same >= DEFAULT.floor) & ruling.allowed(Pairs(group[own], links.others))
        others, same_story = links.others[outside], links.same[outside]
        units = np.where(graph.threads[others] > 0, graph.threads[others], -1 - others)
        for unit in np.unique(units).tolist():
            size = int(np.count_nonzero(graph.threads == unit)) if unit > 0 else 1
            if reaches(same_story[units == unit], len(group) * size):
                found.append(others[units == unit][:1])
    return np.concatenate(found)


class _Change(NamedTuple):
    """What is written in place of what."""

    here: NDArray[np.int64]
    """All places that may have another thread now."""
    groups: list[NDArray[np.int64]]
    touched: NDArray[np.int64]
    """Places whose thread is written again even where it has the same articles."""
    lost: set[int]
    """Numbers of threads that have lost articles which are no longer there."""


def _replace(
    store: Store, archive: Archive, graph: Graph, texts: Texts, change: _Change, previous: Former, ruling: Ruling, now: str
) -> NDArray[np.int64]:
    """Write the groups in place of all threads that the articles there are in; returns the places that have moved."""
    db = store.db
    rows = archive.rows[change.here].tolist()
    of_row = "row IN (SELECT value FROM json_each(?))"
    known = store.query(f"SELECT row, id, title, thread FROM articles WHERE {of_row} ORDER BY row", json.dumps(rows))
    ids = dict(zip(change.here.tolist(), (article for _, article, _, _ in known), strict=True))
    titles = dict(zip(change.here.tolist(), (title for _, _, title, _ in known), strict=True))
    before = dict(zip(change.here.tolist(), (thread or 0 for *_, thread in known), strict=True))
    in_play = sorted(change.lost.union(before.values()) - {0})
    threads = store.query(
        "SELECT t.number, t.id, t.label, a.id FROM threads t LEFT JOIN articles a ON a.row = t.lead"
        " WHERE t.number IN (SELECT value FROM json_each(?))",
        json.dumps(in_play),
    )
    id_of = {number: thread for number, thread, _, _ in threads}
    numbers = {thread: number for number, thread in id_of.items()}
    leads = {**previous.leads, **{thread: lead for _, thread, _, lead in threads}}
    shown = {**previous.labels, **{thread: label for _, thread, label, _ in threads}}
    inherited = {ids[place]: id_of[number] for place, number in before.items() if number}
    if previous.threads:
        inherited = {article: previous.threads[article] for article in ids.values() if article in previous.threads} | inherited
    groups = [_in_order(group, archive) for group in change.groups]
    named = [[ids[place] for place in group.tolist()] for group in groups]

    def taken(thread_id: str) -> bool:
        asked = "SELECT 1 FROM threads WHERE id = ?1 UNION ALL SELECT 1 FROM redirects WHERE former = ?1"
        return thread_id in previous.labels or bool(store.query(asked, thread_id))

    thread_ids = inherit_thread_ids(named, inherited, taken)
    same = _unchanged(groups, before, change, [numbers.get(thread_id) for thread_id in thread_ids])
    labels = {thread_id: shown[thread_id] for thread_id, kept in zip(thread_ids, same, strict=True) if kept}
    kept_places = {place for group, kept in zip(groups, same, strict=True) if kept for place in group.tolist()}
    left = [(int(archive.rows[place]),) for place in before if place not in kept_places]
    db.executemany("UPDATE articles SET thread = NULL, position = NULL WHERE row = ?", left)
    gone = [(number,) for number, thread_id in id_of.items() if thread_id not in set(thread_ids)]
    db.executemany("DELETE FROM threads WHERE number = ?", gone)
    next_number = int(store.query("SELECT coalesce(max(number), 0) + 1 FROM threads")[0][0])
    changed = [number for number, kept in enumerate(same) if not kept]
    keywords = _keywords(archive, [groups[number] for number in changed])
    after = {place: before[place] if place in kept_places else 0 for place in before}
    for group_number, words in zip(changed, keywords, strict=True):
        group, thread_id = groups[group_number], thread_ids[group_number]
        thread = numbers.get(thread_id)
        if thread is None:
            thread, next_number = next_number, next_number + 1
        members = {ids[place]: place for place in group.tolist()}
        lead = members.get(leads.get(thread_id, ""))  # a thread keeps the headline that it was shown under
        if lead is None:
            lead = int(group[most_central(texts(group), range(len(group)), [titles[place] for place in group.tolist()])])
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
    changes = changes_between(Threads(of=inherited, labels=shown), Threads(of=now_in, labels=labels))
    write_changes(db, changes, {**shown, **labels}, now)
    return np.array([place for place, thread in after.items() if thread != before[place]], np.int64)


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
    if not groups:
        return []
    here, places = np.unique(np.concatenate(groups), return_inverse=True)
    members = np.split(places, np.cumsum([len(group) for group in groups])[:-1])
    counts = archive.counts_of(here).text
    return keywords_of(wording_of(archive), counts, [group.tolist() for group in members], archive.occurrences)


def _in_order(group: NDArray[np.int64], archive: Archive) -> NDArray[np.int64]:
    """Oldest first, articles without a date last, ties in the order they came in."""
    return group[np.lexsort((group, np.nan_to_num(archive.days[group], nan=np.inf)))]
