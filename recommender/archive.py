"""All articles of an index in memory, as new ones are compared with them; read from the store and never the truth."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.damage import unreadable
from recommender.errors import IndexUnusableError
from recommender.folder import CACHE
from recommender.pipeline.candidates import DENSE, LEXICAL, LEXICAL_LEAD, Pairs, heaviest_terms, most_alike, unique_pairs
from recommender.pipeline.content import Boilerplate
from recommender.pipeline.embedding import Encoder, open_encoder
from recommender.pipeline.evidence import Background, Evidence, Views, crowding_of, evidence_of, views_of
from recommender.pipeline.index import VectorIndex
from recommender.pipeline.linking import DEFAULT as THREADS
from recommender.pipeline.ranking import DEFAULT as LISTS
from recommender.pipeline.ranking import is_duplicate
from recommender.pipeline.scoring import Weights, score, shipped_weights
from recommender.pipeline.terms import TermCounts, Vocabulary
from recommender.pipeline.wording import Wording
from recommender.store import Store

BLOCK = 2_000
"""Articles that are compared at once; bounds the memory of a build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What is held of the pairs worth keeping, each once, by position in the archive; all fields (n,)."""

    pairs: Pairs
    related: NDArray[np.float32]
    same_story: NDArray[np.float32]
    duplicate: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.related)

    def only(self, chosen: NDArray[np.bool_]) -> Links:
        """Some of the links."""
        pairs = Pairs(self.pairs.left[chosen], self.pairs.right[chosen])
        return Links(
            pairs=pairs, related=self.related[chosen], same_story=self.same_story[chosen], duplicate=self.duplicate[chosen]
        )

    def by_article(self, n_articles: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(starts, others, links): the links of article i are at starts[i]:starts[i + 1], by rising other article."""
        one = np.concatenate([self.pairs.left, self.pairs.right])
        other = np.concatenate([self.pairs.right, self.pairs.left])
        number = np.tile(np.arange(len(self)), 2)
        order = np.lexsort((other, one))
        return np.searchsorted(one[order], np.arange(n_articles + 1)), other[order], number[order]


def joined(parts: list[Links]) -> Links:
    """The links of several parts, each pair once; the first part that knows a pair says what is held of it."""
    left = np.concatenate([part.pairs.left for part in parts])
    right = np.concatenate([part.pairs.right for part in parts])
    _, first = np.unique(left << 32 | right, return_index=True)
    return Links(
        pairs=Pairs(left[first], right[first]),
        related=np.concatenate([part.related for part in parts])[first],
        same_story=np.concatenate([part.same_story for part in parts])[first],
        duplicate=np.concatenate([part.duplicate for part in parts])[first],
    )


