"""Writes the threads that follow from the links, and what readers see of them: id, label, keywords, order."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from recommender.archive import Archive, Links, wording_of
from recommender.pipeline.candidates import Pairs
from recommender.pipeline.evidence import Views
from recommender.pipeline.history import Threads, changes_between
from recommender.pipeline.linking import connected, inherit_thread_ids, thread_groups
from recommender.pipeline.overruling import Ruling, overruled_groups
from recommender.pipeline.wording import keywords_of, label_of, most_central
from recommender.records import Former, former_of, texts_of, write_changes
from recommender.rulebook import ruling_in
from recommender.store import Store


def write_threads(
    store: Store, archive: Archive, views: Views, links: Links, touched: NDArray[np.int64], previous: Former, now: str
) -> NDArray[np.int64]:
    """Bring the threads around the `touched` positions up to date; returns the positions whose lists may differ now.

    Only the parts of the graph that hold a touched article are looked at: threads never reach across parts, so the
    outcome is that of looking at everything. What rules tie together is one part, and what they keep apart may be in one,
    so a rule that is made or dropped touches no other parts than those of its articles. `previous` is what to carry over
    from an index that is being replaced, `now` (ISO 8601) when this happens; what happens to threads is logged.
    """
    ruling = ruling_in(store, archive)
    part = connected(len(archive), *ruling.widened(links.pairs, links.same_story))
    here = np.isin(part, np.unique(part[touched]))
    positions = np.flatnonzero(here)
    machine = _groups_within(positions, here, links.only(ruling.allowed(links.pairs)), len(archive))
    ties = [(one, other) for one, other in ruling.ties if here[one]]
    groups = [np.array(group, np.int64) for group in overruled_groups([positions[group].tolist() for group in machine], ties)]
    before = dict(store.query("SELECT row, thread FROM articles WHERE thread IS NOT NULL"))
    _replace(store, archive, views, positions, groups, previous, ruling, now)
    after = dict(store.query("SELECT row, thread FROM articles WHERE thread IS NOT NULL"))
    rows = archive.rows.tolist()
    moved = [place for place in positions.tolist() if before.get(rows[place]) != after.get(rows[place])]
    stirred = np.zeros(len(archive), np.bool_)
    stirred[touched] = stirred[np.array(moved, np.int64)] = True
    beside = stirred.copy()
    beside[links.pairs.left[stirred[links.pairs.right]]] = True
    beside[links.pairs.right[stirred[links.pairs.left]]] = True
    return np.flatnonzero(beside)


def _groups_within(
    positions: NDArray[np.int64], here: NDArray[np.bool_], links: Links, n_articles: int
) -> list[NDArray[np.int64]]:
    """The thread groups of one part of the archive, as places in `positions`."""
    place = np.full(n_articles, -1, np.int64)
    place[positions] = np.arange(len(positions))
    inside = here[links.pairs.left]
    pairs = Pairs(place[links.pairs.left[inside]], place[links.pairs.right[inside]])
    return [np.array(group, np.int64) for group in thread_groups(len(positions), pairs, links.same_story[inside])]


def _replace(
    store: Store, archive: Archive, views: Views, positions: NDArray[np.int64], groups: list[NDArray[np.int64]],
    previous: Former, ruling: Ruling, now: str,
) -> None:  # fmt: skip
    """Write these groups in place of all threads that the articles at `positions` are in."""
    db = store.db
    ids = dict(store.query("SELECT row, id FROM articles"))
    rows = [int(row) for row in archive.rows]
    former = former_of(store)
    known, leads = former.threads, {**previous.leads, **former.leads}
    here = {ids[rows[place]] for place in positions.tolist()}
    elsewhere = {thread for article, thread in known.items() if article not in here}
    inherited = {article: thread for article, thread in {**previous.threads, **known}.items() if article in here}
    groups = [_in_order(group, archive) for group in groups]
    retired = {merged for (merged,) in store.query("SELECT former FROM redirects")}
    named = [[ids[rows[place]] for place in group.tolist()] for group in groups]
    thread_ids = inherit_thread_ids(named, inherited, elsewhere | retired)
    numbers = dict(store.query("SELECT id, number FROM threads"))

    db.executemany("UPDATE articles SET thread = NULL, position = NULL WHERE row = ?", [(rows[p],) for p in positions.tolist()])
    db.executemany(
        "DELETE FROM threads WHERE id = ?",
        [(thread,) for thread in numbers if thread not in elsewhere and thread not in thread_ids],
    )
    next_number = int(store.query("SELECT coalesce(max(number), 0) + 1 FROM threads")[0][0])
    wording = wording_of(archive, views)
    keywords = keywords_of(wording, archive.counts.text, [group.tolist() for group in groups])
    titles = dict(store.query("SELECT row, title FROM articles"))
    labels: dict[str, str] = {}
    for group, thread_id, words in zip(groups, thread_ids, keywords, strict=True):
        number = numbers.get(thread_id)
        if number is None:
            number, next_number = next_number, next_number + 1
        members = {ids[rows[place]]: rows[place] for place in group.tolist()}
        lead = members.get(leads.get(thread_id, ""))  # a thread keeps the headline that it was shown under
        if lead is None:
            lead = rows[most_central(views.text, group.tolist(), {place: titles[rows[place]] for place in group.tolist()})]
        labels[thread_id] = ruling.label_of(group.tolist()) or label_of(*texts_of(db, lead))
        dated = archive.days[group][~np.isnan(archive.days[group])] * 86_400
        first, last = (float(dated[0]), float(dated[-1])) if len(dated) else (None, None)
        db.execute(
            "INSERT OR REPLACE INTO threads VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                thread_id,
                labels[thread_id],
                json.dumps(words, ensure_ascii=False),
                lead,
                len(group),
                first,
                last,
            ),
        )
        db.executemany(
            "UPDATE articles SET thread = ?, position = ? WHERE row = ?",
            [(number, place, rows[member]) for place, member in enumerate(group.tolist(), start=1)],
        )
    shown = {thread: label for thread, label in {**previous.labels, **former.labels}.items() if thread not in elsewhere}
    after = {article: thread_id for thread_id, members in zip(thread_ids, named, strict=True) for article in members}
    changes = changes_between(Threads(of=inherited, labels=shown), Threads(of=after, labels=labels))
    write_changes(db, changes, {**shown, **labels}, now)


def _in_order(group: NDArray[np.int64], archive: Archive) -> NDArray[np.int64]:
    """Oldest first, articles without a date last, ties in the order they came in."""
    return group[np.lexsort((group, np.nan_to_num(archive.days[group], nan=np.inf)))]
