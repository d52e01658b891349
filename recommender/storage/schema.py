"""The tables of a store: format, names, columns."""

from __future__ import annotations

from recommender.answers import Relation

FORMAT = 4
"""Version of the manifest and of the tables; raised with every change that older code would misread."""

ROWS_OF_LINKS, WITHOUT_NEARNESS = 2, 3
"""Formats whose links were rows of a table, with reasons as JSON; and whose links had no nearness."""

OLDER = (ROWS_OF_LINKS, WITHOUT_NEARNESS)
"""Formats that `compact` brings up to date; `rebuild` then gives the links the scores of this version."""

RELATIONS: tuple[Relation, ...] = ("duplicate", "same-story", "related")
"""A link holds a place in this tuple."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE articles (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    url TEXT,
    published TEXT,              -- ISO 8601, UTC
    instant REAL,                -- the same in seconds since 1970
    section TEXT,
    language TEXT,
    others TEXT NOT NULL,        -- JSON: updated, authors, tags, image
    hash BLOB NOT NULL,
    thread INTEGER REFERENCES threads (number),
    position INTEGER             -- in the thread, 1 is the oldest
);
CREATE INDEX articles_by_thread ON articles (thread, position) WHERE thread IS NOT NULL;
CREATE INDEX articles_by_section ON articles (section, instant);
CREATE TABLE bodies (row INTEGER PRIMARY KEY, body BLOB NOT NULL);     -- as given, deflated
CREATE TABLE vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL);  -- float16
CREATE TABLE terms (row INTEGER PRIMARY KEY, counts BLOB NOT NULL);
CREATE TABLE vocabulary (
    number INTEGER PRIMARY KEY, term TEXT NOT NULL, spelling TEXT NOT NULL,
    articles INTEGER NOT NULL, capitals INTEGER NOT NULL, smalls INTEGER NOT NULL
);
CREATE TABLE links (row INTEGER PRIMARY KEY, packed BLOB NOT NULL);    -- of each article that has any: storage/packing.py
CREATE TABLE threads (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, label TEXT NOT NULL, keywords TEXT NOT NULL,
    lead INTEGER NOT NULL, size INTEGER NOT NULL, first_instant REAL, last_instant REAL
);
CREATE INDEX threads_by_time ON threads (last_instant);
CREATE TABLE blobs (name TEXT PRIMARY KEY, value BLOB NOT NULL);        -- encoder, boilerplate
CREATE TABLE redirects (former TEXT PRIMARY KEY, thread TEXT NOT NULL) WITHOUT ROWID;   -- ids of threads that were merged
CREATE TABLE changes (           -- what happened to threads, oldest first
    number INTEGER PRIMARY KEY,
    at TEXT NOT NULL,            -- ISO 8601, UTC
    kind TEXT NOT NULL,          -- founded, joined, left, merged, split, renamed, closed
    thread TEXT NOT NULL,
    other TEXT,                  -- the thread it was merged into, or that the articles were split off from
    articles TEXT NOT NULL,      -- JSON: ids of the articles that this is about
    label TEXT                   -- of the thread, after
);
CREATE TABLE rules (number INTEGER PRIMARY KEY, rule TEXT NOT NULL UNIQUE);             -- JSON: what editors have decided
"""
