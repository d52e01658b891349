"""A site's own truth: a file -> story labels of articles, or judged pairs of articles. What is wrong is refused by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from recommender.errors import UnreadableSourceError
from recommender.pipeline.articles import field_named
from recommender.pipeline.reading import read_rows

GRADES = (0, 1, 2)
"""Not related, related, of one running story."""

_LABEL = "give it `id` and `story` (and `topic`), or `one`, `other` and `grade`"
_PAIRS = (("one", "other"), ("a", "b"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLabels:
    """The true story of some articles; all fields are of one length, in the order of the file."""

    ids: tuple[str, ...]
    """Each once."""
    stories: tuple[str, ...]
    """Empty where an article stands alone."""
    topics: tuple[str, ...]
    """The wider subject, over several stories; empty where none is given."""

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

    @property
    def ids(self) -> tuple[str, ...]:
        """Every article of the pairs once."""
        return tuple(dict.fromkeys(article for pair in self.pairs for article in pair))

    def told(self) -> str:
        """What was read, in a few words."""
        of = Counter(self.grades)
        graded = ", ".join(f"{of[grade]:,} of grade {grade}" for grade in reversed(GRADES))
        return f"judged pairs: {len(self.pairs):,} pairs of {len(self.ids):,} articles ({graded})"


Gold = StoryLabels | JudgedPairs


def read_gold(source: str, *, format: str | None = None) -> Gold:
    """The truth that a file holds, its form by its columns; `-` is stdin, gzip is seen by its first bytes.

    UnreadableSourceError, with the file and the line, for whatever is neither form, incomplete, or says two things.
    """
    shown = "stdin" if source == "-" else source
    rows = ((place, _plain(row)) for place, row in read_rows(source, format=format))
    first = next(rows, None)
    if first is None:
        raise UnreadableSourceError(shown, "it holds no rows", _LABEL)
    columns = first[1].keys()
    if {"id", "story"} <= columns:
        return _labels(_again(first, rows))
    for pair in _PAIRS:
        if {*pair, "grade"} <= columns:
            return _judgments(_again(first, rows), pair)
    reason = f"its columns are neither those of story labels nor of judged pairs ({', '.join(sorted(columns))[:200]})"
    raise UnreadableSourceError(shown, reason, _LABEL)


_Row = tuple[str, dict[str, str]]


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
        grade = _grade(_needed(row, "grade", place), place)
        if one == other:
            raise UnreadableSourceError(place, f"{one[:80]!r} is paired with itself", "take the row out")
        known, where = seen.setdefault(frozenset((one, other)), (grade, place.rpartition(", ")[2]))
        if known != grade:
            reason = f"the pair {one[:80]!r}, {other[:80]!r} has grade {known} already ({where})"
            raise UnreadableSourceError(place, reason, "keep one of the two")
        if len(seen) > len(pairs):
            pairs.append((one, other))
    return JudgedPairs(pairs=tuple(pairs), grades=tuple(grade for grade, _ in seen.values()))


def _grade(text: str, place: str) -> int:
    try:
        grade = float(text)
    except ValueError:
        grade = -1
    if grade not in GRADES:
        reason = f"its grade is {text[:40]!r}"
        raise UnreadableSourceError(place, reason, "give 0 (not related), 1 (related) or 2 (of one running story)")
    return int(grade)
