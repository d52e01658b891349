"""A source -> its rows, whatever kind it is: what it holds is recognised, said, and left to the module of its kind."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from recommender.errors import UnreadableSourceError
from recommender.pipeline.articles import Article
from recommender.pipeline.formats import FORMATS, Check, Row, clear_errors, opened, rows_of_stream, unpacked
from recommender.pipeline.reading import checked_articles, no_notice
from recommender.sources import folders
from recommender.sources.recognising import ENDINGS, KINDS, kind_of

if TYPE_CHECKING:
    from recommender.sources.http import Manners

KINDS_OF_ADDRESSES = ("wordpress", "sitemap", "list")
"""What only an address can be, by the name that --format takes."""

_SITES = frozenset((*KINDS_OF_ADDRESSES, "feed", "html"))
"""What is asked for piece by piece; anything else at an address is one file."""


def read_articles(
    sources: Sequence[str | Path],
    *,
    format: str | None = None,
    skip_invalid: bool = False,
    notice: Callable[[str], None] = no_notice,
    manners: Manners | None = None,
) -> Iterator[Article]:
    """The articles of files, folders and addresses of the web, in their order, read as they are asked for; `-` is stdin, gzip is
    seen by itself. At an address may stand a WordPress site (also `wordpress:URL`), a feed, a sitemap or a list of pages.

    Tables (JSON Lines, JSON, CSV, Parquet), WordPress exports, feeds (RSS, Atom, JSON Feed), saved pages and Markdown are
    told apart by what they hold and by their endings; `format` overrules both, for addresses too. `manners` is how sites are
    asked (`recommender.sources.http.Manners`): how often, and which hosts besides. Invalid rows raise one InvalidRowsError
    after the last article, so a consumer changes nothing before the iteration has ended; with `skip_invalid` they are left
    out with a notice. A source that cannot be read at all raises UnreadableSourceError.
    """
    known = {**FORMATS, **{name: name for name in (*KINDS, *KINDS_OF_ADDRESSES)}}
    if format is not None and format.lower() not in known:
        raise UnreadableSourceError(f"format {format!r}", "no such format", f"name one of {', '.join(known)}")
    kind = format and known[format.lower()]
    named = [sources] if isinstance(sources, str | Path) else list(sources)

    def rows(source: str, shown: str, check: Check) -> Iterator[Row]:
        if is_address(source):
            return _rows_of_address(source, kind, check, notice, manners)
        return rows_of_any(source, shown, kind, check, notice)

    return checked_articles(named, rows, skip_invalid=skip_invalid, notice=notice)


def rows_of_any(source: str, shown: str, format: str | None, check: Check | None, notice: Callable[[str], None]) -> Iterator[Row]:
    """The rows of a file, a folder or stdin, of any kind."""
    if format in KINDS_OF_ADDRESSES:
        reason = f"it is no address of the web, which is what --format {format} is for"
        raise UnreadableSourceError(shown, reason, "name https://..., or the format of the file")
    if source != "-" and Path(source).is_dir():
        yield from folders.rows_of_folder(Path(source), shown, format, ENDINGS, notice)
        return
    with clear_errors(shown), opened(source) as raw:
        yield from _rows_of_open(raw, source, shown, format, check, notice)


def _rows_of_open(
    raw: IO[bytes], source: str, shown: str, format: str | None, check: Check | None, notice: Callable[[str], None]
) -> Iterator[Row]:
    head, stream, packed = unpacked(raw)
    kind = format if format in KINDS else kind_of(source, head, shown) if format is None else None
    if raw.seekable():
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
    if kind is None:
        yield from rows_of_stream(raw if raw.seekable() else stream, source, shown, format, check)
    else:
        notice(f"{shown}: {KINDS[kind]}")
        yield from _rows_of_kind(kind, stream, source, shown, notice)


def _rows_of_address(
    source: str, format: str | None, check: Check, notice: Callable[[str], None], manners: Manners | None
) -> Iterator[Row]:
    """The rows at an address; a file where `format` says that it is one."""
    from recommender.sources.addresses import file_at, plain_address, rows_of_address

    if format is None or format in _SITES:
        yield from rows_of_address(source, format, notice, manners)
        return
    address = plain_address(source)
    with clear_errors(address):
        yield from _rows_of_open(io.BytesIO(file_at(address, manners)), address, address, format, check, notice)


def is_address(source: str) -> bool:
    """Whether a source is an address of the web, and no file."""
    return source.startswith(("http://", "https://", "wordpress:"))


def _rows_of_kind(kind: str, stream: IO[bytes], source: str, shown: str, notice: Callable[[str], None]) -> Iterator[Row]:
    if kind == "wxr":
        from recommender.sources.wxr import rows_of_export

        yield from rows_of_export(stream, shown, notice)
    elif kind == "feed":
        from recommender.sources.feeds import rows_of_feed

        yield from rows_of_feed(stream, shown, notice)
    else:
        yield from folders.rows_of_file(stream, "stdin" if source == "-" else Path(source).name, shown, kind, notice)