@dataclass(slots=True, kw_only=True)
class Archive:
    """The articles at positions 0, 1, 2, … in the order of their rows in the store."""

    rows: NDArray[np.int64]
    """(n,) rising."""
    days: NDArray[np.float64]
    """(n,) days since 1970, nan where no date is known."""
    counts: TermCounts
    vectors: NDArray[np.float32]
    """(n, dimensions) unit rows."""
    vocabulary: Vocabulary
    encoder: Encoder
    boilerplate: Boilerplate
    background: Background
    """What two random articles have in common."""
    weights: Weights
    """Shipped, or the site's own."""
    index: VectorIndex
    """Over the vectors, by row."""

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def load(cls, store: Store, *, device: str | None = None) -> Archive:
        """The whole archive of a store; IndexUnusableError where what it holds is not what was written."""
        with unreadable(store.folder):
            return cls._load(store, device)

    @classmethod
    def _load(cls, store: Store, device: str | None) -> Archive:
        vocabulary = _load_vocabulary(store)
        blobs = dict(store.query("SELECT name, value FROM blobs"))
        meta = dict(store.query("SELECT key, value FROM meta"))
        encoder = open_encoder(meta["model"], meta["revision"], blobs["encoder"], vocabulary, device=device)
        found = store.query(
            "SELECT a.row, a.instant, v.vector, t.counts"
            " FROM articles a JOIN vectors v USING (row) JOIN terms t USING (row) ORDER BY a.row"
        )
        rows = np.array([row for row, *_ in found], np.int64)
        vectors = np.frombuffer(b"".join(vector for _, _, vector, _ in found), "<f2").astype(np.float32)
        vectors = vectors.reshape(len(found), encoder.dimensions)
        return cls(
            rows=rows,
            days=days_of([instant for _, instant, _, _ in found]),
            counts=unpacked([counts for *_, counts in found], len(vocabulary)),
            vectors=vectors,
            vocabulary=vocabulary,
            encoder=encoder,
            boilerplate=Boilerplate.from_bytes(blobs["boilerplate"]),
            background=Background(cosine=float(meta["usual_cosine"]), fade=float(meta["usual_fade"])),
            weights=weights_of(store, meta.get("weights")),
            index=load_index(store, rows, vectors, str(meta.get("cache", ""))),
        )

    def views(self) -> Views:
        """What is compared of all articles."""
        return self.views_of(self.counts, self.vocabulary, self.vectors, self.days)

    def views_of(
        self, counts: TermCounts, vocabulary: Vocabulary, vectors: NDArray[np.float32], days: NDArray[np.float64]
    ) -> Views:
        """What is compared of some articles, of the archive or not; `vocabulary` may know more terms than the archive's."""
        crowding = crowding_of(self.counts.text, self.days, self.background)
        return views_of(counts, vocabulary, len(self), vectors, days, crowding)

    def candidates(self, query: Views, views: Views) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(query, position) of all that neighbours and rare terms nominate; a pair may stand there more than once."""
        nearest = self.index.search(query.vectors, DENSE + 1).rows
        dense = np.repeat(np.arange(len(query)), nearest.shape[1]), np.searchsorted(self.rows, nearest.ravel())
        known = nearest.ravel() >= 0
        lexical = most_alike(heaviest_terms(query.text), heaviest_terms(views.text), LEXICAL + 1)
        lead = most_alike(heaviest_terms(query.lead), heaviest_terms(views.lead), LEXICAL_LEAD + 1)
        return (
            np.concatenate([dense[0][known], lexical[0], lead[0]]),
            np.concatenate([dense[1][known], lexical[1], lead[1]]).astype(np.int64),
        )

    def nominated(self, positions: NDArray[np.int64], views: Views) -> Iterator[tuple[int, Pairs]]:
        """(articles done, the pairs with them worth a look), a block of these articles after another; each pair once a block."""
        for start in range(0, len(positions), BLOCK):
            part = positions[start : start + BLOCK]
            queries, found = self.candidates(views.take(part), views)
            yield start + len(part), unique_pairs(part[queries], found)

    def compare(self, positions: NDArray[np.int64], views: Views) -> Iterator[tuple[int, Links]]:
        """(articles done, their links), a block of these articles after another, each against the whole archive."""
        for done, pairs in self.nominated(positions, views):
            evidence = evidence_of(views, pairs.left, views, pairs.right, self.background)
            yield done, linked(pairs, evidence, self.weights, (views.words[pairs.left], views.words[pairs.right]))


def wording_of(archive: Archive, views: Views) -> Wording:
    """The terms of the archive as a reader knows them."""
    one_moment = archive.background.fade > ONE_MOMENT
    return Wording(archive.vocabulary, len(archive), views.crowding, one_moment=one_moment)


ONE_MOMENT = 0.8
"""Mean of `fade` from which an archive is of about one day: that two articles are of one day is then no reason."""


def linked(pairs: Pairs, evidence: Evidence, weights: Weights, words: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Links:
    """What the evidence says of the pairs; those that can be of no use are left out. `words` are those of either article."""
    scores = score(evidence, weights)
    links = Links(
        pairs=pairs,
        related=scores.related,
        same_story=scores.same_story,
        duplicate=is_duplicate(evidence.text, *words, evidence.days_apart, evidence.title),
    )
    return links.only((links.related >= LISTS.least_score) | (links.same_story >= THREADS.floor) | links.duplicate)


def worth_keeping(links: Links, n_articles: int) -> Links:
    """The links that a thread or a list may need: of one story perhaps, or among the best of either article."""
    starts, _, numbers = links.by_article(n_articles)
    article = np.repeat(np.arange(n_articles), np.diff(starts))
    order = np.lexsort((numbers, -links.related[numbers], article))
    rank = np.arange(len(order)) - starts[article[order]]
    kept = (links.same_story >= THREADS.floor) | links.duplicate
    kept[numbers[order[rank < MOST_KEPT]]] = True
    return links.only(kept)


MOST_KEPT = 30
"""Links of an article that are kept for its lists, which show at most 20 and leave copies out."""


def days_of(instants: list[float | None]) -> NDArray[np.float64]:
    """Seconds since 1970 as days; nan for None."""
    return np.array([np.nan if instant is None else instant / 86_400 for instant in instants], np.float64)


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
            return sparse.csr_matrix((0, n_terms), dtype=np.float32)
        starts = np.concatenate([[0], np.cumsum([len(part) for part in indices[view]])])
        values = np.concatenate(data[view]).astype(np.float32)
        terms = np.concatenate(indices[view])
        if len(terms) and not 0 <= terms.min() <= terms.max() < n_terms:
            raise ValueError("a term that is not in the vocabulary")
        return sparse.csr_matrix((values, terms, starts), shape=(len(blobs), n_terms))

    return TermCounts(matrix(0), matrix(1), matrix(2))


def weights_of(store: Store, kept: object) -> Weights:
    """The weights that a store keeps as JSON; the shipped ones where it keeps none."""
    if kept is None:
        return shipped_weights()
    try:
        return Weights.from_json(json.loads(str(kept)))
    except ValueError as error:
        reason = f"its weights are not those of this version ({error})"
        raise IndexUnusableError(str(store.folder), reason, "build it again with `recommender build`") from None


def load_index(store: Store, rows: NDArray[np.int64], vectors: NDArray[np.float32], digest: str) -> VectorIndex:
    """The neighbour search over these vectors: the saved one where it is the store's, else made anew."""
    saved = VectorIndex.load(store.folder / CACHE, digest) if digest else None
    if saved is not None and len(saved) == len(rows):
        return saved
    index = VectorIndex(vectors.shape[1])
    index.add(rows, vectors)
    return index


