"""Step 7a of 8: what speaks for and against a pair of articles. Every number is a pure function of the pair and its archive."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.distinct import distinct
from recommender.pipeline.products import BLOCK, pairing, products
from recommender.pipeline.terms import TermCounts, Vocabulary, in_blocks, tf_idf

DAYS_TO_FADE = 4.0
"""Days after which the odds that two articles are of one story are down to 1/e of those on the same day. Of 3, 7
and 14 (as a factor on closeness) 3 was best on the dated sets; more weight on 2 days gains on headlines and loses on gva."""

TIMELESS = 0.1
"""What is left of these odds however far apart the two are: a follow-up after months must stay possible."""

LEAST_CROWDING = 0.05
"""What is left of a term that is spread like the archive. (0 to .15 are within .1 points of nDCG@5 of each other.)"""

SOON = 2.0
"""Days within which the same words again are the same news."""

USUAL_CROWDING = 0.3
"""Mean crowding of what two articles of one story share. Of pairs of gva more than 5 days apart with half their words in
common, 5 in 100 are of one story where it is below .1, 46 from .1 to .2, 85 to .3, and 93 above."""

MOST_SPREAD = float(np.log(USUAL_CROWDING / (2 * LEAST_CROWDING)))
"""That log where every shared term is spread like the archive."""

NO_PAST, LONG_PAST = 0.3, 0.2
"""Mean of `fade` of an archive of about five weeks, which cannot know what comes again, and of ten, which can."""

FORM = 0.5
"""Cosine of two texts from which they may be one form filled in twice; below, the suspicion is in proportion."""

SEVERAL = 4
"""Names of each from which it says much that they share none. Of 65 such pairs of gva with a quarter of their words in common
one is of one story."""

DIFFERENT = 0.1
"""Cosine of the names, or numbers, from which two articles do not speak of other ones."""

BARE = 12
"""Distinct terms of a headline and a line of summary; 95 in 100 bare headlines of two archives have fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What two random articles of an archive have in common; evidence is what goes beyond."""

    cosine: float
    """Cosine of their vectors: models differ in it from 0 to .8. At most 0.95."""
    fade: float
    """Mean of `fade` over their days apart, in (0, 1]; 1 where fewer than two have a date. On an archive of one day every
    pair is near in time and that says nothing; on one of ten years it says much."""
    words: float
    """Median number of distinct terms of an article."""


def fade(days_apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """How the odds of one story fall with the days between two articles, in [TIMELESS, 1]."""
    return TIMELESS + (1 - TIMELESS) * np.exp(-days_apart / DAYS_TO_FADE)


def background_of(vectors: NDArray[np.float32], days: NDArray[np.float64], words: NDArray[np.integer]) -> Background:
    """Of an archive; from pairs that stand apart in it, so that it is the same each time. `words` (n,) as in Views."""
    cosine, usual_fade = 0.0, 1.0
    if len(vectors) > 1:
        half = len(vectors) // 2
        cosine = float(np.clip(np.median(np.einsum("ij,ij->i", vectors[:half], vectors[half : 2 * half])), 0.0, 0.95))
    dated = np.sort(days[~np.isnan(days)])[:: max(1, len(days) // 1000)]
    if len(dated) > 1:
        apart = np.abs(dated[:, None] - dated[None])[np.triu_indices(len(dated), 1)]
        usual_fade = float(fade(apart).mean())
    return Background(cosine=cosine, fade=usual_fade, words=float(np.median(words)) if len(words) else 0.0)


PARTS = ("text", "lead", "title")
"""The fields of Views that are by term."""


class PerTerm(NamedTuple):
    """What an archive says of each of its terms; all fields (n_terms,)."""

    crowding: NDArray[np.float32]
    """See `crowding_of`."""
    names: NDArray[np.float32]
    """1 for a name, 0 for any other term."""
    numbers: NDArray[np.float32]
    """1 for a number."""


class Lengths(NamedTuple):
    """Lengths of the rows of a view once its terms are weighed, and how many of them weigh something; all fields (n,)."""

    burst: NDArray[np.float32]
    """Of the text, every term weighed by its crowding."""
    names: NDArray[np.float32]
    """Of the text, its names alone."""
    numbers: NDArray[np.float32]
    """Of title and lead, their numbers alone."""
    n_names: NDArray[np.int64]
    n_numbers: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> Lengths:
        """Those of some of the articles."""
        return Lengths(self.burst[rows], self.names[rows], self.numbers[rows], self.n_names[rows], self.n_numbers[rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What is compared of some articles; row i of every field is the same article."""

    text: sparse.csr_matrix
    """(n, n_terms) TF-IDF of title, lead and body, unit rows."""
    lead: sparse.csr_matrix
    """(n, n_terms) the same of title and lead."""
    title: sparse.csr_matrix
    """(n, n_terms) the same of the title; an empty row where there is none."""
    vectors: NDArray[np.float32]
    """(n, dimensions) unit rows."""
    days: NDArray[np.float64]
    """(n,) days since 1970; nan where no date is known."""
    words: NDArray[np.int64]
    """(n,) distinct terms of the full text."""
    lengths: Lengths
    per_term: PerTerm
    """The archive's; the same for all articles."""

    def __len__(self) -> int:
        return len(self.days)

    def take(self, rows: NDArray[np.int64]) -> Views:
        """Some of the articles, in this order."""
        by_row = (*PARTS, "vectors", "days", "words")
        return replace(self, **{name: getattr(self, name)[rows] for name in by_row}, lengths=self.lengths.take(rows))

    def narrowed(self, n_terms: int) -> Views:
        """The same over the first `n_terms` terms; what is cut off still counts in the lengths."""
        kept = {name: getattr(self, name)[:, :n_terms] for name in PARTS}
        return replace(self, **kept)

    def terms(self) -> NDArray[np.int32]:
        """(m,) rising: all terms that the articles hold, in any part."""
        return np.asarray(distinct(*(getattr(self, name).indices for name in PARTS)), np.int32)

    def over(self, terms: NDArray[np.integer]) -> Views:
        """The same over these terms alone, (m,), which are numbered as they come: all of `terms()` must be there."""
        number = np.empty(self.text.shape[1], np.int32)
        number[terms] = np.arange(len(terms), dtype=np.int32)

        def renumbered(part: sparse.csr_matrix) -> sparse.csr_matrix:
            return sparse.csr_matrix((part.data, number[part.indices], part.indptr), shape=(part.shape[0], len(terms)))

        kept = {name: renumbered(getattr(self, name)) for name in PARTS}
        return replace(self, **kept, per_term=PerTerm(*(field[terms] for field in self.per_term)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Named numbers of n pairs, each (n,) float32; nan where a piece of evidence cannot be had."""

    dense: NDArray[np.float32]
    """Cosine of the vectors above that of two random articles of the archive, in [0, 1]."""
    text: NDArray[np.float32]
    """TF-IDF cosine of the full texts, in [0, 1]."""
    lead: NDArray[np.float32]
    """TF-IDF cosine of titles and leads, in [0, 1]."""
    cross: NDArray[np.float32]
    """TF-IDF cosine of the title and lead of either with the full text of the other, the mean of both directions, in [0, 1]:
    whether what one article is about is spoken of in the other. A text shares words with many others by its length alone."""
    title: NDArray[np.float32]
    """TF-IDF cosine of the titles, in [0, 1]; nan where one has none."""
    burst: NDArray[np.float32]
    """TF-IDF cosine of the full texts, every term weighted by how its articles crowd together in time, in [0, 1]. What a
    story is told in comes and goes with it; what a column or a monthly report is told in comes again and again."""
    names: NDArray[np.float32]
    """TF-IDF cosine of the names in them, in [0, 1]; nan where one has none."""
    numbers: NDArray[np.float32]
    """TF-IDF cosine of the numbers in titles and leads, in [0, 1]; nan where one has none."""
    days_apart: NDArray[np.float32]
    """Days between the two; nan where a date is not known."""
    time: NDArray[np.float32]
    """Log of how much likelier the days apart are for one story than for two random articles of the archive: the log of
    `fade` over the background's. 0 where a date is not known: time then says nothing, for or against."""
    form: NDArray[np.float32]
    """How far two texts are one form filled in again, in [0, 1]: in full from a cosine of `FORM` on, and for two reasons, of
    which the stronger counts. They are a week apart or more and the terms they share come again and again (the log of
    `USUAL_CROWDING` over the mean crowding of these terms, if that is lower, over its largest value): a follow-up shares what
    only its story had, this month's figures share what every month's have. Or both have `SEVERAL` names and none in common:
    two match reports share words and no player. 0 where neither can be known."""
    names_differ: NDArray[np.float32]
    """1 where both have names and share none, 0 from a cosine of `DIFFERENT` on, where one has none, and in bare headlines."""
    numbers_differ: NDArray[np.float32]
    """The same of the numbers."""
    bare: NDArray[np.float32]
    """How far both are little more than a headline, in [0, 1]: 1 where the longer has at most `BARE` distinct terms, 0 from
    three times as many on. The headlines of one story share far fewer words than its texts."""
    words: NDArray[np.float32]
    """Distinct terms of the longer of the two texts."""
    usual_words: NDArray[np.float32]
    """Median of the distinct terms over the archive; the same for all pairs."""

    def __len__(self) -> int:
        return len(self.dense)

    def of_pair(self, number: int) -> dict[str, float | None]:
        """The numbers of one pair by name, rounded; None where a piece cannot be had."""
        values = {field.name: float(getattr(self, field.name)[number]) for field in fields(self)}
        return {name: None if np.isnan(value) else round(value, 4) for name, value in values.items()}


def crowding_of(text: sparse.csr_matrix, days: NDArray[np.float64], background: Background) -> NDArray[np.float32]:
    """(n_terms,) in [`LEAST_CROWDING`, 1]: how far the articles that hold a term crowd together in time.

    `text` (n, n_terms) and `days` (n,) are those of the whole archive. With c the mean of `fade` over the pairs of articles
    that hold the term and b that of the archive, it is ln(c / b) / ln(1 / b): 0 for a term that is spread like the archive,
    1 for one of a single moment. All 1 where no dates are known. (After the trajectories of He, Chang & Lim, 2007.)
    """
    if background.fade > ONE_MOMENT:
        return np.ones(text.shape[1], np.float32)
    dated = np.flatnonzero(~np.isnan(days))
    in_time = dated[np.argsort(days[dated], kind="stable")]
    if not np.array_equal(in_time, np.arange(len(days))):
        text = text[in_time]
    held = sparse.csr_matrix((np.ones(text.nnz, np.int8), text.indices, text.indptr), shape=text.shape).tocsc()
    days = days[in_time]
    crowding = np.empty(text.shape[1], np.float32)
    ends = np.append(np.flatnonzero(np.diff(held.indptr // MOST_ENTRIES)) + 1, text.shape[1])
    for start, end in itertools.pairwise([0, *distinct(ends).tolist()]):
        day = days[held.indices[held.indptr[start] : held.indptr[end]]]
        crowding[start:end] = _crowding(day, np.diff(held.indptr[start : end + 1]).astype(np.int64), background)
    return crowding


MOST_ENTRIES = 2_000_000
"""Terms of articles whose dates are looked at at once, about; bounds the memory."""


def crowding_of_terms(days: Sequence[NDArray[np.float64]], background: Background) -> NDArray[np.float32]:
    """(n_terms,) the same of some terms, each by the days of the articles that hold it, in any order, nan where unknown."""
    if background.fade > ONE_MOMENT:
        return np.ones(len(days), np.float32)
    dated = [np.sort(of_term)[: len(of_term) - int(np.count_nonzero(np.isnan(of_term)))] for of_term in days]  # nan comes last
    held = np.array([len(of_term) for of_term in dated], np.int64)
    return _crowding(np.concatenate([*dated, np.zeros(0)]), held, background)


DOUBT = 1.0
"""Pairs as spread as the archive's that every term is given beforehand. (1 to 10: the same within .2 points.)"""

ONE_MOMENT = 0.98
"""Mean of `fade` from which an archive is of one moment: within it nothing can crowd."""

MOST_DATES = 200
"""Articles by which a frequent term is judged, evenly chosen over its dates."""


def _crowding(day: NDArray[np.float64], held: NDArray[np.int64], background: Background) -> NDArray[np.float32]:
    """`crowding_of` of terms of which the first has the first `held[0]` days, rising, the second those that follow, …"""
    everywhere = background.fade
    faded, pairs = _faded_pairs(day, held)
    mean = (faded + DOUBT * everywhere) / (pairs + DOUBT)
    crowding = np.clip(np.log(mean / everywhere) / np.log(1 / everywhere), 0, 1)
    return np.asarray(LEAST_CROWDING + (1 - LEAST_CROWDING) * crowding, np.float32)


def _faded_pairs(day: NDArray[np.float64], held: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each term, the sum of `fade` over the pairs of dated articles that hold it, and the number of these pairs.

    The sum of exp(-|x - y| / t) over the pairs of sorted days needs one step a day: r[i] = (r[i-1] + 1) exp(-(x[i] - x[i-1]) / t)
    is the sum over all pairs that end at i. All terms take a step at once.
    """
    starts = np.cumsum(held) - held
    used = np.minimum(held, MOST_DATES)
    total = np.zeros(len(held))
    left = np.argsort(-used, kind="stable")[: np.count_nonzero(used > 1)]
    while len(left):
        longest = int(used[left[0]])
        terms, left = left[: MOST_AT_ONCE // longest], left[MOST_AT_ONCE // longest :]
        number = np.minimum(np.arange(longest), used[terms, None] - 1)
        days = day[starts[terms, None] + number * (held[terms, None] - 1) // (used[terms, None] - 1)]
        decay = np.exp(-np.diff(days, axis=1) / DAYS_TO_FADE) * (np.arange(1, longest) < used[terms, None])
        reach = np.zeros(len(terms))
        for step in range(longest - 1):
            reach = (reach + 1) * decay[:, step]
            total[terms] += reach
    pairs = used * (used - 1) / 2
    return TIMELESS * pairs + (1 - TIMELESS) * total, pairs


MOST_AT_ONCE = 1_000_000
"""Days of terms that take a step at once; bounds the memory."""


def views_of(
    counts: TermCounts,
    vocabulary: Vocabulary,
    n_articles: int,
    vectors: NDArray[np.float32],
    days: NDArray[np.float64],
    per_term: PerTerm,
) -> Views:
    """The views of some articles as an archive of `n_articles` articles with this vocabulary, which may know more terms than
    `per_term` tells of, sees them."""

    def view(part: sparse.csr_matrix) -> sparse.csr_matrix:
        return tf_idf(part, vocabulary.document_frequency, n_articles)

    text, lead = view(counts.text), view(counts.lead)
    names, n_names = _lengths(text, vocabulary.are_names)
    numbers, n_numbers = _lengths(lead, lambda terms: vocabulary.is_number()[terms])
    return Views(
        text=text,
        lead=lead,
        title=view(counts.title),
        vectors=vectors,
        days=days,
        words=np.asarray(np.diff(counts.text.indptr), np.int64),
        lengths=Lengths(_crowded_lengths(text, per_term.crowding), names, numbers, n_names, n_numbers),
        per_term=per_term,
    )


def evidence_of(
    left: Views, left_rows: NDArray[np.int64], right: Views, right_rows: NDArray[np.int64], background: Background
) -> Evidence:
    """The evidence on the pairs (left_rows[i], right_rows[i]); `background` is the archive's."""
    cosine = np.empty(len(left_rows), np.float32)
    for start in range(0, len(left_rows), BLOCK):
        part = slice(start, start + BLOCK)
        cosine[part] = np.einsum("ij,ij->i", left.vectors[left_rows[part]], right.vectors[right_rows[part]])

    pairs = pairing(left_rows, right_rows)

    per_term, one, two = left.per_term, left.lengths.take(left_rows), right.lengths.take(right_rows)
    weights = (per_term.crowding, per_term.crowding**2, per_term.names)
    text, crowded, twice_crowded, named = products(left.text, right.text, pairs, weights)
    lead, numbered = products(left.lead, right.lead, pairs, (per_term.numbers,))
    (title,) = products(left.title, right.title, pairs)
    (lead_in_text,) = products(left.lead, right.text, pairs)
    (text_in_lead,) = products(left.text, right.lead, pairs)
    title[(np.diff(left.title.indptr)[left_rows] == 0) | (np.diff(right.title.indptr)[right_rows] == 0)] = np.nan
    fewer = np.minimum(one.n_names, two.n_names)
    names = np.where(fewer > 0, _cosine(named, one.names * two.names), np.float32(np.nan))
    numbers = np.where(
        np.minimum(one.n_numbers, two.n_numbers) > 0, _cosine(numbered, one.numbers * two.numbers), np.float32(np.nan)
    )
    several = np.clip((fewer - 1) / (SEVERAL - 1), 0, 1).astype(np.float32)
    apart = np.abs(left.days[left_rows] - right.days[right_rows])
    longer = np.maximum(left.words[left_rows], right.words[right_rows])
    bare = np.clip((3 * BARE - longer) / (2 * BARE), 0, 1).astype(np.float32)
    names_differ = _differ(names, bare)
    knows_the_past = float(np.clip((NO_PAST - background.fade) / (NO_PAST - LONG_PAST), 0, 1))
    again = _comes_again(_ratio(crowded, text), apart) * np.float32(knows_the_past)
    return Evidence(
        dense=np.clip((cosine - background.cosine) / (1 - background.cosine), 0, 1),
        text=text,
        lead=lead,
        cross=np.asarray((lead_in_text + text_in_lead) / 2, np.float32),
        title=title,
        burst=_cosine(twice_crowded, one.burst * two.burst),
        names=names,
        numbers=numbers,
        days_apart=apart.astype(np.float32),
        time=np.nan_to_num(np.log(fade(apart) / background.fade), nan=0.0).astype(np.float32),
        form=np.clip(text / FORM, 0, 1) * np.maximum(again, names_differ * several),
        names_differ=names_differ,
        numbers_differ=_differ(numbers, bare),
        bare=bare,
        words=longer.astype(np.float32),
        usual_words=np.full(len(longer), background.words, np.float32),
    )


def _comes_again(shared_crowding: NDArray[np.float32], days_apart: NDArray[np.float64]) -> NDArray[np.float32]:
    far = np.nan_to_num(np.clip((days_apart - SOON) / (7 - SOON), 0, 1), nan=0.0)
    spread = np.clip(np.log(USUAL_CROWDING / (shared_crowding + LEAST_CROWDING)) / MOST_SPREAD, 0, 1)  # rounding may go beyond
    return np.asarray(far * spread, np.float32)


def _differ(cosine: NDArray[np.float32], bare: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((1 - bare) * np.nan_to_num(np.clip((DIFFERENT - cosine) / DIFFERENT, 0, 1), nan=0.0), np.float32)


def _crowded_lengths(text: sparse.csr_matrix, crowding: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) the lengths of the rows where each term weighs its crowding; terms that the archive lacks, the least."""
    lengths = [np.zeros(0)]
    for _, part in in_blocks(text):
        weights = np.full(part.nnz, LEAST_CROWDING, np.float32)  # of a million terms most stand in none of a few articles
        known = part.indices < len(crowding)
        weights[known] = crowding[part.indices[known]]
        rows = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
        lengths.append(np.sqrt(np.bincount(rows, (part.data * weights) ** 2, minlength=part.shape[0])))
    return np.concatenate(lengths).astype(np.float32)


def _ratio(part: NDArray[np.float32], whole: NDArray[np.float32]) -> NDArray[np.float32]:
    """0 where the whole is."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 1e-9)


def _cosine(product: NDArray[np.float32], lengths: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(_ratio(product, lengths), 0, 1)


def _lengths(
    view: sparse.csr_matrix, are_kept: Callable[[NDArray[np.int32]], NDArray[np.bool_]]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """((n,) the lengths of the rows where only some of the terms stand, (n,) how many do)."""
    lengths, numbers = [np.zeros(0)], [np.zeros(0, np.int64)]
    for _, part in in_blocks(view):
        rows = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr))
        kept = are_kept(part.indices)
        rows = rows[kept]
        lengths.append(np.sqrt(np.bincount(rows, part.data[kept].astype(np.float64) ** 2, minlength=part.shape[0])))
        numbers.append(np.bincount(rows, minlength=part.shape[0]))
    return np.concatenate(lengths).astype(np.float32), np.concatenate(numbers)
