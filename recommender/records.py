"""The rows that the store keeps of articles, of what an archive was fitted to, and of links; written and forgotten here."""

from __future__ import annotations

import json
import sqlite3
import zlib
from datetime import UTC

import numpy as np
from numpy.typing import NDArray

from recommender import __version__
from recommender.archive import Archive, Links, packed, rows_of
from recommender.pipeline.articles import Article
from recommender.pipeline.candidates import Pairs
from recommender.pipeline.content import content_hash, plain_title
from recommender.pipeline.embedding import state_of
from recommender.pipeline.scoring import Weights, shipped_weights
from recommender.pipeline.terms import Vocabulary
from recommender.store import Store


def load_links(store: Store, archive: Archive) -> Links:
    """The links of the store, by position in the archive."""
    found = np.array(
        store.query("SELECT row, other, score, same, relation FROM links WHERE row < other ORDER BY row, other"), np.float64
    ).reshape(-1, 5)
    pairs = Pairs(*(np.searchsorted(archive.rows, found[:, column].astype(np.int64)) for column in (0, 1)))
    return Links(
        pairs=pairs, related=found[:, 2].astype(np.float32), same_story=found[:, 3].astype(np.float32), duplicate=found[:, 4] == 0
    )


def threads_of(store: Store) -> dict[str, str]:
    """Article id -> thread id."""
    return dict(store.query("SELECT a.id, t.id FROM articles a JOIN threads t ON t.number = a.thread"))


def instant_of(article: Article) -> float | None:
    """When it was published, in seconds since 1970; None where that is not known."""
    return article.published.timestamp() if article.published else None


def write_article(db: sqlite3.Connection, row: int, article: Article) -> None:
    """The article as it was given, in place of what that row held."""
    others = {
        "updated": article.updated.astimezone(UTC).isoformat() if article.updated else None,
        "authors": article.authors, "tags": article.tags, "image": article.image,
    }  # fmt: skip
    db.execute(
        "INSERT OR REPLACE INTO articles (row, id, title, url, published, instant, section, language, others, hash)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row, article.id, plain_title(article.title), article.url,
            article.published.astimezone(UTC).isoformat() if article.published else None, instant_of(article),
            article.section, article.language, json.dumps(others, ensure_ascii=False), content_hash(article),
        ),
    )  # fmt: skip
    given = json.dumps([article.title, article.body], ensure_ascii=False)
    db.execute("INSERT OR REPLACE INTO bodies VALUES (?, ?)", (row, zlib.compress(given.encode(), 6)))


def write_archive(db: sqlite3.Connection, archive: Archive, positions: NDArray[np.int64]) -> None:
    """Vectors, terms and vocabulary of the articles at these positions."""
    rows = archive.rows[positions].tolist()
    vectors = archive.vectors[positions].astype("<f2")
    db.executemany(
        "INSERT OR REPLACE INTO vectors VALUES (?, ?)", ((row, v.tobytes()) for row, v in zip(rows, vectors, strict=True))
    )
    counts = rows_of(archive.counts, positions)
    db.executemany("INSERT OR REPLACE INTO terms VALUES (?, ?)", zip(rows, packed(counts), strict=True))
    write_frequencies(db, archive.vocabulary, np.unique(counts.text.indices))


def write_frequencies(db: sqlite3.Connection, vocabulary: Vocabulary, terms: NDArray[np.int32]) -> None:
    """What the vocabulary holds of these terms, and of terms that the store does not know yet."""
    (stored,) = db.execute("SELECT count(*) FROM vocabulary").fetchone()
    names = vocabulary.terms()
    numbers = np.union1d(terms, np.arange(stored, len(vocabulary)))
    db.executemany(
        "INSERT OR REPLACE INTO vocabulary VALUES (?, ?, ?, ?, ?, ?)",
        (
            (n, names[n], vocabulary.spellings.get(n, ""), int(vocabulary.document_frequency[n]),
             int(vocabulary.capitals[n]), int(vocabulary.smalls[n]))
            for n in numbers.tolist()
        ),
    )  # fmt: skip


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
    """All that followed from these articles, the links of others to them included."""
    for row in rows:
        others = [(other, row) for (other,) in db.execute("SELECT other FROM links WHERE row = ?", (row,))]
        db.executemany("DELETE FROM links WHERE row = ? AND other = ?", others)
        for table in ("links", "vectors", "terms"):
            db.execute(f"DELETE FROM {table} WHERE row = ?", (row,))