def _load_vocabulary(store: Store) -> Vocabulary:
    found = store.query("SELECT term, spelling, articles, capitals, smalls FROM vocabulary ORDER BY number")
    return Vocabulary(
        ids={term: number for number, (term, *_) in enumerate(found)},
        capitals=np.array([row[3] for row in found], np.int64),
        smalls=np.array([row[4] for row in found], np.int64),
        document_frequency=np.array([row[2] for row in found], np.int64),
        spellings={number: row[1] for number, row in enumerate(found) if row[1]},
    )


def without(archive: Archive, links: Links, rows: NDArray[np.int64]) -> tuple[Archive, Links]:
    """The archive and its links without some rows."""
    gone = np.isin(archive.rows, rows)
    position = np.cumsum(~gone) - 1
    kept = links.only(~gone[links.pairs.left] & ~gone[links.pairs.right])
    archive.vocabulary.forget(rows_of(archive.counts, np.flatnonzero(gone)))
    archive.index.remove(rows)
    left = Archive(
        rows=archive.rows[~gone], days=archive.days[~gone], counts=rows_of(archive.counts, np.flatnonzero(~gone)),
        vectors=archive.vectors[~gone], vocabulary=archive.vocabulary, encoder=archive.encoder,
        boilerplate=archive.boilerplate, background=archive.background, weights=archive.weights, index=archive.index,
    )  # fmt: skip
    pairs = Pairs(position[kept.pairs.left], position[kept.pairs.right])
    return left, Links(pairs=pairs, related=kept.related, same_story=kept.same_story, duplicate=kept.duplicate)


def with_more(
    archive: Archive, links: Links, rows: NDArray[np.int64], instants: list[float | None], counts: TermCounts,
    vectors: NDArray[np.float32],
) -> tuple[Archive, Links, NDArray[np.int64]]:  # fmt: skip
    """The archive and its links with articles more, and the positions of these."""
    all_rows = np.concatenate([archive.rows, rows])
    order = np.argsort(all_rows, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    width = len(archive.vocabulary)

    def stacked(name: str) -> sparse.csr_matrix:
        old = getattr(archive.counts, name)
        old = sparse.csr_matrix((old.data, old.indices, old.indptr), shape=(old.shape[0], width))
        return sparse.vstack([old, getattr(counts, name)], format="csr")[order]

    archive.index.add(rows, vectors)
    grown = Archive(
        rows=all_rows[order], days=np.concatenate([archive.days, days_of(instants)])[order],
        counts=TermCounts(stacked("text"), stacked("lead"), stacked("title")),
        vectors=np.concatenate([archive.vectors, vectors])[order], vocabulary=archive.vocabulary, encoder=archive.encoder,
        boilerplate=archive.boilerplate, background=archive.background, weights=archive.weights, index=archive.index,
    )  # fmt: skip
    left, right = place[links.pairs.left], place[links.pairs.right]
    pairs = Pairs(np.minimum(left, right), np.maximum(left, right))
    moved = Links(pairs=pairs, related=links.related, same_story=links.same_story, duplicate=links.duplicate)
    return grown, moved, np.sort(place[len(archive.rows) :])


def rows_of(counts: TermCounts, rows: NDArray[np.int64]) -> TermCounts:
    """The counts of some of the articles."""
    return TermCounts(counts.text[rows], counts.lead[rows], counts.title[rows])
