"""Step 3 of 8: Content -> counts of terms. The lexical side: which words, names and numbers an article holds.

A term is a lower-cased word, or a name of several words ("kim jong un") found by its capitals.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from functools import cache

import numpy as np
import stop_words
from numpy.typing import NDArray
from scipy import sparse

from recommender.growing import Growing
from recommender.pipeline.content import Content
from recommender.pipeline.terms import TermCounts, Vocabulary

TOKEN = re.compile(r"[^\W_]\w*(?:[\-’']+\w+)*|[.!?:\n“\"]")
"""A word (apostrophes and hyphens inside belong to it), or a mark after which a capital says nothing."""

LONGEST_WORD = 60
"""Characters by which words are told apart; what is longer is an address, a key or an accident. (Chosen, not measured.)"""

_CAPITAL = "".join(letter for letter in map(chr, (*range(0x530), *range(0x1E00, 0x2000))) if letter.isupper())
"""The capitals of Latin, Greek and Cyrillic."""

NAME = re.compile(
    rf"\b[{_CAPITAL}][\w’'\-]{{0,{LONGEST_WORD}}}\w"
    rf"(?: (?:(?:of|de|al|bin|van|von|el|the) )?[{_CAPITAL}][\w’'\-]{{0,{LONGEST_WORD}}}\w){{1,7}}"
)
"""Capitalised words in a row, as in `Kim Jong Un`, `Bank of England` or `Élisabeth Borne`."""

LONGEST_NAME = 4
"""Words of a name; of more in a row the last two are one, as in `Greek Prime Minister George Papandreou`."""

MAX_TERMS_OF_ARTICLE = 1500
"""Distinct terms kept of one article; the 99.9th percentile of three real archives is 994 to 1,219."""

LANGUAGE_SAMPLE = 400
"""Words and marks at the beginning of an article that its language is told by."""

LANGUAGE_WORDS = 8
"""Words below which a text's language is not asked for."""

LANGUAGE_SHARE = 0.15
"""Share of stop words from which a text is of a language. (Chosen, not measured.)"""

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


def count_terms(contents: Iterable[Content], vocabulary: Vocabulary, *, learn: bool) -> TermCounts:
    """The counts of some articles.

    New terms get ids in the vocabulary. With `learn` its statistics follow too; for a draft, which must change nothing,
    count on a `scratch` copy without.
    """
    reader = _Reader(vocabulary)
    blocks = [reader.read(block) for block in _blocks(contents)]
    vocabulary.make_room()
    parts = [[rows[part] for rows in blocks] for part in (BODY, LEAD, TITLE)]
    counts = TermCounts(*(_matrix(rows, len(vocabulary)) for rows in parts))
    if learn:
        vocabulary.learn(counts, reader.capitals.values, reader.smalls.values, reader.usual_spellings())
    return counts


BLOCK = 200
"""Articles that are read at once."""

MOST_TIMES = 65_535
"""How often a term is counted in an article."""

TITLE, LEAD, BODY = range(3)
"""Parts of an article; the counts of a part hold those before it."""

STOP_WORD, MARK = -1, -2
"""What a token is that is no term."""

_Rows = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.uint16]]
"""(terms of each row, the terms of one row after another's, how often each stands there)."""


def _blocks(contents: Iterable[Content]) -> Iterator[list[Content]]:
    left = iter(contents)
    while block := list(itertools.islice(left, BLOCK)):
        yield block


def _matrix(blocks: list[_Rows], n_terms: int) -> sparse.csr_matrix:
    lengths = np.concatenate([np.zeros(0, np.int64), *(rows[0] for rows in blocks)])
    terms = _joined([rows[1] for rows in blocks])
    counts = np.concatenate([np.zeros(0, np.uint16), *(rows[2] for rows in blocks)])
    starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return sparse.csr_matrix((counts, terms, starts), shape=(len(lengths), n_terms))


