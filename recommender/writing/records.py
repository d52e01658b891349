"""The rows that the store keeps of articles, of what an archive was fitted to, and of links; written and forgotten here."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender import __version__
from recommender.archives.archive import Archive
from recommender.archives.loading import packed
from recommender.distinct import distinct
from recommender.pipeline.articles import Article
from recommender.pipeline.content import content_hash, plain_text, plain_title
from recommender.pipeline.embedding import state_of
from recommender.pipeline.history import Change
from recommender.pipeline.scoring import Weights, shipped_weights
from recommender.pipeline.terms import Vocabulary
from recommender.storage.store import Store


class Former(NamedTuple):
    """What readers have seen of threads, to be carried over."""

    threads: Mapping[str, str]
    """Article id -> thread id."""
    leads: Mapping[str, str]
    """Thread id -> id of the article whose headline is its label."""
    labels: Mapping[str, str]
    """Thread id -> label."""
    redirects: Sequence[tuple[str, str]]
    """(id of a thread that was merged, id of the thread that goes on)."""
    changes: Sequence[tuple[object, ...]]
    """The rows of the log."""
    rules: Sequence[tuple[int, str]]
    """The rows of editors' rules."""


NOTHING = Former({}, {}, {}, (), (), ())


def former_of(store: Store, *, with_history: bool = False) -> Former:
    """The threads of a store as they are now; redirects, log and rules too where they are to be carried to another store."""
    return Former(
        threads=dict(store.query("SELECT a.id, t.id FROM articles a JOIN threads t ON t.number = a.thread")),
        leads=dict(store.query("SELECT t.id, a.id FROM threads t JOIN articles a ON a.row = t.lead")),
        labels=dict(store.query("SELECT id, label FROM threads")),
        redirects=store.query("SELECT former, thread FROM redirects") if with_history else (),
        changes=store.query("SELECT * FROM changes ORDER BY number") if with_history else (),
        rules=store.query("SELECT number, rule FROM rules ORDER BY number") if with_history else (),
    )


def write_history(db: sqlite3.Connection, former: Former) -> None:
    """Redirects, log and rules as they were."""
    db.executemany("INSERT INTO rules (number, rule) VALUES (?, ?)", former.rules)
    db.executemany("INSERT INTO redirects VALUES (?, ?)", former.redirects)
    db.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", former.changes)


def write_changes(db: sqlite3.Connection, changes: Iterable[Change], labels: Mapping[str, str], at: str) -> None:
    """Log what happened to threads at a moment (ISO 8601), and lead from merged threads to those that go on."""
    for change in changes:
        db.execute(
            "INSERT INTO changes (at, kind, thread, other, articles, label) VALUES (?, ?, ?, ?, ?, ?)",
            (
                at,
                change.kind,
                change.thread,
                change.other,
                json.dumps(change.articles, ensure_ascii=False),
                labels.get(change.thread),
            ),
        )
        db.execute("DELETE FROM redirects WHERE former = ?", (change.thread,))
        if change.kind == "merged":
            db.execute("UPDATE redirects SET thread = ? WHERE thread = ?", (change.other, change.thread))
            db.execute("INSERT INTO redirects VALUES (?, ?)", (change.thread, change.other))


def instant_of(article: Article) -> float | None:
    """When it was published, in seconds since 1970; None where that is not known."""
    return article.published.timestamp() if article.published else None


def write_article(db: sqlite3.Connection, row: int, article: Article) -> None:
    """The article as it was given, in place of what that row held; it stays in its thread."""
    others = {
        "updated": article.updated.astimezone(UTC).isoformat() if article.updated else None,
        "authors": article.authors, "tags": article.tags, "image": article.image,
    }  # fmt: skip
    names = ("row", "id", "title", "url", "published", "instant", "section", "language", "others", "hash")
    values = (
        row, article.id, plain_title(article.title), article.url,
        article.published.astimezone(UTC).isoformat() if article.published else None, instant_of(article),
        article.section, article.language, json.dumps(others, ensure_ascii=False), content_hash(article),
    )  # fmt: skip
    db.execute(
        f"INSERT INTO articles ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        f" ON CONFLICT (row) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names[1:])}",
        values,
    )
    given = json.dumps([article.title, article.body], ensure_ascii=False)
    db.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?)", (row, zlib.compress(given.encode(), 6)))


def forget_in_log(db: sqlite3.Connection, ids: Set[str], labels: Set[str]) -> None:
    """Articles that are gone, and headlines of theirs, in the log of changes."""
    naming = "SELECT DISTINCT c.number, c.thread, c.articles FROM changes c, json_each(c.articles) one WHERE one.value = ?"
    for article_id in ids:
        for number, thread, articles in db.execute(naming, (article_id,)).fetchall():
            left = json.dumps([one for one in json.loads(articles) if one not in ids], ensure_ascii=False)
            db.execute("UPDATE changes SET articles = ? WHERE number = ?", (left, number))
            former = "thread = ? AND label NOT IN (SELECT label FROM threads)"  # perhaps a headline that it had before
            db.execute(f"UPDATE changes SET label = NULL WHERE {former}", (thread,))
    db.executemany("UPDATE changes SET label = NULL WHERE label = ?", [(label,) for label in labels])


