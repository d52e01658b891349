"""Step 2 of 8: Article -> Content, plain text without the lines that the archive repeats.

The only module that imports selectolax.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from selectolax.lexbor import LexborHTMLParser, LexborNode

from recommender.pipeline.articles import Article

LEAD_REST = 150
"""Characters by which the lead may grow to end with a sentence."""

LEAD_WORDS = 60
"""Words of the lead: the first two or three sentences, in which a newspaper says who did what, where and when."""

MIN_STORIES = 5
"""Fewest distinct stories in which a line must stand to be boilerplate, however small the archive."""

MIN_SHARE = 0.001
"""The same as a share of the archive. On 8,863, 5,742 and 20,000 real articles, read by eye: of the 434 lines found 2 were
news of a story and some 20 the stock phrases of police reports; of the 65 more that half the share finds on the last, 9 were."""

LONG_LINE = 12
"""Words above which a line must stand in twice as many stories. Of the 9 news sentences that the plain limits found in two of
these sets 7 were longer; boilerplate of that length (terms of use, adverts) is mostly far above the limit."""

OWN_SHARE = 1 / 3
"""The part of an article's words that must be its own for it to count as a story: copies of one report, each with a word
changed, have next to nothing of their own. On 5,742 articles of one day it keeps 16 sentences of a report that nine papers
printed, where LONG_LINE is not there to do so; a half keeps 2 more."""

LABELLED_LINE = 20
"""Longest line, in words, whose label ('ALSO READ: ...') may stand for it; a longer one is a paragraph."""

MAX_COUNTED = 200_000
"""Articles that are counted at most, about 600 bytes each; of a larger archive an even sample is taken by hash."""

_BLOCK_NAMES = (
    "address|article|blockquote|body|br|center|dd|details|div|dl|dt|fieldset|figure|footer|h[1-6]|header|hr|html|li|main|ol|p|pre"
    "|section|summary|table|tbody|td|tfoot|th|thead|tr|ul"
)
_DROPPED_NAMES = (
    "script|style|noscript|template|iframe|svg|nav|form|button|figcaption|aside|head|object|audio|video|canvas|select|textarea"
)
_INLINE_NAMES = "abbr|a|big|b|cite|code|del|em|font|img|ins|i|kbd|label|mark|q|small|span|strike|strong|sub|sup|s|time|tt|u|wbr"
_BLOCK = re.compile(_BLOCK_NAMES)
_TAG = re.compile(
    rf"<!--|<!doctype|</?(?:{_BLOCK_NAMES}|{_DROPPED_NAMES}|{_INLINE_NAMES})(?:\s+[\w:@.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>]+))*\s*/?>",
    re.IGNORECASE,
)
_BLOCK_TAG = re.compile(rf"</?(?:{_BLOCK_NAMES})\b", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]")
_SENTENCE_END = re.compile(r"[.!?][”\"’')]* (?=[“\"‘(\[]?[^\W_a-z])")
_CLOSING = frozenset(".!?…”\"’')-–—")
_LABEL = re.compile(r"([^\W\d_][^\W\d]*(?: [^\W\d]+){0,3}) ?[:|](?=\s|$)")
_DASHED_LABEL = re.compile(r"([^\W\d_]+(?: [^\W\d_]+){1,3})(?: [-–—]+ ?|[–—]+ ?|(?<=[A-Z]{2})-)(?=[^\W\d_])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What of an article is compared."""

    title: str
    """One line."""
    lead: str
    """The beginning of `text`, about LEAD_WORDS words, up to the end of a sentence where one is near."""
    text: str
    """The body as plain text without boilerplate, a paragraph a line; empty where nothing is left."""


def plain_text(body: str) -> str:
    """The text of a body, HTML or plain, a paragraph a line; no blank lines, no invisible characters, NFC."""
    return "\n".join(_clean_lines(_without_markup(body)))


def plain_title(title: str) -> str:
    """The text of a title on one line."""
    return " ".join(_clean_lines(_without_markup(title)))


def _without_markup(text: str) -> str:
    if "<" in text and _TAG.search(text):
        return _text_of_html(text)
    if "&" in text and _ENTITY.search(text):
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
        if "</" in text and _TAG.search(text):  # a feed's body, escaped once more than it should be
            return _text_of_html(text)
    return text


