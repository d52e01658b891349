"""Step 3 of 8: Content -> counts of terms. The lexical side: which words, names and numbers an article holds.

A term is a lower-cased word, or a name of several words ("kim jong un") found by its capitals. The vocabulary grows
with the archive and remembers how often a word is written with a capital inside a sentence: that tells names from
other words in any archive, without a list of names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import stop_words
from numpy.typing import NDArray
from scipy import sparse

from recommender.growing import Growing
from recommender.pipeline.content import Content

TOKEN = re.compile(r"[^\W_](?:[\w\-’']*\w)?|[.!?:\n“\"]")
"""A word (apostrophes and hyphens inside belong to it), or a mark after which a capital says nothing."""

LONGEST_WORD = 60
"""Characters by which words are told apart; what is longer is an address, a key or an accident. (Chosen, not measured.)"""

NAME = re.compile(
    rf"\b[A-Z][\w’'\-]{{0,{LONGEST_WORD}}}\w(?: (?:(?:of|de|al|bin|van|von|el|the) )?[A-Z][\w’'\-]{{0,{LONGEST_WORD}}}\w){{1,7}}"
)
"""Capitalised words in a row, as in `Kim Jong Un` or `Bank of England`."""

LONGEST_NAME = 4
"""Words of a name; of more in a row the last two are one, as in `Greek Prime Minister George Papandreou`."""

MAX_TERMS_OF_ARTICLE = 1500
"""Distinct terms kept of one article; the 99.9th percentile of three real archives is 994 to 1,219."""

LANGUAGE_SAMPLE = 2_000
"""Characters of a body that its language is told by."""

LANGUAGE_WORDS = 8
"""Words below which a text's language is not asked for."""

LANGUAGE_SHARE = 0.15
"""Share of stop words from which a text is of a language. (Chosen, not
measured.)"""

NAME_SHARE = 0.8
"""Share of a word's places inside sentences with a capital from which it counts as a name."""

STOP_WORDS = frozenset(
    """
    a about above after again against all also am among an and any are aren't around as at away back be became because
    been before being below between both but by came can can't cannot come could couldn't day days did didn't do does
    doesn't doing don't down during each even every few first for four from further get go had hadn't has hasn't have
    haven't having he he'd he'll he's her here hers herself him himself his how however i i'd i'll i'm i've if in
    including into is isn't it it's its itself just last later let like made make many may me might more most much
    must my myself new no nor not now of off on once one only or other our ours ourselves out over own per put said
    same say says see set several she she'd she'll she's should shouldn't since so some still such take than that
    that's the their theirs them themselves then there these they they're they've this those three through time to
    told too took two under until up upon us use used very was wasn't way we we're we've well went were weren't what
    when where whether which while who whom whose why will with within without won't would wouldn't year years yes yet
    you you're your yours yourself mr mrs ms monday tuesday wednesday thursday friday saturday sunday january february
    march april june july august september october november december
    """.split()  # noqa: SIM905 - a list would fill three screens
)
"""Words that never tell one story from another; English function words, the reporting verb, calendar words. Texts in
another language lose that language's own (the `stop-words` package)."""


