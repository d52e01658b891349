"""A source -> its rows, whatever kind it is: what it holds is recognised, said, and left to the module of its kind."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING

from recommender.errors import UnreadableSourceError
from recommender.pipeline.articles import Article
from recommender.pipeline.formats import FORMATS, Check, Row, clear_errors, opened, rows_of_stream, unpacked
from recommender.pipeline.reading import checked_articles, no_notice
from recommender.sources import folders

if TYPE_CHECKING:
    from recommender.sources.http import Manners

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "wxr": "a WordPress export; only published posts are taken",
        "feed": "a feed",
        "html": "a saved page",
        "markdown": "a Markdown file",
    }
)
"""What else than a table a source can be, by the name that --format takes, and how that is told to a person."""

KINDS_OF_ADDRESSES = ("wordpress", "sitemap", "list")
"""What only an address can be, by the name that --format takes."""

_SITES = frozenset((*KINDS_OF_ADDRESSES, "feed", "html"))
"""What is asked for piece by piece; anything else at an address is one file."""

_ENDINGS = {
    **dict.fromkeys(("html", "htm", "xhtml", "shtml"), "html"),
    **dict.fromkeys(("md", "markdown", "mdown", "mkd"), "markdown"),
    **dict.fromkeys(("rss", "atom", "rdf"), "feed"),
    "wxr": "wxr",
}
_ROOTS = {"rss": "feed", "feed": "feed", "rdf": "feed", "html": "html"}
_BOMS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_BEFORE_ROOT = re.compile(r"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*|<!doctype\s+(?!html)(?:[^\[>]|\[.*?\]\s*(?=>))*>\s*)*", re.S | re.I)
_ROOT = re.compile(r"<(?:[\w.-]+:)?(!doctype\s+html|[\w.-]+)", re.I)
_WXR = re.compile(r"""xmlns:\w+\s*=\s*["']https?://wordpress\.org/export/""")
_JSON_FEED = re.compile(r"""\s*\{.*"version"\s*:\s*"https?:\\?/\\?/jsonfeed\.org\\?/version\\?/""", re.S)
_FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*\r?\n")


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
        yield from folders.rows_of_folder(Path(source), shown, format, _ENDINGS, notice)
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


def kind_of(source: str, head: bytes, shown: str) -> str | None:
    """Which of KINDS a file is, by its ending and its first bytes; None for a table."""
    endings = [suffix.lower().lstrip(".") for suffix in Path(source).suffixes] if source != "-" else []
    ending = next((one for one in reversed(endings) if one != "gz"), "")
    if FORMATS.get(ending, "json") != "json":
        return None
    text = _text_of_head(head)
    if _JSON_FEED.match(text):
        return "feed"
    if ending in FORMATS:
        return None
    root = _ROOT.match(text, _BEFORE_ROOT.match(text).end())  # type: ignore[union-attr]  # it matches nothing, too
    if root and _WXR.search(text):
        return "wxr"
    kind = (_ROOTS.get(root[1].lower().split()[0].replace("!doctype", "html")) if root else None) or _ENDINGS.get(ending)
    if kind is None and _FRONT_MATTER.match(text):
        return "markdown"
    if kind is None and (ending == "xml" or text.startswith("<?xml")):
        begins = f"its XML begins with <{root[1][:40]}>" if root else "it is no XML"
        reason = f"{begins}, which is neither a WordPress export nor a feed nor a page"
        raise UnreadableSourceError(shown, reason, f"say what it is with --format {', '.join(KINDS)}, or name another file")
    return kind


def _text_of_head(head: bytes) -> str:
    encoding = next((name for bom, name in _BOMS if head.startswith(bom)), "utf-8-sig")
    return head.decode(encoding, errors="replace").lstrip()


def _rows_of_kind(kind: str, stream: IO[bytes], source: str, shown: str, notice: Callable[[str], None]) -> Iterator[Row]:
    if kind == "wxr":
        from recommender.sources.wxr import rows_of_export

        yield from rows_of_export(stream, shown, notice)
    elif kind == "feed":
        from recommender.sources.feeds import rows_of_feed

        yield from rows_of_feed(stream, shown, notice)
    else:
        yield from folders.rows_of_file(stream, "stdin" if source == "-" else Path(source).name, shown, kind, notice)