def _text_of_html(body: str) -> str:
    tree = LexborHTMLParser(body)
    tree.strip_tags(_DROPPED_NAMES.split("|"))
    root = tree.root
    if root is None:
        return ""
    keep_lines = not _BLOCK_TAG.search(body)  # paragraphs by blank lines, as WordPress stores them
    parts: list[str] = []
    stack: list[LexborNode | str] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            parts.append(node)
        elif node.is_text_node:
            text = node.text_content or ""
            parts.append(text if keep_lines else re.sub(r"\s+", " ", text))
        elif not node.is_comment_node:
            if _BLOCK.fullmatch(node.tag or ""):
                parts.append("\n")
                stack.append("\n")
            stack.extend(_children(node))
    return "".join(parts)


def _children(node: LexborNode) -> list[LexborNode]:
    """The children of a node, last first."""
    children = []
    child = node.last_child
    while child is not None:
        children.append(child)
        child = child.prev
    return children


def _clean_lines(text: str) -> Iterator[str]:
    text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    for line in text.splitlines():
        if words := line.split():
            yield " ".join(words)


@dataclass(frozen=True, slots=True)
class Boilerplate:
    """The lines and sentences that an archive repeats."""

    keys: frozenset[int] = frozenset()
    """Hashes of lines, 64 bits."""

    def without(self, text: str) -> str:
        """The plain text without these lines and sentences."""
        if not self.keys:
            return text
        kept = []
        for line, labels in _labelled_lines(text):
            if self._has(line, labels):
                continue
            sentences = split_sentences(line)
            if len(sentences) > 1:
                sentences = [one for one in sentences if not self._has(one, _labels_of_sentence(one))]
            if sentences:
                kept.append(" ".join(sentences))
        return "\n".join(kept)

    def _has(self, unit: str, labels: list[int]) -> bool:
        if unit[-1] in "-–—" and unit[0].isalnum():  # a dateline; the place is news, however often it is named
            return False
        return line_key(unit) in self.keys or not self.keys.isdisjoint(labels)

    def to_bytes(self) -> bytes:
        """The same bytes for the same lines; `from_bytes` reads them."""
        return np.array(sorted(self.keys), dtype="<u8").tobytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> Boilerplate:
        """What `to_bytes` has written."""
        return cls(frozenset(np.frombuffer(state, dtype="<u8").tolist()))


NO_BOILERPLATE = Boilerplate()
"""For an archive that has not been counted."""


class BoilerplateCounter:
    """Counts in how many distinct stories each line stands; the order of the articles does not matter."""

    def __init__(self, max_counted: int = MAX_COUNTED) -> None:
        self._max_counted = max_counted
        self._stride = 1
        self._counted: list[tuple[int, _Units]] = []

    def add(self, text: str) -> None:
        """Count the plain text of one article."""
        rank = _hash(text.encode())
        if not text or rank % self._stride:
            return
        self._counted.append((rank, _units_of(text)))
        while len(self._counted) > self._max_counted:
            self._stride *= 2
            self._counted = [one for one in self._counted if one[0] % self._stride == 0]

    def find(self) -> Boilerplate:
        """The lines that enough distinct stories hold."""
        return Boilerplate(_repeated([units for _, units in self._counted]))


class _Units(NamedTuple):
    """The lines, sentences and labels of one article, each once."""

    keys: NDArray[np.uint64]  # (n,)
    words: NDArray[np.int32]  # (n,); negative where other units of the article hold the same words


def content_of(article: Article, boilerplate: Boilerplate = NO_BOILERPLATE) -> Content:
    """What of the article is compared; the text is empty where all of it is boilerplate."""
    return without_boilerplate(plain_title(article.title), plain_text(article.body), boilerplate)


def without_boilerplate(title: str, text: str, boilerplate: Boilerplate) -> Content:
    """What is compared of a plain title and a plain text."""
    text = boilerplate.without(text)
    return Content(title=title, lead=_lead_of(text), text=text)


def content_hash(article: Article) -> bytes:
    """16 bytes that change if and only if a field of the article does; one moment in two time zones is one value."""
    moments = [moment and moment.astimezone(UTC).isoformat() for moment in (article.published, article.updated)]
    texts = [article.id, article.title, article.body, article.url, article.section, article.language, article.image]
    canonical = json.dumps([texts, moments, article.authors, article.tags], separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=16).digest()


