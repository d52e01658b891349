"""Compares all that an index holds with all else that it holds. Reads one snapshot of the store, changes and mends nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

import numpy as np

from recommender.archives.loading import unpacked
from recommender.archives.packed import Held
from recommender.archives.rulebook import KeptRule, kept_rules
from recommender.errors import RecommenderError
from recommender.pipeline.content import content_hash, plain_title
from recommender.pipeline.embedding import LSA
from recommender.pipeline.rules import Rule
from recommender.pipeline.wording import label_of
from recommender.reports import Finding
from recommender.storage.damage import unreadable
from recommender.storage.folder import CACHE
from recommender.storage.store import Store
from recommender.upkeep.findings import counted, listed
from recommender.upkeep.linkage import held_links, links, lists
from recommender.writing.records import stored_articles, texts_of

BLOCK = 2_000
"""Articles whose terms are unpacked at once."""

ROUNDING = 1e-3
"""Seconds by which the first and last instants of a thread may differ from those of its articles: they went through days."""


def check(store: Store) -> list[Finding]:
    """What does not fit together, a kind at a time; empty where the index is sound.

    A part that cannot be read is a finding too; only an index that cannot be opened is an error.
    """
    found: list[Finding] = []
    with store.snapshot():
        for comparison in COMPARISONS:
            try:
                with unreadable(store.folder):
                    found += [finding for finding in comparison(store) if finding.count]
            except RecommenderError as error:
                kind = f"cannot be read: {comparison.__name__.strip('_').replace('_', ' ')}"
                found.append(Finding(kind=kind, count=1, example=str(error.__cause__ or error)))
    return found


def _file(store: Store) -> Iterator[Finding]:
    said = [line for (line,) in store.query("PRAGMA integrity_check") if line != "ok"]
    yield Finding(kind="SQLite finds the file damaged", count=len(said), example=" ".join(str(said[0]).split()) if said else "")


def _rows_of_articles(store: Store) -> Iterator[Finding]:
    for table in ("bodies", "vectors", "terms"):
        lacking = f"SELECT id FROM articles WHERE row NOT IN (SELECT row FROM {table})"
        yield counted(store, f"article without a row in {table}", lacking)
        yield counted(store, f"row in {table} without an article", f"SELECT row FROM {table} EXCEPT SELECT row FROM articles")


def _texts(store: Store) -> Iterator[Finding]:
    ids: list[str] = []
    titles: list[str] = []
    for row, article in stored_articles(store):
        ((digest, title, instant),) = store.query("SELECT hash, title, instant FROM articles WHERE row = ?", row)
        published = article.published.timestamp() if article.published else None
        if digest != content_hash(article):
            ids.append(article.id)
        if (title, instant) != (plain_title(article.title), published):
            titles.append(article.id)
    yield listed("article that is not what came in", ids)
    yield listed("title or instant that is not that of the text", titles)


def _vectors(store: Store) -> Iterator[Finding]:
    dimensions = int(store.query("SELECT value FROM meta WHERE key = 'dimensions'")[0][0])
    wrong = f"SELECT row FROM vectors WHERE typeof(vector) <> 'blob' OR length(vector) <> {2 * dimensions}"
    yield counted(store, "vector of another length", wrong)
    strange = []
    for row, vector in store.query(f"SELECT row, vector FROM vectors WHERE length(vector) = {2 * dimensions}"):
        length = float(np.linalg.norm(np.frombuffer(vector, "<f2").astype(np.float64)))
        if not (abs(length - 1) < 0.01 or length == 0):  # half precision rounds by a thousandth at most
            strange.append(str(row))
    yield listed("vector that is not of length 1", strange)


def _terms(store: Store) -> Iterator[Finding]:
    numbers = "SELECT number FROM vocabulary WHERE number < 0 OR number >= (SELECT count(*) FROM vocabulary)"
    yield counted(store, "gap in the numbers of the vocabulary", numbers)
    yield counted(store, "term that stands twice", "SELECT term FROM vocabulary GROUP BY term HAVING count(*) > 1")
    known = dict(store.query("SELECT number, articles FROM vocabulary"))
    size = max(known, default=-1) + 1
    holders = np.zeros(size, np.int64)
    blobs = [counts for (counts,) in store.query("SELECT counts FROM terms ORDER BY row")]
    for start in range(0, len(blobs), BLOCK):
        counts = unpacked(blobs[start : start + BLOCK], size)
        holders += np.bincount(counts.text.indices, minlength=size)
    wrong = [str(number) for number, articles in known.items() if holders[number] != articles]
    yield listed("term counted in another number of articles than hold it", wrong)


def _threads(store: Store) -> Iterator[Finding]:
    members: dict[int, list[tuple[int, float | None, int]]] = {}
    for number, *member in store.query(
        "SELECT thread, row, instant, position FROM articles WHERE thread IS NOT NULL ORDER BY thread, position"
    ):
        members.setdefault(number, []).append((member[0], member[1], member[2]))
    threads = {
        number: rest for number, *rest in store.query("SELECT number, id, lead, size, first_instant, last_instant FROM threads")
    }
    yield listed("thread of articles that is not there", [str(number) for number in members if number not in threads])
    faults: dict[str, list[str]] = {}
    for number, (thread_id, lead, size, first, last) in threads.items():
        for fault in _faults(members.get(number, []), lead, size, (first, last)):
            faults.setdefault(fault, []).append(str(thread_id))
    for kind, ids in faults.items():
        yield listed(kind, ids)
    alone = "SELECT id FROM articles WHERE (thread IS NULL) <> (position IS NULL)"
    yield counted(store, "article with a place in no thread", alone)
    told = "SELECT id FROM threads WHERE NOT json_valid(keywords) OR typeof(label) <> 'text'"
    yield counted(store, "thread whose words cannot be read", told)


def _faults(
    members: list[tuple[int, float | None, int]], lead: int, size: int, ends: tuple[float | None, float | None]
) -> Iterator[str]:
    """What is wrong with one thread; its members are (row, instant, position) by position."""
    if len(members) < 2:
        yield "thread of fewer than two articles"
    if size != len(members):
        yield "thread of another size than it says"
    if lead not in [row for row, _, _ in members]:
        yield "thread whose lead is not in it"
    if [position for _, _, position in members] != list(range(1, len(members) + 1)):
        yield "thread with a gap in its positions"
    if members != sorted(members, key=lambda member: (member[1] is None, (member[1] or 0.0) / 86_400, member[0])):  # as days
        yield "thread that is not in the order of time"
    instants = [instant for _, instant, _ in members if instant is not None]
    expected = (instants[0], instants[-1]) if instants else (None, None)
    for given, wanted in zip(ends, expected, strict=True):
        if (given is None) != (wanted is None) or not math.isclose(given or 0, wanted or 0, rel_tol=0, abs_tol=ROUNDING):
            yield "thread whose first or last instant is not that of its articles"
            return


def _redirects(store: Store) -> Iterator[Finding]:
    redirects = dict(store.query("SELECT former, thread FROM redirects"))
    known = {thread for (thread,) in store.query("SELECT id FROM threads UNION SELECT thread FROM changes")} | set(redirects)
    yield listed("redirect to a thread that never was", [one for one, to in redirects.items() if to not in known])
    circles = []
    for former in redirects:
        seen, at = {former}, redirects[former]
        while at in redirects and at not in seen:
            seen.add(at)
            at = redirects[at]
        if at in seen:
            circles.append(former)
    yield listed("redirect that goes in a circle", circles)
    yield counted(store, "change that cannot be read", "SELECT number FROM changes WHERE NOT json_valid(articles)")


def _rules(store: Store) -> Iterator[Finding]:
    kept = kept_rules(store)
    named: dict[int | None, str | None] = {}
    for one in kept:  # the last one counts
        if one.rule.kind == "rename" and not one.missing:
            ((thread,),) = store.query("SELECT thread FROM articles WHERE id = ?", *one.rule.articles)
            named[thread] = one.rule.label
    asked = "SELECT t.number, t.id, t.label, a.row, a.title FROM threads t JOIN articles a ON a.row = t.lead ORDER BY t.number"
    wrong = [
        str(thread_id)
        for number, thread_id, label, lead, title in store.query(asked)
        if label != (named.get(number) or label_of(*((title, "") if title else texts_of(store.db, lead))))
    ]
    yield listed("label that is neither its lead's headline nor an editor's", wrong)
    held, _ = held_links(store)
    yield listed("rule that is not obeyed", [f"{one.number}" for one in kept if not _is_obeyed(store, held, one.rule, kept)])


def _is_obeyed(store: Store, held: Held, rule: Rule, kept: Sequence[KeptRule]) -> bool:
    """Whether threads and lists are what a rule asks of those of its articles that are there (docs/rules.md)."""
    rows = [row for row in map(store.row_of, rule.articles) if row is not None]
    if rule.kind == "rename":  # with the labels
        return True
    whole = len(rows) == len(rule.articles)
    named = json.dumps(rows)
    if rule.kind == "never":
        shown = held.is_shown() & np.isin(held.others, rows)
        return not (whole and (shown if len(rule.articles) == 1 else shown & np.isin(held.owners, rows)).any())
    if rule.kind == "pin":
        pins = sum(one.rule.kind == "pin" and one.rule.articles[0] == rule.articles[0] and not one.missing for one in kept)
        if not whole:
            return True
        place = held.sidebar[(held.owners == rows[0]) & (held.others == rows[1])]
        return bool(((place >= 0) & (place < pins)).any())
    threads = [thread for (thread,) in store.query(f"SELECT thread FROM articles WHERE row IN ({named[1:-1]})")]
    together = None not in threads and len(set(threads)) == 1
    if rule.kind == "merge":
        return not whole or together
    inside = "SELECT 1 FROM articles WHERE thread IN (SELECT value FROM json_each(?))"
    strangers = store.query(f"{inside} AND row NOT IN (SELECT value FROM json_each(?)) LIMIT 1", json.dumps(threads), named)
    return not strangers and (rule.kind == "split" or len(rows) < 2 or together)


def _facts(store: Store) -> Iterator[Finding]:
    meta = dict(store.query("SELECT key, value FROM meta"))
    articles = store.count("articles")
    told = [] if meta.get("articles") == articles else [f"{meta.get('articles')} told, {articles} there"]
    yield listed("number of articles that is not right", told)
    keys = ("model", "revision", "dimensions")
    unlike = [key for key in keys if key not in meta or store.manifest.get(key) != meta[key]]
    yield listed("fact of the manifest that is not that of the store", unlike)
    blobs = dict(store.query("SELECT name, value FROM blobs"))
    yield listed("lack of", [name for name in ("encoder", "boilerplate") if name not in blobs])
    if meta.get("model") == LSA and blobs.get("encoder"):
        revision = blake2b(blobs["encoder"], digest_size=8).hexdigest()
        yield listed("encoder of another revision", [] if revision == meta.get("revision") else [revision])
    cache = store.folder / CACHE
    if meta.get("cache") and cache.is_file():
        digest = blake2b(cache.read_bytes(), digest_size=16).hexdigest()
        yield listed("cache of the neighbour search that is not this index's", [] if digest == meta["cache"] else [cache.name])


COMPARISONS: tuple[Callable[[Store], Iterator[Finding]], ...] = (
    _file, _rows_of_articles, _texts, _vectors, _terms, links, lists, _threads, _redirects, _rules, _facts,
)  # fmt: skip
