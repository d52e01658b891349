"""A store -> the archive and the graph of links in memory, and the counts of terms as the store keeps them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.archives.archive import Archive, days_of
from recommender.archives.graph import Graph
from recommender.archives.links import Links
from recommender.archives.packed import held_in
from recommender.errors import IndexUnusableError
from recommender.pipeline.candidates import Pairs
from recommender.pipeline.content import Boilerplate
from recommender.pipeline.embedding import open_encoder
from recommender.pipeline.evidence import Background
from recommender.pipeline.index import VectorIndex
from recommender.pipeline.scoring import Weights, shipped_weights
from recommender.pipeline.terms import TermCounts, Vocabulary
from recommender.storage.damage import unreadable
from recommender.storage.folder import CACHE
from recommender.storage.schema import RELATIONS
from recommender.storage.store import Store


def load(store: Store, *, device: str | None = None) -> Archive:
    """The whole archive of a store; IndexUnusableError where what it holds is not what was written."""
    with unreadable(store.folder):
        vocabulary = _load_vocabulary(store)
        blobs = dict(store.query("SELECT name, value FROM blobs"))
        meta = dict(store.query("SELECT key, value FROM meta"))
        if meta["model"] != store.manifest["model"]:
            raise ValueError(f"its model is {meta['model']!r} here and {store.manifest['model']!r} in the manifest")
        encoder = open_encoder(meta["model"], meta["revision"], blobs["encoder"], vocabulary, device=device)
        found = store.query(
            "SELECT a.row, a.instant, v.vector, t.counts"
            " FROM articles a JOIN vectors v USING (row) JOIN terms t USING (row) ORDER BY a.row"
        )
        rows = np.array([row for row, *_ in found], np.int64)
        vectors = np.frombuffer(b"".join(vector for _, _, vector, _ in found), "<f2").astype(np.float32)
        vectors = vectors.reshape(len(found), encoder.dimensions)
        terms = unpacked([counts for *_, counts in found], len(vocabulary))
        archive = Archive(
            rows=rows,
            days=days_of([instant for _, instant, _, _ in found]),
            counts=terms,
            vectors=vectors,
            vocabulary=vocabulary,
            encoder=encoder,
            boilerplate=Boilerplate.from_bytes(blobs["boilerplate"]),
            background=_background(meta, terms),
            weights=weights_of(store, meta.get("weights")),
            index=load_index(store, rows, vectors, meta),
        )
        archive.forget_age(np.array(store.evergreen_rows(), np.int64))
        return archive


def _background(meta: Mapping[str, object], counts: TermCounts) -> Background:
    """What the index was built with. Version 0.1.0 did not keep the usual number of words: it is counted anew."""
    words = meta.get("usual_words")
    if words is None:
        words = np.median(np.diff(counts.text.indptr)) if len(counts) else 0
    return Background(cosine=float(str(meta["usual_cosine"])), fade=float(str(meta["usual_fade"])), words=float(str(words)))


def load_index(store: Store, rows: NDArray[np.int64], vectors: NDArray[np.float32], meta: dict[str, object]) -> VectorIndex:
    """The neighbour search over these vectors: the saved one, brought up to date, where the store knows it; else made anew."""
    digest = str(meta.get("cache", ""))
    saved = VectorIndex.load(store.folder / CACHE, digest) if digest else None
    if saved is not None:
        since = np.array(json.loads(str(meta.get("cache_lacks", "[]"))), np.int64)
        saved.remove(since)
        places = np.flatnonzero(np.isin(rows, since))
        saved.add(rows[places], vectors[places])
        if len(saved) == len(rows):
            return saved
    index = VectorIndex(vectors.shape[1])
    index.add(rows, vectors)
    return index


def _load_vocabulary(store: Store) -> Vocabulary:
    found = store.query("SELECT term, spelling, articles, capitals, smalls, number FROM vocabulary ORDER BY number")
    if [row[5] for row in found] != list(range(len(found))) or len({term for term, *_ in found}) < len(found):
        raise ValueError("a term that is lost or stands twice")
    return Vocabulary(
        [term for term, *_ in found],
        {number: row[1] for number, row in enumerate(found) if row[1]},
        capitals=np.array([row[3] for row in found], np.int64),
        smalls=np.array([row[4] for row in found], np.int64),
        document_frequency=np.array([row[2] for row in found], np.int64),
    )


def weights_of(store: Store, kept: object) -> Weights:
    """The weights that a store keeps as JSON; the shipped ones where it keeps none."""
    if kept is None:
        return shipped_weights()
    try:
        return Weights.from_json(json.loads(str(kept)))
    except ValueError as error:
        reason = f"its weights are not those of this version ({error})"
        raise IndexUnusableError(str(store.folder), reason, "build it again with `recommender build`") from None


def packed(counts: TermCounts) -> Iterator[bytes]:
    """The counts of each article as the store keeps them."""
    for row in range(len(counts)):
        parts = []
        for matrix in (counts.text, counts.lead, counts.title):
            begin, end = matrix.indptr[row], matrix.indptr[row + 1]
            parts.append(np.array([end - begin], "<i4"))
            parts.append(matrix.indices[begin:end].astype("<i4"))
            parts.append(matrix.data[begin:end].astype("<i4"))
        yield zlib.compress(np.concatenate(parts).tobytes(), 1)


def unpacked(blobs: list[bytes], n_terms: int) -> TermCounts:
    """What `packed` has written, of several articles."""
    indices: tuple[list[NDArray[np.int32]], ...] = ([], [], [])
    data: tuple[list[NDArray[np.int32]], ...] = ([], [], [])
    for blob in blobs:
        numbers = np.frombuffer(zlib.decompress(blob), "<i4")
        at = 0
        for view in range(3):
            size = int(numbers[at])
            indices[view].append(numbers[at + 1 : at + 1 + size])
            data[view].append(numbers[at + 1 + size : at + 1 + 2 * size])
            at += 1 + 2 * size

    def matrix(view: int) -> sparse.csr_matrix:
        if not blobs:
            return sparse.csr_matrix((0, n_terms), dtype=np.uint16)
        starts = np.concatenate([[0], np.cumsum([len(part) for part in indices[view]])])
        values = np.concatenate(data[view]).astype(np.uint16)
        terms = np.concatenate(indices[view])
        if len(terms) and not 0 <= terms.min() <= terms.max() < n_terms:
            raise ValueError("a term that is not in the vocabulary")
        return sparse.csr_matrix((values, terms, starts), shape=(len(blobs), n_terms))

    return TermCounts(matrix(0), matrix(1), matrix(2))


def load_graph(store: Store, archive: Archive) -> Graph:
    """The links and threads of the store, by place in the archive; without links that are there for a pin alone (`same` is 0)."""
    held, _ = held_in(*stored_links(store))
    kept = held.same > 0
    left, right = archive.places_of(held.owners[kept]), archive.places_of(held.others[kept])
    order, turned = np.lexsort((right, left)), np.lexsort((left, right))
    if (left[order] != right[turned]).any() or (right[order] != left[turned]).any():
        raise ValueError("a link that stands on one side alone")
    once = left < right
    links = Links(
        pairs=Pairs(left[once], right[once]), related=held.related[kept][once], same_story=held.same[kept][once],
        nearness=held.nearness[kept][once],
        duplicate=held.relation[kept][once] == RELATIONS.index("duplicate"),
    )  # fmt: skip
    graph = Graph(len(archive.rows), links)
    graph.threads[:] = stored_threads(store, archive)
    return graph


def stored_links(store: Store) -> tuple[list[int], list[bytes]]:
    """(the rows of all articles that have links, rising, the blob of each)."""
    found = store.query("SELECT row, packed FROM links ORDER BY row")
    return [row for row, _ in found], [blob for _, blob in found]


def stored_threads(store: Store, archive: Archive) -> NDArray[np.int64]:
    """(places,) the number of the thread that each article is in; 0 where it stands alone."""
    found = np.array(store.query("SELECT row, thread FROM articles WHERE thread IS NOT NULL"), np.int64).reshape(-1, 2)
    threads = np.zeros(len(archive.rows), np.int64)
    threads[archive.places_of(found[:, 0])] = found[:, 1]
    return threads