def split_sentences(line: str) -> list[str]:
    """The sentences of a line of text, joined by one blank they are the line; a bracketed note at its end is one of them.

    None is shorter than three words, and none ends in an abbreviation: a full stop ends a sentence only after a word of
    four letters or more, a bracket or a quote.
    """
    body, note = line, ""
    if line[-1:] == ")" and (opening := line.rfind(" (")) > 0 and line.count(" ", opening + 1) >= 2:
        body, note = line[:opening], line[opening + 1 :]
    sentences: list[str] = []
    start = 0
    last_two = body.rfind(" ", 0, max(body.rfind(" "), 0))  # to count those behind each end took 20 s for a line of 1 MB
    for end in _SENTENCE_END.finditer(body):
        at = end.start()
        closed = end.end() - at > 2 or body[at] != "." or body[at - 1] == ")" or body[max(at - 4, 0) : at].isalnum()
        if closed and end.end() <= last_two and body.count(" ", start, end.end()) >= 3:
            sentences.append(body[start : end.end() - 1])
            start = end.end()
    sentences.append(body[start:])
    return [*sentences, note] if note else sentences


def line_key(line: str) -> int:
    """64 bits that lines share which differ only in case and digits."""
    return _hash(line.casefold().encode().translate(None, b"0123456789"))


def _hash(text: bytes) -> int:
    return int.from_bytes(blake2b(text, digest_size=8).digest())


def _labelled_lines(text: str) -> Iterator[tuple[str, list[int]]]:
    """Each line of a text with the keys of its labels: what stays the same where the rest of the line varies.

    'ALSO READ: a headline', 'Read more | a headline' go by the words in front; what ends as a sentence does is a line of
    speech or of news, and the first line may open with the place. A last line that is no sentence goes by its first two
    words ('Reporting by ...'), as a sentence in brackets does.
    """
    lines = text.split("\n") if text else []
    for number, line in enumerate(lines):
        labels = _labels_of_sentence(line)
        if number and line[-1] not in _CLOSING and line.count(" ") < LABELLED_LINE:
            if label := _LABEL.match(line) or _DASHED_LABEL.match(line):
                labels.append(_hash(f"label\n{label[1].casefold()}".encode()))
            if number == len(lines) - 1:
                labels += _first_words_key("end", line)
        yield line, labels


def _labels_of_sentence(sentence: str) -> list[int]:
    return _first_words_key("note", sentence[1:]) if sentence[0] == "(" and sentence[-1] == ")" else []


def _first_words_key(kind: str, text: str) -> list[int]:
    first, _, rest = text.partition(" ")
    second, _, third = rest.partition(" ")
    return [_hash(f"{kind}\n{first} {second}".casefold().encode())] if third and (first + second).isalpha() else []


def _units_of(text: str) -> _Units:
    units: dict[int, int] = {}
    for line, labels in _labelled_lines(text):
        sentences = split_sentences(line)
        if len(sentences) > 1:
            units.setdefault(line_key(line), -line.count(" ") - 1)
        for sentence in sentences:
            units[line_key(sentence)] = sentence.count(" ") + 1
            labels += _labels_of_sentence(sentence)
        for label in labels:
            units[label] = -1
    return _Units(np.fromiter(units, np.uint64, len(units)), np.fromiter(units.values(), np.int32, len(units)))


def _repeated(articles: list[_Units]) -> frozenset[int]:
    """The keys that stand in enough distinct stories; two articles whose longest own lines are the same are one story."""
    if len(articles) < MIN_STORIES:
        return frozenset()
    words = np.concatenate([units.words for units in articles])
    keys, unit = np.unique(np.concatenate([units.keys for units in articles]), return_inverse=True)
    article = np.repeat(np.arange(len(articles)), [len(units.keys) for units in articles])
    needed = np.full(len(keys), max(MIN_STORIES, MIN_SHARE * len(articles)))
    needed[unit[np.abs(words) > LONG_LINE]] *= 2
    frequent = (np.bincount(unit) >= needed)[unit]

    own = np.where(frequent, 0, np.maximum(words, 0))
    starts = np.flatnonzero(np.diff(article, prepend=-1))
    vouches = np.add.reduceat(own, starts) >= OWN_SHARE * np.add.reduceat(np.maximum(words, 0), starts)
    longest_own = np.maximum.reduceat(own.astype(np.int64) << 40 | unit, starts) & (1 << 40) - 1

    counted = frequent & vouches[article]
    stories = np.unique(np.stack([unit[counted], longest_own[article[counted]]]), axis=1)
    return frozenset(keys[np.bincount(stories[0], minlength=len(keys)) >= needed].tolist())


def _lead_of(text: str) -> str:
    words = text.split(maxsplit=LEAD_WORDS)
    if len(words) <= LEAD_WORDS:
        return text
    end = len(text) - len(words[LEAD_WORDS])
    stop = re.search(r"\n|[.!?][”\"’')]*(?=\s)", text[end - 2 : end + LEAD_REST])
    return text[: end - 2 + stop.end() if stop else end].rstrip()
