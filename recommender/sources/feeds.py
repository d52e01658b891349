"""RSS, Atom and JSON feeds -> rows. The only module that imports feedparser."""

from __future__ import annotations

import calendar
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any

from recommender.errors import UnreadableSourceError
from recommender.pipeline.formats import Row

FEED_LIMIT = 64 * 2**20
"""Longest feed in bytes, without its gzip: it is in memory as a whole. Feeds of news sites have 0.01 to 5 MB."""

_JSON_VERSION = re.compile(r"https?://jsonfeed\.org/version/1(?:\.\d+)?/?")
_ENTITIES = re.compile(rb"<!--.*?(?:-->|\Z)|<!\[CDATA\[.*?(?:\]\]>|\Z)|<\?.*?(?:\?>|\Z)|(<!ENTITY)", re.S)
"""Where XML declares entities; first comes what may speak of that and mean nothing."""

_ELEMENT = re.compile(rb"<[A-Za-z]")
_END = re.compile(rb"</(?:[\w.-]+:)?(?:rss|feed|rdf)\s*>", re.I)
_AGAIN = "fetch or write it again"


def rows_of_feed(stream: IO[bytes], shown: str, notice: Callable[[str], None]) -> Iterator[Row]:
    """The entries of a feed, an id being the `guid` or `id`, else the link; content counts before a summary."""
    content = stream.read(FEED_LIMIT + 1)
    if len(content) > FEED_LIMIT:
        raise UnreadableSourceError(shown, f"it is longer than {FEED_LIMIT >> 20} MiB, which is no feed", "name another file")
    is_json = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
    rows = list(_json_rows(content, shown) if is_json else _xml_rows(content, shown, notice))
    if not rows:
        raise UnreadableSourceError(shown, "it is a feed without entries", "fetch it again, or name another")
    short = sum(is_short for _, is_short in rows)
    if short:
        of = f"{short:,} of {len(rows):,} entries have" if len(rows) > 1 else "its entry has"
        notice(f"{shown}: {of} a summary only, no full text; what is related is found by less")
    yield from (row for row, _ in rows)


def _json_rows(content: bytes, shown: str) -> Iterator[tuple[Row, bool]]:
    """(row, whether it has a summary only) of a JSON Feed, version 1 or 1.1."""
    try:
        feed = json.loads(content)
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else f"broken or ends too early ({error})"
        raise UnreadableSourceError(shown, f"its JSON is {said}", _AGAIN) from None
    if not isinstance(feed, dict) or not _JSON_VERSION.fullmatch(str(feed.get("version"))):
        raise UnreadableSourceError(shown, "it is no JSON Feed: its version does not say so", "name the right --format")
    items = feed.get("items")
    if not isinstance(items, list):
        raise UnreadableSourceError(shown, "it is no JSON Feed: it has no list of items", "name another file")
    for number, item in enumerate(items, 1):
        if isinstance(item, dict):
            yield Row(f"item {number}", _json_row(item, feed), ""), not (item.get("content_html") or item.get("content_text"))
        else:
            yield Row(f"item {number}", None, "it is not an object with fields such as id and title"), False


def _json_row(item: Mapping[str, Any], feed: Mapping[str, Any]) -> dict[str, object]:
    url = item.get("url") or item.get("external_url")
    author = item.get("authors") or [item.get("author")]
    authors = [one.get("name") for one in author if isinstance(one, dict)] if isinstance(author, list) else []
    tags = item.get("tags") if isinstance(item.get("tags"), list) else []
    return {
        "id": item.get("id") or url,
        "title": item.get("title"),
        "body": item.get("content_html") or item.get("content_text") or item.get("summary"),
        "published": item.get("date_published"),
        "updated": item.get("date_modified"),
        "url": url,
        "section": next(iter(tags or ()), None),
        "tags": tags,
        "authors": authors,
        "language": item.get("language") or feed.get("language"),
        "image": item.get("image") or item.get("banner_image"),
    }


def _xml_rows(content: bytes, shown: str, notice: Callable[[str], None]) -> Iterator[tuple[Row, bool]]:
    try:
        import feedparser
    except ImportError:
        raise UnreadableSourceError(shown, "a feed needs feedparser", "pip install 'recommender[sites]'") from None
    _check_xml(content, shown)
    feed = feedparser.parse(io.BytesIO(content), response_headers={"content-type": "application/xml"})
    if not feed.version and not feed.entries:
        raise UnreadableSourceError(shown, "it is neither RSS nor Atom", "name the right --format")
    fault = feed.get("bozo_exception")
    if feed.bozo and feed.entries and not isinstance(fault, feedparser.CharacterEncodingOverride | feedparser.NonXMLContentType):
        said = " ".join(str(fault).split())[:120]
        notice(f"{shown}: its XML is not well-formed ({said}); {len(feed.entries):,} entries were read from it all the same")
    for number, entry in enumerate(feed.entries, 1):
        yield Row(f"entry {number}", _xml_row(entry, feed.feed), ""), not _longest(entry)


def _check_xml(content: bytes, shown: str) -> None:
    """Refuse what would be read in part only, or fill the memory."""
    plain = content.replace(b"\0", b"")  # UTF-16 and UTF-32 write NULs between ASCII
    if any(found[1] for found in _ENTITIES.finditer(plain)):
        raise UnreadableSourceError(shown, "its XML declares entities of its own, which can fill the memory", _AGAIN)
    if not _ELEMENT.search(plain):
        raise UnreadableSourceError(shown, "it holds no XML", "name the right --format")
    if not _END.search(plain[-4096:]):
        raise UnreadableSourceError(shown, "it ends too early: the end of the feed is missing", _AGAIN)


def _xml_row(entry: Any, feed: Any) -> dict[str, object]:
    link = entry.get("link", "")
    terms = [term for tag in entry.get("tags", ()) if (term := tag.get("label") or tag.get("term"))]
    content = entry.get("content") or [{}]
    return {
        "id": entry.get("id") or link,
        "title": entry.get("title", ""),
        "body": _longest(entry) or entry.get("summary", ""),
        "published": _moment(entry, "published_parsed") or _moment(entry, "updated_parsed"),
        "updated": _moment(entry, "updated_parsed"),
        "url": link if link.startswith(("https://", "http://")) else "",  # a guid may stand for a link that is none
        "section": next(iter(terms), ""),
        "tags": terms,
        "authors": [name for author in entry.get("authors", ()) if (name := author.get("name"))],
        "language": content[0].get("language") or feed.get("language", ""),
        "image": _image(entry),
    }


def _longest(entry: Any) -> str:
    """The longest text of an entry that is not its summary."""
    return max((one.get("value") or "" for one in entry.get("content", ())), key=len, default="")


def _moment(entry: Any, name: str) -> datetime | None:
    """A date of an entry in UTC, as feedparser has understood it."""
    parsed = entry.get(name) if name in entry else None  # `get` alone gives one date for another
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC) if parsed else None
    except (ValueError, OverflowError, OSError):
        return None


def _image(entry: Any) -> str:
    for one in (*entry.get("media_content", ()), *entry.get("enclosures", ())):
        if str(one.get("medium") or one.get("type") or "").startswith("image"):
            return str(one.get("url") or one.get("href") or "")
    return next((str(one.get("url") or "") for one in entry.get("media_thumbnail", ())), "")