class Vocabulary:
    """Every term seen, its id, and what the archive knows of it. Grows; an id is never given twice."""

    def __init__(
        self,
        terms: Iterable[str] = (),
        spellings: dict[int, str] | None = None,
        *,
        capitals: NDArray[np.int64] | None = None,
        smalls: NDArray[np.int64] | None = None,
        document_frequency: NDArray[np.int64] | None = None,
    ) -> None:
        """The three counts are of these terms, (n_terms,); 0 where they are not given."""
        self._terms = list(terms)
        self.ids: dict[str, int] = {term: number for number, term in enumerate(self._terms)}
        """Term -> id, ids 0, 1, 2, …"""
        self.spellings: dict[int, str] = {} if spellings is None else spellings
        """Id -> the usual spelling with a capital, for terms that have been seen with one."""
        none = np.zeros(0, np.int64)
        self._capitals = Growing(none if capitals is None else capitals)
        self._smalls = Growing(none if smalls is None else smalls)
        self._frequency = Growing(none if document_frequency is None else document_frequency)
        self._several = Growing(np.zeros(0, np.bool_))
        self._digit = Growing(np.zeros(0, np.bool_))
        self.make_room()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def capitals(self) -> NDArray[np.int64]:
        """(n_terms,) how often the term stood inside a sentence with a capital."""
        return self._capitals.values

    @property
    def smalls(self) -> NDArray[np.int64]:
        """(n_terms,) how often it stood without."""
        return self._smalls.values

    @property
    def document_frequency(self) -> NDArray[np.int64]:
        """(n_terms,) how many articles hold the term."""
        return self._frequency.values

    def id_of(self, term: str) -> int:
        """The id of a term; a new one for one that is not known."""
        known = self.ids.get(term)
        if known is None:
            known = self.ids[term] = len(self._terms)
            self._terms.append(term)
        return known

    def make_room(self) -> None:
        """Lengthen the counts to the terms that came since."""
        for counts in (self._capitals, self._smalls, self._frequency):
            counts.lengthen(len(self))
        came = self._terms[len(self._several) :]
        self._several.extend(np.fromiter((" " in term for term in came), np.bool_, len(came)))
        self._digit.extend(np.fromiter((term[0].isdigit() for term in came), np.bool_, len(came)))

    def scratch(self) -> Vocabulary:
        """A copy that may grow while this one stays as it is; the statistics are shared until then."""
        copy = Vocabulary.__new__(Vocabulary)
        copy._terms, copy.ids, copy.spellings = list(self._terms), dict(self.ids), self.spellings
        for name in ("_capitals", "_smalls", "_frequency", "_several", "_digit"):
            setattr(copy, name, Growing(getattr(self, name).values))
        return copy

    def learn(self, counts: TermCounts, reader: _Reader) -> None:
        """Let the statistics follow articles that came in."""
        np.add.at(self.document_frequency, counts.text.indices, 1)
        np.add.at(self.capitals, _joined(reader.capital_ids), 1)
        np.add.at(self.smalls, _joined(reader.small_ids), 1)
        for term, spelling in reader.usual_spellings().items():
            self.spellings.setdefault(term, spelling)

    def forget(self, counts: TermCounts) -> None:
        """Take articles out of the document frequencies again."""
        np.subtract.at(self.document_frequency, counts.text.indices, 1)

    def terms(self) -> list[str]:
        """The terms in the order of their ids; not to be changed."""
        return self._terms

    def is_several_words(self) -> NDArray[np.bool_]:
        """(n_terms,) which terms are names of several words."""
        return self._several.values

    def is_name(self) -> NDArray[np.bool_]:
        """(n_terms,) which terms are names, see `are_names`."""
        return self.are_names(np.arange(len(self)))

    def are_names(self, terms: NDArray[np.integer]) -> NDArray[np.bool_]:
        """(n,) which of n terms are names: of several words, or nearly always written with a capital inside a sentence."""
        capitals = self.capitals[terms]
        often = (capitals >= 1) & (capitals > NAME_SHARE * (capitals + self.smalls[terms]))
        return np.asarray(self.is_several_words()[terms] | often, np.bool_)

    def is_number(self) -> NDArray[np.bool_]:
        """(n_terms,) which terms begin with a digit."""
        return self._digit.values


@dataclass(frozen=True, slots=True)
class TermCounts:
    """How often each term stands in each article; rows are articles, columns the ids of a Vocabulary."""

    text: sparse.csr_matrix
    """(n, n_terms) float32: title, lead and body together."""
    lead: sparse.csr_matrix
    """(n, n_terms) float32: title and lead."""
    title: sparse.csr_matrix
    """(n, n_terms) float32: title alone."""

    def __len__(self) -> int:
        return int(self.text.shape[0])


def rows_of(counts: TermCounts, rows: NDArray[np.int64]) -> TermCounts:
    """The counts of some of the articles."""
    return TermCounts(counts.text[rows], counts.lead[rows], counts.title[rows])


