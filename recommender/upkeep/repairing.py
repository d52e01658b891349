"""Saves what can be saved of a damaged index: reads it row by row and makes a new one; the damaged file is kept aside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from recommender.errors import IndexUnusableError, RecommenderError
from recommender.pipeline.articles import Article
from recommender.pipeline.content import content_hash
from recommender.pipeline.embedding import LSA
from recommender.pipeline.history import Kind
from recommender.pipeline.rules import Rule
from recommender.pipeline.scoring import Weights, shipped_weights
from recommender.reports import Repaired
from recommender.storage.damage import damaged, unreadable
from recommender.storage.folder import MANIFEST, read_manifest
from recommender.storage.schema import FORMAT
from recommender.storage.store import Store
from recommender.upkeep.integrity import check
from recommender.writing.building import Settings, replaced
from recommender.writing.records import ARTICLE, Former, article_of
from recommender.writing.writer import WriteOptions, sole_writer

REMEDY = "restore a backup, or build it again with `recommender build`"


@dataclass(slots=True)
class _Read:
    """What could be read of a damaged store."""

    articles: dict[str, Article] = field(default_factory=dict)
    """By id; each is whole, by its own digest."""
    lost: dict[int, str | None] = field(default_factory=dict)
    """Row -> id, None where not even that can be read."""
    threads: dict[str, str] = field(default_factory=dict)
    leads: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


def repair(folder: Path, options: WriteOptions) -> Repaired:
    """Make a new index of the articles that can be read whole; one that is sound is left as it is.

    Threads keep their ids where these can be read. The damaged file stays in the folder under a name that ends in `.damaged`.
    IndexUnusableError where no article can be saved, or the index is of another format version; then nothing is changed.
    """
    name = _file_of(folder)
    with sole_writer(folder, options):
        with contextlib.suppress(RecommenderError), contextlib.closing(Store.open(folder)) as store:
            if not check(store):
                return Repaired(saved=store.count("articles"), lost=0, lost_ids=(), kept=None)
        with contextlib.closing(Store.damaged(folder, name)) as store:
            found = _read(store)
            if not found.articles:
                raise IndexUnusableError(str(folder), "no article can be read from it", REMEDY)
            settings, told = _settings(store, folder, options)
            former = _former(store, found)
        kept = _set_aside(folder / name)
        try:
            replaced(found.articles.values(), folder, settings, former, options)
        except BaseException:
            for path in kept:
                path.unlink(missing_ok=True)
            raise
        (folder / name).unlink(missing_ok=True)  # where no manifest named it
    ids = tuple(sorted({one for one in found.lost.values() if one is not None} - set(found.articles)))
    lost = max(len(found.lost), told - len(found.articles))
    return Repaired(saved=len(found.articles), lost=lost, lost_ids=ids, kept=kept[0].name)


def _file_of(folder: Path) -> str:
    """The store that counts; where the manifest cannot be read, the latest one that is complete."""
    try:
        name = str(read_manifest(folder)["store"])
        if (folder / name).is_file():
            return name
    except IndexUnusableError:
        with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
            if json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["format"] != FORMAT:
                raise
    files = sorted(folder.glob("store-*.sqlite"), key=lambda file: file.stat().st_mtime)
    for file in reversed(files):
        with contextlib.closing(Store.damaged(folder, file.name)) as store:
            if store.readable_rows("SELECT 1 FROM meta WHERE key = 'written'"):  # what a build writes last
                return file.name
    if files:
        return files[-1].name
    raise IndexUnusableError(str(folder), "there is no file of an index here", REMEDY)


def _read(store: Store) -> _Read:
    found = _Read()
    ids = {row: article_id for article_id, row in _from_both_ends(store, "SELECT id, row FROM articles ORDER BY id")}
    rows = _from_both_ends(store, "SELECT number, id, lead, label FROM threads ORDER BY 1")
    threads = {number: (one, lead) for number, one, lead, _ in rows}
    found.labels = {str(one): str(label) for _, one, _, label in rows}
    by_row: dict[int, str] = {}
    for row in _numbers(store, set(ids)):
        try:
            article, thread = _article(store, row, ids.get(row))
        except RecommenderError:
            found.lost[row] = ids.get(row)
            continue
        if article is None:
            continue
        found.articles[article.id] = article
        by_row[row] = article.id
        if thread in threads:
            found.threads[article.id] = str(threads[thread][0])
    found.leads = {str(one): by_row[lead] for one, lead in threads.values() if lead in by_row}
    return found


def _numbers(store: Store, known: set[int]) -> list[int]:
    """The rows that articles may have: those that any table or index names, and those between them."""
    for table in ("articles", "bodies"):
        known |= {row for (row,) in _from_both_ends(store, f"SELECT row FROM {table} NOT INDEXED ORDER BY row")}
    known = {row for row in known if isinstance(row, int) and row > 0}
    highest = max(known, default=0)
    return sorted(known | set(range(1, highest + 1)) if highest < 20 * len(known) + 10_000 else known)


def _from_both_ends(store: Store, sql: str) -> list[Any]:
    """The rows of an ordered query, but for those between its first and its last that cannot be read."""
    found = store.readable_rows(sql)
    return list(dict.fromkeys(found + store.readable_rows(f"{sql} DESC")))


def _article(store: Store, row: int, indexed: str | None) -> tuple[Article | None, int | None]:
    """(the article of a row, the number of its thread); None where no article has that row, an error where it is not whole."""
    rows = store.query("SELECT id, hash, thread FROM articles NOT INDEXED WHERE row = ?", row)
    if not rows and indexed is None:
        if store.query("SELECT 1 FROM bodies WHERE row = ?", row):
            raise damaged(store.folder, ValueError(f"row {row} has a body alone"))
        return None, None
    with unreadable(store.folder):
        ((stored, digest, thread),) = rows
        (found,) = store.query(f"{ARTICLE} WHERE a.row = ?", row)
        article = article_of(found)
        for article_id in (stored, indexed or stored):  # either may be what is damaged
            if content_hash(replace(article, id=article_id)) == digest:
                return replace(article, id=article_id), thread
    raise damaged(store.folder, ValueError(f"row {row} is not what came in"))


def _settings(store: Store, folder: Path, options: WriteOptions) -> tuple[Settings, int]:
    """(what the user has chosen of the index, how many articles it says it has)."""
    meta = dict(store.readable_rows("SELECT key, value FROM meta"))
    manifest: dict[str, Any] = {}
    with contextlib.suppress(IndexUnusableError):
        manifest = read_manifest(folder)
    model = meta.get("model") or manifest.get("model")
    if model is None:
        options.notice(f"which model it had cannot be read; the new index has {LSA}")
    weights: Weights = shipped_weights()
    evergreen: tuple[str, ...] = ()
    try:
        if "weights" in meta:
            weights = Weights.from_json(json.loads(meta["weights"]))
        evergreen = tuple(map(str, json.loads(meta.get("evergreen", "[]"))))
    except (ValueError, TypeError, LookupError):
        options.notice("weights or evergreen sections of its own cannot be read; the new index has the usual ones")
    told = meta.get("articles")
    return Settings(model=str(model or LSA), weights=weights, evergreen=evergreen), told if isinstance(told, int) else 0


def _set_aside(file: Path) -> list[Path]:
    """Second names for the damaged file and its log, which outlive the first; the new file's is the first."""
    kept = []
    for end in ("", "-wal"):
        path, aside = file.with_name(file.name + end), file.with_name(f"{file.name}.damaged{end}")
        if path.exists():
            aside.unlink(missing_ok=True)
            try:
                os.link(path, aside)
            except OSError:
                shutil.copy2(path, aside)
            kept.append(aside)
    return kept


def _former(store: Store, found: _Read) -> Former:
    """What could be read of threads, log and rules; no redirect to a thread that nobody knows, no change or rule that is none."""
    redirects, changes, rules = (store.readable_rows(f"SELECT * FROM {table}") for table in ("redirects", "changes", "rules"))
    changes = [row for row in changes if _is_change(row)]
    known = {*found.threads.values(), *(change[3] for change in changes), *(former for former, _ in redirects)}
    return Former(
        threads=found.threads,
        leads=found.leads,
        labels=found.labels,
        redirects=[row for row in redirects if row[1] in known],
        changes=changes,
        rules=[row for row in rules if _is_rule(row[1])],
    )


def _is_change(row: tuple[Any, ...]) -> bool:
    *_, articles, label = row
    try:
        ids = json.loads(articles)
    except (ValueError, TypeError):
        return False
    told = all(isinstance(value, str) for value in (*row[1:4], *ids)) if isinstance(ids, list) else False
    return told and isinstance(row[0], int) and row[2] in get_args(Kind) and isinstance(label, str | None)


def _is_rule(text: str) -> bool:
    try:
        Rule.from_json(json.loads(text))
    except (ValueError, TypeError, LookupError, RecommenderError):
        return False
    return True
