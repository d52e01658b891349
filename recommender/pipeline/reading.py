"""Step 1 of 8: rows of sources -> Article, with one error for all rows that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from recommender.errors import InvalidArticleError, InvalidRowsError, UnreadableSourceError
from recommender.pipeline.articles import Article, article_from_row, field_named, unknown_fields
from recommender.pipeline.formats import FORMATS, Check, Row, rows_of_source

SHOWN_ROWS = 10
"""How many invalid rows an error lists: a screenful; the total says the rest."""

SHOWN_NAMES = 20
"""How many names of ignored fields the notice lists."""


Rows = Callable[[str, str, Check], Iterator[Row]]
"""The rows of a source, given what it is, what it is called, and what refuses a table for its columns."""


def no_notice(message: str) -> None:
    """Take a notice and keep it to oneself."""


@dataclass(slots=True)
class _Tally:
    """What is to be said when all sources have been read."""

    total: int = 0
    valid: int = 0
    faults: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)

    def add_fault(self, place: str, article_id: str, reason: str) -> None:
        self.total += 1
        if len(self.faults) < SHOWN_ROWS:
            named = f", id {article_id[:80]!r}" if article_id else ""
            self.faults.append(f"{place}{named}: {reason}")

    def see_names(self, row: Mapping[str, object]) -> None:
        fresh = row.keys() - self.names
        if fresh and len(self.names) < 10_000:  # rows whose names are data would grow it without end
            self.names |= fresh
            self.ignored |= unknown_fields(fresh)


def read_articles(
    sources: Sequence[str | Path],
    *,
    format: str | None = None,
    skip_invalid: bool = False,
    notice: Callable[[str], None] = no_notice,
) -> Iterator[Article]:
    """The articles of files, in their order, read as they are asked for; `-` is stdin, gzip is seen by its first bytes.

    The format goes by the ending, else by the first character; `format` overrules both. Invalid rows raise one
    InvalidRowsError after the last article, so a consumer changes nothing before the iteration has ended; with
    `skip_invalid` they are left out with a notice. A source that cannot be read at all raises UnreadableSourceError.
    """
    if format is not None and format.lower() not in FORMATS:
        raise UnreadableSourceError(f"format {format!r}", "no such format", f"name one of {', '.join(FORMATS)}")
    named = [sources] if isinstance(sources, str | Path) else list(sources)
    kind = format and FORMATS[format.lower()]

    def rows(source: str, shown: str, check: Check) -> Iterator[Row]:
        return rows_of_source(source, shown, kind, check)

    return checked_articles(named, rows, skip_invalid=skip_invalid, notice=notice)


def checked_articles(
    sources: Sequence[str | Path], rows: Rows, *, skip_invalid: bool = False, notice: Callable[[str], None] = no_notice
) -> Iterator[Article]:
    """The articles of sources whose rows come from `rows`, and errors as `read_articles` has them."""
    tally = _Tally()
    for source in sources:
        yield from _articles_of(str(source), rows, tally)
    if tally.ignored:
        more = f" and {len(tally.ignored) - SHOWN_NAMES} more" if len(tally.ignored) > SHOWN_NAMES else ""
        notice(f"fields that are not used: {', '.join(sorted(tally.ignored)[:SHOWN_NAMES])}{more}")
    if not tally.total:
        return
    if not skip_invalid:
        raise InvalidRowsError(tally.total, tally.faults)
    if not tally.valid:
        every = f"none of the {tally.total} rows is a valid article (first: {tally.faults[0]})"
        raise UnreadableSourceError(", ".join(map(str, sources)), every, "mend the rows, or name the right --format")
    notice(f"{tally.total} invalid row{'s' if tally.total > 1 else ''} left out; the first: {tally.faults[0]}")


def _articles_of(source: str, rows: Rows, tally: _Tally) -> Iterator[Article]:
    shown = "stdin" if source == "-" else source
    before = tally.total + tally.valid
    for row in rows(source, shown, _check_id_column):
        place = f"{shown}, {row.place}"
        if row.fault:
            tally.add_fault(place, "", row.fault)
        elif not isinstance(row.value, Mapping):
            tally.add_fault(place, "", "it is not an object with fields such as id, title and body")
        else:
            tally.see_names(row.value)
            try:
                article = article_from_row(row.value)
            except InvalidArticleError as error:
                tally.add_fault(place, error.article_id, error.reason)
            else:
                tally.valid += 1
                yield article
    if tally.total + tally.valid == before:
        raise UnreadableSourceError(shown, "it holds no rows", "give a file with at least one article")


def checked_rows(rows: Iterable[Row], named: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """(place, row) of the rows of a source that holds something else than articles.

    The place is the file and the line. UnreadableSourceError for the first row that cannot be read.
    """
    for row in rows:
        place = f"{named}, {row.place}"
        if row.fault or not isinstance(row.value, Mapping):
            raise UnreadableSourceError(place, row.fault or "it is not an object with fields", "mend the row")
        yield place, row.value


def _check_id_column(names: Sequence[str], shown: str) -> None:
    if not any(field_named(name) == "id" for name in names):
        columns = ", ".join(names[:SHOWN_NAMES])[:200]
        raise UnreadableSourceError(shown, f"it has no id column (columns: {columns})", "name the column of the ids `id`")