def count_terms(contents: Iterable[Content], vocabulary: Vocabulary, *, learn: bool) -> TermCounts:
    """The counts of some articles.

    New terms get ids in the vocabulary. With `learn` its statistics follow too; for a draft, which must change nothing,
    count on a `scratch` copy without.
    """
    reader = _Reader(vocabulary, learn=learn)
    texts, leads, titles = _Rows(), _Rows(), _Rows()
    for content in contents:
        reader.language = other_language(f"{content.title} {content.text[:LANGUAGE_SAMPLE]}")
        title = reader.read(content.title)
        lead = reader.read(content.lead)
        rest = content.text[len(content.lead) :] if content.text.startswith(content.lead) else content.text
        body = reader.read(rest)
        titles.add([title])
        leads.add([title, lead])
        texts.add([title, lead, body])
    vocabulary.make_room()
    counts = TermCounts(*(rows.matrix(len(vocabulary)) for rows in (texts, leads, titles)))
    if learn:
        vocabulary.learn(counts, reader)
    return counts


class _Rows:
    """Collects one sparse row an article."""

    def __init__(self) -> None:
        self.indices: list[NDArray[np.int32]] = []
        self.counts: list[NDArray[np.float32]] = []

    def add(self, parts: list[NDArray[np.int32]]) -> None:
        terms, counts = np.unique(np.concatenate(parts), return_counts=True)
        if len(terms) > MAX_TERMS_OF_ARTICLE:
            keep = np.sort(np.argsort(-counts, kind="stable")[:MAX_TERMS_OF_ARTICLE])
            terms, counts = terms[keep], counts[keep]
        self.indices.append(terms)
        self.counts.append(counts.astype(np.float32))

    def matrix(self, n_terms: int) -> sparse.csr_matrix:
        if not self.indices:
            return sparse.csr_matrix((0, n_terms), dtype=np.float32)
        starts = np.concatenate([[0], np.cumsum([len(row) for row in self.indices])])
        return sparse.csr_matrix(
            (np.concatenate(self.counts), np.concatenate(self.indices), starts), shape=(len(self.indices), n_terms)
        )


class _Reader:
    """Reads texts into term ids, and counts capitals on the way.

    Each distinct spelling is looked at once; afterwards a token costs one dictionary look-up.
    """

    def __init__(self, vocabulary: Vocabulary, *, learn: bool) -> None:
        self.vocabulary = vocabulary
        self.learn = learn
        self.spellings: dict[str, int] = {}
        self.term_of: list[int] = []  # by spelling; -1 a stop word, -2 a mark
        self.capital: list[bool] = []
        self.names: dict[int, str] = {}
        self.language: str | None = None  # of the article that is being read, where it is not English
        self.capital_ids: list[NDArray[np.int32]] = []
        self.small_ids: list[NDArray[np.int32]] = []
        self.capital_codes: list[NDArray[np.int32]] = []

    def usual_spellings(self) -> dict[int, str]:
        """The most frequent spelling with a capital of each term read; names of several words as they stood first."""
        often = np.bincount(_joined(self.capital_codes), minlength=len(self.term_of))
        tokens = list(self.spellings)
        usual: dict[int, str] = dict(self.names)
        for code in np.flatnonzero(often)[np.argsort(-often[np.flatnonzero(often)], kind="stable")].tolist():
            usual.setdefault(self.term_of[code], _without_possessive(tokens[code]))
        return usual

    def read(self, text: str) -> NDArray[np.int32]:
        """The ids of the terms of a text, in order, names of several words at the end."""
        if not text:
            return np.zeros(0, np.int32)
        text = text.replace("\u200c", "").replace("\u200d", "")  # joiners, which some writers set and others leave out
        codes = self._codes(text)
        terms = np.array([self.term_of[code] for code in codes], np.int32)
        if self.language is not None:
            foreign = [self.vocabulary.ids.get(word, -1) for word in _stop_words(self.language)]
            terms[np.isin(terms, np.array(foreign))] = -1
        told = terms >= 0
        if is_title_case(text):
            return terms[told]
        if self.learn:
            inside = told & np.concatenate([[False], terms[:-1] != -2])
            capital = np.array([self.capital[code] for code in codes], np.bool_)
            self.capital_ids.append(terms[inside & capital])
            self.small_ids.append(terms[inside & ~capital])
            self.capital_codes.append(np.array(codes, np.int32)[inside & capital])
        return np.concatenate([terms[told], self._names(text)])

    def _codes(self, text: str) -> list[int]:
        spellings, term_of = self.spellings, self.term_of
        codes = []
        for token in TOKEN.findall(text):
            code = spellings.get(token)
            if code is None:
                code = spellings[token] = len(term_of)
                word = normalised(token)
                is_mark = not token[0].isalnum()
                term_of.append(-2 if is_mark else self._term(word) if is_told(word) else -1)
                self.capital.append(token[0].isupper())
            codes.append(code)
        return codes

    def _names(self, text: str) -> NDArray[np.int32]:
        found = []
        for name in names_in(text):
            term = self._term(name.lower().replace("’", "'"))
            found.append(term)
            self.names.setdefault(term, name)
        return np.array(found, np.int32)

    def _term(self, term: str) -> int:
        return self.vocabulary.id_of(term)