class _Spellings(dict[str, int]):
    """Every distinct token read -> its code, 0, 1, 2, …; each is looked at once, afterwards it costs a look-up."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._term = Growing(np.zeros(0, np.int32))
        self._capital = Growing(np.zeros(0, np.bool_))
        self._english = Growing(np.zeros(0, np.bool_))
        self._since: list[tuple[int, bool, bool]] = []

    def __missing__(self, token: str) -> int:
        code = self[token] = len(self)
        term = MARK
        if token[0].isalnum():
            word = normalised(token)
            term = self._vocabulary.id_of(word) if is_told(word) else STOP_WORD
        self._since.append((term, token[0].isupper(), token.lower() in STOP_WORDS))
        return code

    def known(self) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.bool_]]:
        """By code, (n,) each: the term (or what else it is), whether it begins with a capital, whether it is an English stop
        word."""
        if self._since:
            terms, capitals, english = zip(*self._since, strict=True)
            self._term.extend(np.array(terms))
            self._capital.extend(np.array(capitals))
            self._english.extend(np.array(english))
            self._since = []
        return self._term.values, self._capital.values, self._english.values


class _Reader:
    """Reads texts into term ids, and keeps which stood with a capital."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.spellings = _Spellings(vocabulary)
        self.names: dict[int, str] = {}
        self.capitals = Growing(np.zeros(0, np.int64))
        """By term, how often it stood inside a sentence with a capital."""
        self.smalls = Growing(np.zeros(0, np.int64))
        self.capital_codes = Growing(np.zeros(0, np.int64))

    def usual_spellings(self) -> dict[int, str]:
        """The most frequent spelling with a capital of each term read; names of several words as they stood first."""
        term_of = self.spellings.known()[0]
        often = self.capital_codes.values
        tokens = list(self.spellings)
        usual: dict[int, str] = dict(self.names)
        seen = np.flatnonzero(often)
        for code in seen[np.argsort(-often[seen], kind="stable")].tolist():
            usual.setdefault(int(term_of[code]), _without_possessive(tokens[code]))
        return usual

    def read(self, contents: list[Content]) -> tuple[_Rows, _Rows, _Rows]:
        """The counts of title; title and lead; title, lead and body of some articles."""
        codes: list[int] = []
        lengths, headlines = [], []
        names: list[int] = []
        names_of: list[int] = []
        for number, content in enumerate(contents):
            for part, text in enumerate(_parts(content)):
                before = len(codes)
                codes.extend(map(self.spellings.__getitem__, TOKEN.findall(text)))
                lengths.append(len(codes) - before)
                headlines.append(is_title_case(text))
                if not headlines[-1]:
                    found = self._names(text)
                    names += found
                    names_of += [3 * number + part] * len(found)
        of = np.repeat(np.arange(3 * len(contents)), lengths)
        told = self._told(np.array(codes, np.int32), of, np.array(headlines, np.bool_), contents)
        terms, of = np.concatenate([told[0], np.array(names, np.int32)]), np.concatenate([told[1], np.array(names_of, np.int64)])
        title, lead, body = (_counted(terms[of % 3 <= part], of[of % 3 <= part] // 3, len(contents)) for part in range(3))
        return title, lead, body

    def _told(
        self, codes: NDArray[np.int32], of: NDArray[np.int64], headlines: NDArray[np.bool_], contents: list[Content]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """(terms, the text that each stands in) of tokens, (n,), of numbered texts; those with a capital are kept."""
        term_of, capital_of, english_of = self.spellings.known()
        terms = term_of[codes]
        self._leave_out(terms, of, english_of[codes], contents)
        told = terms >= 0
        inside = told & ~headlines[of]
        inside[:1] = False
        inside[1:] &= (terms[:-1] != MARK) & (of[1:] == of[:-1])
        capital = inside & capital_of[codes]
        _count(self.capitals, terms[capital], len(self.vocabulary))
        _count(self.smalls, terms[inside & ~capital], len(self.vocabulary))
        _count(self.capital_codes, codes[capital], len(term_of))
        return terms[told], of[told]

    def _leave_out(
        self, terms: NDArray[np.int32], of: NDArray[np.int64], english: NDArray[np.bool_], contents: list[Content]
    ) -> None:
        """Stop words of the language that each article is written in."""
        starts = np.searchsorted(of, 3 * np.arange(len(contents) + 1))
        here = np.arange(len(of)) - starts[of // 3] < LANGUAGE_SAMPLE
        words = np.bincount(of[here] // 3, minlength=len(contents))
        stops = np.bincount(of[here & english] // 3, minlength=len(contents))
        for number in np.flatnonzero((words >= LANGUAGE_WORDS) & (stops < LANGUAGE_SHARE * words)).tolist():
            content = contents[number]
            language = language_of(TOKEN.findall(" ".join(_parts(content)))[:LANGUAGE_SAMPLE])
            if language is not None:
                foreign = [self.vocabulary.ids.get(word, STOP_WORD) for word in _stop_words(language)]
                article = slice(starts[number], starts[number + 1])
                terms[article][np.isin(terms[article], foreign)] = STOP_WORD

    def _names(self, text: str) -> list[int]:
        found = []
        for name in names_in(text):
            term = self.vocabulary.id_of(name.lower().replace("’", "'"))
            found.append(term)
            self.names.setdefault(term, name)
        return found


def _count(numbers: Growing[np.int64], seen: NDArray[np.int32], length: int) -> None:
    numbers.lengthen(length)
    np.add.at(numbers.values, seen, 1)


def _parts(content: Content) -> tuple[str, str, str]:
    """Title, lead, and what follows the lead, without joiners, which some writers set and others leave out."""
    text, lead = content.text, content.lead
    title, lead, rest = content.title, lead, text[len(lead) :] if text.startswith(lead) else text
    if title.isascii() and text.isascii() and lead.isascii():
        return title, lead, rest
    return _unjoined(title), _unjoined(lead), _unjoined(rest)


def _unjoined(text: str) -> str:
    return text.replace("\u200c", "").replace("\u200d", "")


def _counted(terms: NDArray[np.int32], of: NDArray[np.int64], n_rows: int) -> _Rows:
    """How often each term stands in each row; `terms` and the row `of` each are (n,)."""
    codes, counts = np.unique(of << 32 | terms, return_counts=True)
    rows = codes >> 32
    lengths = np.bincount(rows, minlength=n_rows)
    if len(lengths) and lengths.max() > MAX_TERMS_OF_ARTICLE:
        order = np.lexsort((-counts, rows))
        starts = np.cumsum(lengths) - lengths
        kept = np.sort(order[np.arange(len(order)) - starts[rows[order]] < MAX_TERMS_OF_ARTICLE])
        codes, counts, lengths = codes[kept], counts[kept], np.minimum(lengths, MAX_TERMS_OF_ARTICLE)
    return lengths, (codes & 0xFFFFFFFF).astype(np.int32), np.minimum(counts, MOST_TIMES).astype(np.uint16)


def language_of(tokens: list[str]) -> str | None:
    """The language of a text that is not English by its stop words; None where there is no telling.

    Each language has its own list: 'die' and 'war' are German stop words and English news.
    """
    words = [word.lower() for word in tokens]
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


def _without_possessive(token: str) -> str:
    return token[:-2] if token.endswith(("'s", "’s")) else token


def _joined(parts: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int32)