def given_of(db: sqlite3.Connection, row: int) -> tuple[str, str]:
    """The title and the body of an article as they were given."""
    ((given,),) = db.execute("SELECT body FROM bodies WHERE row = ?", (row,)).fetchall()
    title, body = json.loads(zlib.decompress(given))
    return title, body


def texts_of(db: sqlite3.Connection, row: int) -> tuple[str, str]:
    """The plain title and the plain text of an article."""
    title, body = given_of(db, row)
    return plain_title(title), plain_text(body)


def articles_of(store: Store) -> Iterator[Article]:
    """The articles as they were given, in the order of their rows."""
    for _, article in stored_articles(store):
        yield article


ARTICLE = (
    "SELECT a.row, a.id, a.url, a.published, a.section, a.language, a.others, b.body FROM articles a JOIN bodies b USING (row)"
)
"""What `article_of` takes."""


def stored_articles(store: Store) -> Iterator[tuple[int, Article]]:
    """(row, the article as it was given), in the order of the rows."""
    for found in store.query(f"{ARTICLE} ORDER BY a.row"):
        yield int(found[0]), article_of(found)


def article_of(found: tuple[Any, ...]) -> Article:
    """The article in a row of the query ARTICLE; where that is damaged, zlib.error, ValueError, TypeError or KeyError."""
    _, article_id, url, published, section, language, others, given = found
    title, body = json.loads(zlib.decompress(given))
    more = json.loads(others)
    return Article(
        id=article_id, title=title, body=body, url=url, section=section, language=language,
        published=datetime.fromisoformat(published) if published else None,
        updated=datetime.fromisoformat(more["updated"]) if more["updated"] else None,
        authors=tuple(more["authors"]), tags=tuple(more["tags"]), image=more["image"],
    )  # fmt: skip


def write_archive(db: sqlite3.Connection, archive: Archive, places: NDArray[np.int64]) -> None:
    """Vectors, terms and vocabulary of the articles at these places."""
    rows = archive.rows[places].tolist()
    vectors = archive.vectors[places].astype("<f2")
    db.executemany(
        "INSERT OR REPLACE INTO vectors VALUES (?, ?)", ((row, v.tobytes()) for row, v in zip(rows, vectors, strict=True))
    )
    counts = archive.counts_of(places)
    db.executemany("INSERT OR REPLACE INTO terms VALUES (?, ?)", zip(rows, packed(counts), strict=True))
    write_frequencies(db, archive.vocabulary, distinct(counts.text.indices))


def write_frequencies(db: sqlite3.Connection, vocabulary: Vocabulary, terms: NDArray[np.int32]) -> None:
    """What the vocabulary holds of these terms, and of terms that the store does not know yet."""
    (stored,) = db.execute("SELECT coalesce(max(number) + 1, 0) FROM vocabulary").fetchone()
    names, frequency = vocabulary.terms(), vocabulary.document_frequency
    capitals, smalls = vocabulary.capitals, vocabulary.smalls
    numbers = distinct(terms, np.arange(stored, len(vocabulary), dtype=terms.dtype))
    db.executemany(
        "INSERT OR REPLACE INTO vocabulary VALUES (?, ?, ?, ?, ?, ?)",
        (
            (n, names[n], vocabulary.spellings.get(n, ""), int(frequency[n]), int(capitals[n]), int(smalls[n]))
            for n in numbers.tolist()
        ),
    )


def write_fit(store: Store, archive: Archive, model: str) -> None:
    """What the archive as a whole was fitted to."""
    encoder = archive.encoder
    store.db.execute("INSERT OR REPLACE INTO blobs VALUES ('encoder', ?)", (state_of(encoder),))
    store.db.execute("INSERT OR REPLACE INTO blobs VALUES ('boilerplate', ?)", (archive.boilerplate.to_bytes(),))
    described = {"model": model, "revision": encoder.revision, "dimensions": encoder.dimensions}
    write_meta(
        store,
        {
            **described,
            "version": __version__,
            "usual_cosine": archive.background.cosine,
            "usual_fade": archive.background.fade,
            "usual_words": archive.background.words,
            "articles_at_build": len(archive),
        },
    )
    store.manifest.update(described)
    write_weights(store, archive.weights)


def write_weights(store: Store, weights: Weights) -> None:
    """The weights of this index; none are kept where they are the shipped ones."""
    store.db.execute("DELETE FROM meta WHERE key = 'weights'")
    if weights != shipped_weights():
        write_meta(store, {"weights": json.dumps(weights.to_json())})


def write_meta(store: Store, values: dict[str, object]) -> None:
    """Facts of the index, by name."""
    store.db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())


def forget_rows(db: sqlite3.Connection, rows: list[int]) -> None:
    """All that followed from these articles, but for what others have of their links to them."""
    for row in rows:
        for table in ("links", "vectors", "terms"):
            db.execute(f"DELETE FROM {table} WHERE row = ?", (row,))