def other_language(text: str) -> str | None:
    """The language of a text by its stop words; None for English and where there is no telling.

    Each language has its own list: 'die' and 'war' are German stop words and English news.
    """
    words = [word.lower() for word in TOKEN.findall(text)]
    if len(words) < LANGUAGE_WORDS or sum(word in STOP_WORDS for word in words) >= LANGUAGE_SHARE * len(words):
        return None
    shares = {code: sum(word in _stop_words(code) for word in words) / len(words) for code in _languages()}
    best = max(shares, key=lambda code: shares[code])
    return best if shares[best] >= LANGUAGE_SHARE else None


@cache
def _languages() -> tuple[str, ...]:
    """Codes of the languages that have a list, English left out."""
    return tuple(code for code in sorted(stop_words.LANGUAGE_MAPPING) if code != "en")


@cache
def _stop_words(language: str) -> frozenset[str]:
    return frozenset(stop_words.get_stop_words(language))


def normalised(token: str) -> str:
    """A token as the vocabulary spells it: lower case, without a possessive."""
    word = token[:LONGEST_WORD].lower().replace("’", "'")
    return word[:-2] if word.endswith("'s") else word


def is_told(word: str) -> bool:
    """Whether a word may tell stories apart: no stop word, no single letter."""
    return len(word) > 1 and word not in STOP_WORDS


def is_title_case(text: str) -> bool:
    """Whether nearly every longer word has a capital, as in some headlines; capitals then say nothing."""
    if len(text) > 300:
        return False
    words = [w for w in TOKEN.findall(text) if len(w) > 3 and w[0].isalpha()]
    return len(words) > 2 and sum(w[0].isupper() for w in words) >= 0.8 * len(words)


def names_in(text: str) -> list[str]:
    """The names of several words in a text as they are written, each as often as it stands there."""
    names = []
    for found in NAME.findall(text):
        words = [_without_possessive(word) for word in found.split(" ")]
        while words and words[0].lower() in STOP_WORDS:
            words.pop(0)
        while words and words[-1].lower() in STOP_WORDS:
            words.pop()
        if len(words) > LONGEST_NAME:
            words = words[-2:]
        if len(words) > 1:
            names.append(" ".join(words))
    return names


def idf_of(document_frequency: NDArray[np.int64], n_articles: int) -> NDArray[np.float32]:
    """ln((N + 1) / (df + 1)) + 1, the smooth inverse document frequency of scikit-learn; at least 1.

    Against ln((N + 1) / (df + .5)) without the 1 it brings up to 2 points of nDCG@5 where stories are large.
    """
    return (np.log((n_articles + 1) / (document_frequency + 1)) + 1).astype(np.float32)


def damped(counts: sparse.csr_matrix, idf: NDArray[np.float32]) -> sparse.csr_matrix:
    """(1 + ln tf) * idf; of (n, n_terms) counts and (n_terms,) idf."""
    return weighed(counts, idf[counts.indices])


def weighed(counts: sparse.csr_matrix, idf: NDArray[np.float32]) -> sparse.csr_matrix:
    """The same with an idf for each of the counts that is stored, (counts.nnz,)."""
    values = ((1 + np.log(counts.data.astype(np.float32))) * idf).astype(np.float32)
    return sparse.csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)


def unit_rows(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """The rows at length 1; an empty row stays empty."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    lengths = np.sqrt(np.bincount(rows, matrix.data.astype(np.float64) ** 2, minlength=matrix.shape[0]))
    scaled = matrix.copy()
    scaled.data = (matrix.data / lengths[rows]).astype(np.float32)
    return scaled


def _without_possessive(token: str) -> str:
    return token[:-2] if token.endswith(("'s", "’s")) else token


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int32)
