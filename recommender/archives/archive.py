"""All articles of an index in memory, as new ones are compared with them; read from the store and never the truth."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.archives.links import Links, linked
from recommender.distinct import distinct
from recommender.growing import Growing, GrowingRows
from recommender.parallel import in_order
from recommender.pipeline.candidates import (
    DENSE,
    LEXICAL,
    LEXICAL_LEAD,
    PairCodes,
    Postings,
    heaviest_terms,
    merged,
    most_alike,
    pairs_in,
    unique_codes,
    unique_pairs,
)
from recommender.pipeline.content import Boilerplate
from recommender.pipeline.embedding import Encoder, Progress
from recommender.pipeline.evidence import (
    LEAST_CROWDING,
    MOST_DATES,
    Background,
    PerTerm,
    Views,
    crowding_of,
    crowding_of_terms,
    evidence_of,
    views_of,
)
from recommender.pipeline.index import VectorIndex
from recommender.pipeline.scoring import Weights
from recommender.pipeline.terms import TermCounts, Vocabulary, in_blocks, tf_idf
from recommender.pipeline.wording import Wording

BLOCK = 2_000
"""Articles whose neighbours are asked for at once; bounds the memory of a build."""

FEW = 500
"""The same of articles that are compared one by one, by postings."""

PAIRS = 100_000
"""Pairs that are compared at once; bounds it too."""

Found = tuple[NDArray[np.int64], NDArray[np.int64]]
"""(queries, places): what was found for the first, the second query, …; both (n,)."""


def unseen(done: int, total: int) -> None:
    """Progress that nobody looks at."""


class Archive:
    """The articles at places 0, 1, 2, … in the order of their rows in the store.

    Articles may come and go. One that has gone leaves its place empty: nothing is compared with it, and it comes back to it
    if it comes again.
    """

    def __init__(
        self,
        *,
        rows: NDArray[np.int64],
        days: NDArray[np.float64],
        counts: TermCounts,
        vectors: NDArray[np.float32],
        vocabulary: Vocabulary,
        encoder: Encoder,
        boilerplate: Boilerplate,
        background: Background,
        weights: Weights,
        index: VectorIndex,
    ) -> None:
        """Of n articles: `rows` (n,) rising, `days` (n,) since 1970 and nan where no date is known, `vectors` (n, dimensions)."""
        self._rows, self._days, self._vectors = Growing(rows), Growing(days), Growing(vectors)
        self._counts = {name: GrowingRows(getattr(counts, name)) for name in ("text", "lead", "title")}
        self._ageless = Growing(np.zeros(len(rows), np.bool_))
        self._articles = len(rows)
        self.vocabulary = vocabulary
        self.encoder = encoder
        self.boilerplate = boilerplate
        self.background = background
        """What two random articles have in common."""
        self.weights = weights
        """Shipped, or the site's own."""
        self.index = index
        """Over the vectors, by row."""
        self._occurrences = Growing(np.zeros(len(vocabulary)))
        self._in_leads = Growing(np.zeros(len(vocabulary), np.int64))
        self._count(counts, 1)
        self._crowding = Growing(crowding_of(counts.text, days, background))
        self._names = Growing(vocabulary.is_name().astype(np.float32))
        self._numbers = Growing(vocabulary.is_number().astype(np.float32))
        self._lookup: _Lookup | None = None

    def __len__(self) -> int:
        """Articles that are there."""
        return self._articles

    @property
    def rows(self) -> NDArray[np.int64]:
        """(places,) rising: the rows of the articles in the store."""
        return self._rows.values

    @property
    def days(self) -> NDArray[np.float64]:
        """(places,) days since 1970; nan where no date is known."""
        return self._days.values

    @property
    def vectors(self) -> NDArray[np.float32]:
        """(places, dimensions) unit rows."""
        return self._vectors.values

    @property
    def crowding(self) -> NDArray[np.float32]:
        """(n_terms,) how far the articles that hold a term crowd together in time, see `crowding_of`."""
        return self._crowding.values

    @property
    def per_term(self) -> PerTerm:
        """What the archive says of each of its terms."""
        return PerTerm(self.crowding, self._names.values, self._numbers.values)

    @property
    def occurrences(self) -> NDArray[np.float64]:
        """(n_terms,) how often each term stands in all articles together."""
        return self._occurrences.values

    def forget_age(self, rows: NDArray[np.int64]) -> None:
        """Let time be no evidence on the articles of these rows, and on all others again."""
        self._ageless.values[:] = False
        self._ageless.values[self.places_of(rows)] = True

    def places_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of rows that are there; ValueError where one is not."""
        places = np.searchsorted(self.rows, rows)
        if not (self.rows[np.minimum(places, len(self.rows) - 1)] == rows).all():
            raise ValueError(f"a row of {rows!r} is not in the archive")
        return places

    def counts_of(self, places: NDArray[np.int64]) -> TermCounts:
        """The terms of some articles."""
        return TermCounts(*(self._counts[name].take(places, len(self.vocabulary)) for name in ("text", "lead", "title")))

    def views(self, places: NDArray[np.int64] | None = None) -> Views:
        """What is compared of the articles at these places, in this order; of all where none are given."""
        if places is None:
            days = np.where(self._ageless.values, np.nan, self.days)
            return self.views_of(self.counts_of(np.arange(len(self.rows))), self.vocabulary, self.vectors, days)
        days = np.where(self._ageless.values[places], np.nan, self.days[places])
        return self.views_of(self.counts_of(places), self.vocabulary, self.vectors[places], days)

    def views_of(
        self, counts: TermCounts, vocabulary: Vocabulary, vectors: NDArray[np.float32], days: NDArray[np.float64]
    ) -> Views:
        """The same of articles that need not be in the archive; `vocabulary` may know more terms than the archive's."""
        return views_of(counts, vocabulary, len(self), vectors, days, self.per_term)

    def texts(self, places: NDArray[np.int64]) -> sparse.csr_matrix:
        """The `text` of `views` alone."""
        counts = self._counts["text"].take(places, len(self.vocabulary))
        return tf_idf(counts, self.vocabulary.document_frequency, len(self))

    def nominated(self, places: NDArray[np.int64], views: Views, progress: Progress = unseen) -> PairCodes:
        """The pairs with these articles that are worth a look, each once; `views` are those of all articles: for much of an
        archive at once. `progress` is told how many of how many articles have been asked."""
        return merged(self._nominated(places, views, progress))

    def _nominated(self, places: NDArray[np.int64], views: Views, progress: Progress) -> Iterator[PairCodes]:
        """The same, a block of the places after another; a pair may be in two."""
        frequency, in_leads = self.vocabulary.document_frequency, self._in_leads.values
        by_text = heaviest_terms(views.text, frequency).T.tocsr()
        by_lead = heaviest_terms(views.lead, in_leads).T.tocsr()

        def nominate(asked: tuple[NDArray[np.int64], Found]) -> PairCodes:
            part, nearest = asked
            found = [
                nearest,
                most_alike(heaviest_terms(views.text[part], frequency), by_text, LEXICAL + 1),
                most_alike(heaviest_terms(views.lead[part], in_leads), by_lead, LEXICAL_LEAD + 1),
            ]
            queries, others = (np.concatenate([side[number] for side in found]) for number in (0, 1))
            return unique_codes(part[queries], others)

        # FAISS is on all cores by itself, and keeps 130 MB for each thread that asks it
        asked = ((part, self._nearest(views.vectors[part])) for part in _blocks(places))
        for done, part in zip(_ends(len(places)), in_order(nominate, asked), strict=True):
            yield part
            progress(done, len(places))

    def compare(self, codes: PairCodes, views: Views, progress: Progress = unseen) -> Iterator[Links]:
        """What the evidence says of these pairs, some after others; those of no use are left out. `views` as in `nominated`,
        `progress` is told how many of how many pairs have been compared."""

        def link(part: slice) -> Links:
            pairs = pairs_in(codes[part])
            evidence = evidence_of(views, pairs.left, views, pairs.right, self.background)
            return linked(pairs, evidence, self.weights, (views.words[pairs.left], views.words[pairs.right]))

        total = len(codes)

        for done, part in zip(_ends(total, PAIRS), in_order(link, _slices(total)), strict=True):
            yield part
            progress(done, total)

    def candidates(self, query: Views, nearest: Found | None = None) -> Found:
        """(query, place) of all that neighbours and rare terms nominate for a few articles; a pair may stand there twice.

        `nearest` are the neighbours where they are known already."""
        lookup = self._looked_up()
        text = heaviest_terms(query.text, self.vocabulary.document_frequency)
        lead = heaviest_terms(query.lead, self._in_leads.values)
        found = [
            nearest or self._nearest(query.vectors),
            lookup.text.most_alike(text, LEXICAL + 1, len(self.rows)),
            lookup.lead.most_alike(lead, LEXICAL_LEAD + 1, len(self.rows)),
        ]
        queries, places = (np.concatenate([side[number] for side in found]) for number in (0, 1))
        return queries, places

    def compare_few(self, places: NDArray[np.int64]) -> Iterator[tuple[int, Links]]:
        """(articles done, the links of these articles with all others), a block after another, at a cost that follows from the
        articles given and hardly from the archive."""
        self._looked_up()  # all blocks look at the same

        def compare(asked: tuple[NDArray[np.int64], Views, Found]) -> Links:
            part, query, nearest = asked
            queries, found = self.candidates(query, nearest)
            pairs = unique_pairs(part[queries], found)
            here, sides = np.unique(np.concatenate(pairs), return_inverse=True)
            views = self.views(here)
            views = views.over(views.terms())
            left, right = np.split(sides, 2)
            evidence = evidence_of(views, left, views, right, self.background)
            return linked(pairs, evidence, self.weights, (views.words[left], views.words[right]))

        views = ((part, self.views(part)) for part in _blocks(places, FEW))
        asked = ((part, query, self._nearest(query.vectors)) for part, query in views)  # FAISS is on all cores by itself
        yield from zip(_ends(len(places), FEW), in_order(compare, asked), strict=True)

    def _nearest(self, vectors: NDArray[np.float32]) -> Found:
        nearest = self.index.search(vectors, DENSE + 1).rows
        known = nearest.ravel() >= 0
        queries = np.repeat(np.arange(len(vectors)), nearest.shape[1])
        return queries[known], self.places_of(nearest.ravel()[known])

    def leave(self, places: NDArray[np.int64]) -> NDArray[np.int32]:
        """Forget the articles at these places, their statistics too; returns their terms, each once."""
        counts = self.counts_of(places)
        self.vocabulary.forget(counts)
        self.index.remove(self.rows[places])
        terms = self._count(counts, -1)
        if self._lookup is not None:
            self._lookup.remove(places, counts)
        none = sparse.csr_matrix((len(places), len(self.vocabulary)), dtype=np.uint16)
        for rows in self._counts.values():
            rows.replace(places, none)
        self.days[places], self.vectors[places] = np.nan, 0
        self._articles -= len(places)
        self._crowd(terms)
        return terms

    def take_in(
        self, rows: NDArray[np.int64], instants: list[float | None], counts: TermCounts, vectors: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        """Take in articles that the vocabulary has learned; returns their places.

        Each row is one whose article has left, or higher than all that have been.
        """
        places = np.searchsorted(self.rows, rows)
        again = self.rows[np.minimum(places, len(self.rows) - 1)] == rows
        places[~again] = len(self.rows) + np.argsort(np.argsort(rows[~again]))
        order = np.argsort(places)
        new = order[~again[order]]
        self._rows.extend(rows[new])
        self._days.lengthen(len(self.rows))
        self._ageless.lengthen(len(self.rows))
        self._vectors.lengthen(len(self.rows))
        self.days[places], self.vectors[places] = days_of(instants), vectors
        for name, held in self._counts.items():
            given = getattr(counts, name)
            held.replace(places[again], given[np.flatnonzero(again)])
            held.extend(given[new])
        self._articles += len(rows)
        for numbers in (self._occurrences, self._in_leads, self._names, self._numbers):
            numbers.lengthen(len(self.vocabulary))
        self._crowding.lengthen(len(self.vocabulary), LEAST_CROWDING)
        terms = self._count(counts, 1)
        told = distinct(counts.text.indices, counts.lead.indices)
        self._names.values[told] = self.vocabulary.are_names(told)
        self._numbers.values[told] = self.vocabulary.is_number()[told]
        self.index.add(rows, vectors)
        if self._lookup is not None:
            self._lookup.hold(places, counts)
        self._crowd(terms)
        if self._lookup is not None:
            self._lookup.add(places, self)
        return places

    def _count(self, counts: TermCounts, sign: int) -> NDArray[np.int32]:
        for _, part in in_blocks(counts.text):
            np.add.at(self.occurrences, part.indices, sign * part.data.astype(np.float32))
        np.add.at(self._in_leads.values, counts.lead.indices, sign)
        return distinct(counts.text.indices)

    def _crowd(self, terms: NDArray[np.int32]) -> None:
        """Bring the crowding of these terms up to date; one article more does not change that of very common ones."""
        if len(terms) > MANY_TERMS:
            text = self._counts["text"].take(np.arange(len(self.rows)), len(self.vocabulary))
            self.crowding[:] = crowding_of(text, self.days, self.background)
            return
        terms = terms[self.vocabulary.document_frequency[terms] <= MOST_DATES]
        holders, days = self._looked_up().holders, self.days
        self.crowding[terms] = crowding_of_terms([days[holders.rows_of(term)] for term in terms.tolist()], self.background)

    def _looked_up(self) -> _Lookup:
        if self._lookup is None or self._lookup.is_outgrown(self):
            self._lookup = _Lookup(self)
        return self._lookup


MANY_TERMS = 10_000
"""Terms from which the crowding of all is found again at once; it takes no longer."""


class _Lookup:
    """By term, the articles that hold it, and those of which it is one of the heaviest: what single articles are compared by."""

    def __init__(self, archive: Archive) -> None:
        counts = archive.counts_of(np.arange(len(archive.rows)))
        ones = np.ones(counts.text.nnz, np.int8)
        self.made_of = len(archive)
        self.holders = Postings(sparse.csr_matrix((ones, counts.text.indices, counts.text.indptr), shape=counts.text.shape))
        self.text, self.lead = (Postings(heavy) for heavy in self._heavy(archive, counts))
        self._terms: dict[int, tuple[NDArray[np.int32], NDArray[np.int32]]] = {}

    @staticmethod
    def _heavy(archive: Archive, counts: TermCounts) -> list[sparse.csr_matrix]:
        frequency = archive.vocabulary.document_frequency
        heavy = []
        for part, holders in ((counts.text, frequency), (counts.lead, archive._in_leads.values)):
            heavy.append(heaviest_terms(tf_idf(part, frequency, len(archive)), holders))
        return heavy

    def is_outgrown(self, archive: Archive) -> bool:
        """Whether so much has come that the weights it was made with are no longer those of the archive."""
        return abs(len(archive) - self.made_of) > STALE * self.made_of

    def hold(self, places: NDArray[np.int64], counts: TermCounts) -> None:
        """Articles that have come hold their terms."""
        for number, place in enumerate(places.tolist()):
            terms = counts.text.indices[counts.text.indptr[number] : counts.text.indptr[number + 1]]
            self.holders.add(place, terms, np.ones(len(terms), np.int8))

    def add(self, places: NDArray[np.int64], archive: Archive) -> None:
        """Articles that have come are found by their heaviest terms."""
        for postings, heavy in zip((self.text, self.lead), self._heavy(archive, archive.counts_of(places)), strict=True):
            for number, place in enumerate(places.tolist()):
                here = slice(heavy.indptr[number], heavy.indptr[number + 1])
                postings.add(place, heavy.indices[here], heavy.data[here])

    def remove(self, places: NDArray[np.int64], counts: TermCounts) -> None:
        """Articles that leave are found no longer."""
        for number, place in enumerate(places.tolist()):
            terms = counts.text.indices[counts.text.indptr[number] : counts.text.indptr[number + 1]]
            for postings in (self.holders, self.text, self.lead):
                postings.remove(place, terms)


STALE = 0.1
"""Share of its articles by which an archive may grow or shrink before the weights of the search by terms, which is there to
nominate and not to judge, are computed anew."""


def _blocks(places: NDArray[np.int64], block: int = BLOCK) -> list[NDArray[np.int64]]:
    return [places[start : start + block] for start in range(0, max(len(places), 1), block)]


def _slices(n_pairs: int) -> list[slice]:
    return [slice(start, start + PAIRS) for start in range(0, max(n_pairs, 1), PAIRS)]


def _ends(total: int, block: int = BLOCK) -> list[int]:
    """How much is done after each block."""
    return [min(total, start + block) for start in range(0, max(total, 1), block)]


def wording_of(archive: Archive) -> Wording:
    """The terms of the archive as a reader knows them."""
    one_moment = archive.background.fade > ONE_MOMENT
    return Wording(archive.vocabulary, len(archive), archive.crowding, one_moment=one_moment)


ONE_MOMENT = 0.8
"""Mean of `fade` from which an archive is of about one day: that two articles are of one day is then no reason."""


def days_of(instants: list[float | None]) -> NDArray[np.float64]:
    """Seconds since 1970 as days; nan for None."""
    return np.array([np.nan if instant is None else instant / 86_400 for instant in instants], np.float64)
