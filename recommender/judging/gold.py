"""A site's own truth: a file -> story labels, judged pairs or graded lists.

An error names the line of the bad row.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, ClassVar

from recommender.errors import UnreadableSourceError
from recommender.pipeline.articles import field_named
from recommender.pipeline.formats import FORMATS, Row, clear_errors, opened, rows_of_stream, text_lines, unpacked
from recommender.pipeline.reading import checked_rows
from recommender.reports import GoldForm

GRADES = (0, 1, 2)
"""Grades of a judged pair: not related, related, of one running story."""

LIST_GRADES = (0, 1, 2, 3)
"""Grades of a listed article: does not belong, welcome background, same story, same text again."""

_GRADES_OF_PAIRS = "0 (not related), 1 (related) or 2 (of one running story)"
_GRADES_OF_LISTS = "0 (does not belong), 1 (background), 2 (same story) or 3 (same text again)"
_LABEL = "name the columns id, story (and topic), or one, other, grade, or query, candidate, grade"
_PAIRS = (("one", "other"), ("a", "b"))
_LIST = ("query", "candidate", "grade")
_BOM = b"\xef\xbb\xbf"
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLabels:
    """The true story of some articles; all fields are of one length, in the order of the file."""

    ids: tuple[str, ...]
    """Each once."""
    stories: tuple[str, ...]
    """Empty where an article stands alone."""
    topics: tuple[str, ...]
    """The wider subject, over several stories; empty where none is given."""
    form: ClassVar[GoldForm] = "story-labels"

    def told(self) -> str:
        """What was read, in a few words."""
        sizes = Counter(filter(None, self.stories))
        several = sum(size > 1 for size in sizes.values())
        topics = len(set(filter(None, self.topics)))
        more = f", {topics:,} topics" if topics else ""
        return f"story labels: {len(self.ids):,} articles, {several:,} stories of two or more{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPairs:
    """How some pairs of articles stand to each other; all fields are of one length, in the order of the file."""

    pairs: tuple[tuple[str, str], ...]
    """Each once, whichever article comes first."""
    grades: tuple[int, ...]
    """One of GRADES."""
    form: ClassVar[GoldForm] = "judged-pairs"

    @property
    def ids(self) -> tuple[str, ...]:
        """Every article of the pairs once."""
        return tuple(dict.fromkeys(article for pair in self.pairs for article in pair))

    def told(self) -> str:
        """What was read, in a few words."""
        of = Counter(self.grades)
        graded = ", ".join(f"{of[grade]:,} of grade {grade}" for grade in reversed(GRADES))
        return f"judged pairs: {len(self.pairs):,} pairs of {len(self.ids):,} articles ({graded})"


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedLists:
    """Some articles (queries), each with graded candidates for its list."""

    grades: Mapping[str, Mapping[str, int]]
    """Query id -> candidate id -> one of LIST_GRADES, in the order of the file; one or more each."""
    form: ClassVar[GoldForm] = "graded-lists"

    @property
    def ids(self) -> tuple[str, ...]:
        """Every query and candidate once, in the order of the file."""
        named = (article for query, of in self.grades.items() for article in (query, *of))
        return tuple(dict.fromkeys(named))

    def told(self) -> str:
        """What was read, in a few words."""
        count = Counter(grade for of in self.grades.values() for grade in of.values())
        graded = ", ".join(f"{count[grade]:,} of grade {grade}" for grade in reversed(LIST_GRADES))
        judgments, queries = count.total(), len(self.grades)
        return f"graded lists: {judgments:,} judgments of {queries:,} queries ({graded})"

    def to_pairs(self) -> JudgedPairs:
        """The judgments as pairs, with grade 3 as 2.

        Two articles that are candidates of each other are one pair, with the lower of their grades.
        """
        found: dict[tuple[str, str], int] = {}
        for query, of in self.grades.items():
            for candidate, grade in of.items():
                pair = min(query, candidate), max(query, candidate)
                found[pair] = min(found.get(pair, 2), grade)
        return JudgedPairs(pairs=tuple(found), grades=tuple(found.values()))


StoriesOrPairs = StoryLabels | JudgedPairs
Gold = StoriesOrPairs | GradedLists


def read_gold(source: str, *, format: str | None = None) -> Gold:
    """The truth that a file holds, its form by its columns; `-` is stdin, gzip is seen by its first bytes.

    UnreadableSourceError, with the file and the line, where a row fits no form, is incomplete, or
    contradicts another.
    """
    shown = "stdin" if source == "-" else source
    rows = ((place, _plain(row)) for place, row in checked_rows(_rows(source, shown, format), shown))
    first = next(rows, None)
    if first is None:
        raise UnreadableSourceError(shown, "it holds no rows", _LABEL)
    columns = first[1].keys()
    if {"id", "story"} <= columns:
        return _labels(_again(first, rows))
    for pair in _PAIRS:
        if {*pair, "grade"} <= columns:
            return _judgments(_again(first, rows), pair)
    if columns >= set(_LIST):
        return _lists(_again(first, rows))
    named = ", ".join(sorted(columns))[:200]
    reason = f"its columns are not those of story labels, judged pairs or graded lists ({named})"
    raise UnreadableSourceError(shown, reason, _LABEL)


_Row = tuple[str, dict[str, str]]


def _rows(source: str, shown: str, format: str | None) -> Iterator[Row]:
    """Rows of a table or JSON with named fields, or of graded lists without a header."""
    kind = format and FORMATS[format.lower()]
    with clear_errors(shown), opened(source) as raw:
        head, stream, _ = unpacked(raw)
        if kind in (None, "csv") and _lacks_a_header(head):
            yield from _rows_without_header(stream, shown)
        else:
            yield from rows_of_stream(stream, source, shown, kind, None)


def _lacks_a_header(head: bytes) -> bool:
    """Whether the first line is tab-separated and has a number as a cell: no column is named so."""
    line, _, _ = head.removeprefix(_BOM).lstrip(b"\r\n").partition(b"\n")
    if b"\t" not in line or b"\0" in line or line[:1] in (b"{", b"["):
        return False
    return any(_NUMBER.fullmatch(cell.strip()) for cell in line.split(b"\t"))


def _rows_without_header(stream: IO[bytes], shown: str) -> Iterator[Row]:
    for number, line in enumerate(text_lines(stream, shown), 1):
        cells = line.removeprefix("\ufeff").rstrip("\r\n").split("\t")
        if len(cells) == len(_LIST):
            yield Row(f"line {number}", dict(zip(_LIST, cells, strict=True)), "")
        elif any(map(str.strip, cells)):
            columns = "1 column" if len(cells) == 1 else f"{len(cells)} columns"
            fault = f"it has {columns}, a graded list without a header has {', '.join(_LIST)}"
            yield Row(f"line {number}", None, fault)


def _again(first: _Row, rest: Iterator[_Row]) -> Iterator[_Row]:
    yield first
    yield from rest


def _plain(row: Mapping[str, object]) -> dict[str, str]:
    """The values of a row as text by bare names; another name of an id is one, unless there is an `id`."""
    plain = {str(name).strip().lower(): _text(value) for name, value in row.items()}
    other = next((name for name in plain if field_named(name) == "id"), "id")
    return {"id": plain[other], **plain} if other in plain else plain


def _text(value: object) -> str:
    if value is None:
        return ""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole and isinstance(value, float) else value).strip()


def _needed(row: dict[str, str], name: str, place: str) -> str:
    if not row.get(name):
        raise UnreadableSourceError(place, f"it has no {name}", "mend the row or take it out")
    return row[name]


def _labels(rows: Iterator[_Row]) -> StoryLabels:
    seen: dict[str, str] = {}
    stories, topics = [], []
    for place, row in rows:
        article = _needed(row, "id", place)
        if article in seen:
            raise UnreadableSourceError(place, f"{article[:80]!r} has its label already ({seen[article]})", "keep one of the two")
        if "story" not in row:
            raise UnreadableSourceError(place, "it has no story", "leave the story empty where an article stands alone")
        seen[article] = place.rpartition(", ")[2]
        stories.append(row["story"])
        topics.append(row.get("topic", ""))
    return StoryLabels(ids=tuple(seen), stories=tuple(stories), topics=tuple(topics))


def _judgments(rows: Iterator[_Row], names: tuple[str, str]) -> JudgedPairs:
    seen: dict[frozenset[str], tuple[int, str]] = {}
    pairs: list[tuple[str, str]] = []
    for place, row in rows:
        one, other = (_needed(row, name, place) for name in names)
        grade = _grade(_needed(row, "grade", place), place, GRADES, _GRADES_OF_PAIRS)
        if one == other:
            raise UnreadableSourceError(place, f"{one[:80]!r} is paired with itself", "take the row out")
        known, where = seen.setdefault(frozenset((one, other)), (grade, place.rpartition(", ")[2]))
        if known != grade:
            reason = f"the pair {one[:80]!r}, {other[:80]!r} has grade {known} already ({where})"
            raise UnreadableSourceError(place, reason, "keep one of the two")
        if len(seen) > len(pairs):
            pairs.append((one, other))
    return JudgedPairs(pairs=tuple(pairs), grades=tuple(grade for grade, _ in seen.values()))


def _lists(rows: Iterator[_Row]) -> GradedLists:
    grades: dict[str, dict[str, int]] = {}
    places: dict[tuple[str, str], str] = {}
    for place, row in rows:
        query, candidate = _needed(row, "query", place), _needed(row, "candidate", place)
        grade = _grade(_needed(row, "grade", place), place, LIST_GRADES, _GRADES_OF_LISTS)
        if query == candidate:
            raise UnreadableSourceError(place, f"{query[:80]!r} is a candidate of itself", "take the row out")
        where = places.setdefault((query, candidate), place.rpartition(", ")[2])
        known = grades.setdefault(query, {}).setdefault(candidate, grade)
        if known != grade:
            reason = f"{candidate[:80]!r} has grade {known} for {query[:80]!r} already ({where})"
            raise UnreadableSourceError(place, reason, "keep one of the two")
    return GradedLists(grades=grades)


def _grade(text: str, place: str, allowed: tuple[int, ...], remedy: str) -> int:
    try:
        grade = float(text)
    except ValueError:
        grade = -1
    if grade not in allowed:
        raise UnreadableSourceError(place, f"its grade is {text[:40]!r}", f"give {remedy}")
    return int(grade)
