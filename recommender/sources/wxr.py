"""A WordPress export (WXR) -> rows: published posts, read as a stream. The only module that imports defusedxml.

The format is RSS 2.0 with names of WordPress's own (`wp:post_id`, `wp:status`, `wp:post_type`), as its exporter writes it.
"""

from __future__ import annotations

import html
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError

from recommender.errors import UnreadableSourceError
from recommender.pipeline.formats import LINE_LIMIT, Row

ELEMENT_LIMIT = 1_000_000
"""Most elements of one post. Comments are let go as they end; what is left of a post has hundreds at most."""

DEPTH_LIMIT = 100
"""Deepest nesting of elements; WordPress writes five."""

_CHUNK = 1 << 20  # expat before 2.6 begins a token anew with each chunk: small ones make a long attribute take minutes
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r"))
_WP = re.compile(r"\{https?://wordpress\.org/export/[\d.]+/(excerpt/)?\}(.+)")
_PREFIXES = {
    "{http://purl.org/rss/1.0/modules/content/}": "content:",
    "{http://purl.org/dc/elements/1.1/}": "dc:",
}
_CAPTION = re.compile(r"\[(caption|wp_caption|embed)\b[^\[\]]*\](?:(?!\[\1\b).)*?\[/\1\]", re.S)
_SHORTCODE = re.compile(r"\[/?(?:caption|wp_caption|embed|gallery|audio|video|playlist)\b[^\[\]]*\]")


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than LINE_LIMIT bytes between two marks, and drops control characters.

    WordPress writes the control characters of a post as they are, which XML does not know.
    """

    def __init__(self, stream: IO[bytes], shown: str) -> None:
        self._stream = stream
        self._shown = shown
        self._since = 0
        self._dropped: bytes | None = None

    def mark(self) -> None:
        """Begin to count again."""
        self._since = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, more of them than were asked for."""
        while chunk := self._stream.read(_CHUNK):
            if self._dropped is None:
                self._dropped = b"" if chunk[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in chunk[:4] else _CONTROL
            self._since += len(chunk)
            if self._since > LINE_LIMIT:
                reason = f"one post of it is longer than {LINE_LIMIT >> 20} MiB"
                raise UnreadableSourceError(self._shown, reason, "fetch or write it again, or leave that post out")
            if kept := chunk.translate(None, self._dropped):
                return kept
        return b""


def rows_of_export(stream: IO[bytes], shown: str, notice: Callable[[str], None]) -> Iterator[Row]:
    """The published posts of an export, an id being the number that WordPress knows it by.

    Images need a stream that can be read twice: a post may stand before the attachment that is its image.
    """
    images: dict[str, str] = {}
    if stream.seekable():
        for name, element, _ in _elements(stream, shown):
            if name == "item" and _text(element, "wp:post_type") == "attachment":
                images[_text(element, "wp:post_id")] = _text(element, "wp:attachment_url")
        stream.seek(0)
    left_out: Counter[str] = Counter()
    authors: dict[str, str] = {}
    language = ""
    taken = 0
    for name, element, line in _elements(stream, shown):
        if name == "wp:author":
            authors[_text(element, "wp:author_login")] = _text(element, "wp:author_display_name")
        elif name == "language":
            language = (element.text or "").strip()
        elif name == "item":
            if reason := _left_out(element):
                left_out[reason] += 1
                if reason == "attachment" and not stream.seekable():
                    images[_text(element, "wp:post_id")] = _text(element, "wp:attachment_url")
                continue
            taken += 1
            post_id = _text(element, "wp:post_id")
            yield Row(f"post {post_id}" if post_id else f"item {line}", _row(element, images, authors, language), "")
    if left_out:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items()))
        notice(f"{shown}: {taken:,} published post{'s' if taken != 1 else ''}; left out: {counts}")
    if not taken:
        raise UnreadableSourceError(shown, "it holds no published post", "export the posts too: Tools, Export, All content")


def _left_out(item: Element) -> str:
    """Why an item is no published post; empty where it is one."""
    kind = _text(item, "wp:post_type")
    if kind != "post":
        return kind or "without a type"
    if (status := _text(item, "wp:status")) != "publish":
        return status or "without a status"
    return "with a password" if _text(item, "wp:post_password") else ""


def _row(item: Element, images: dict[str, str], authors: dict[str, str], language: str) -> dict[str, object]:
    author = _text(item, "dc:creator")
    categories = [one for one in item if one.tag == "category"]
    terms = [(one.get("domain"), html.unescape(one.text or "").strip(), one.get("nicename")) for one in categories]
    sections = [name for domain, name, slug in terms if domain == "category" and slug != "uncategorized"]
    meta = {_text(one, "wp:meta_key"): _text(one, "wp:meta_value") for one in item if one.tag == "wp:postmeta"}
    body = _SHORTCODE.sub("", _CAPTION.sub("", _text(item, "content:encoded")))
    return {
        "id": _text(item, "wp:post_id"),
        "title": _text(item, "title"),
        "body": body or _text(item, "excerpt:encoded"),
        "published": _date(_text(item, "wp:post_date_gmt"))
        or _date(_text(item, "pubDate"))
        or _date(_text(item, "wp:post_date")),
        "updated": _date(_text(item, "wp:post_modified_gmt")),
        "url": _text(item, "link"),
        "section": next((name for name in sections if name != "Uncategorized"), ""),
        "tags": [name for domain, name, _ in terms if domain == "post_tag"],
        "authors": [html.unescape(authors.get(author) or author)] if author else [],
        "language": language,
        "image": images.get(meta.get("_thumbnail_id", ""), ""),
    }


def _date(text: str) -> str:
    """The text, unless it is what WordPress writes for no date."""
    return "" if text.startswith("0000") or "-0001" in text else text


def _text(parent: Element, name: str) -> str:
    return (parent.findtext(name) or "").strip()


def _elements(stream: IO[bytes], shown: str) -> Iterator[tuple[str, Element, int]]:
    """(name, element, number of the item) of the children of the channel, each let go when the next is asked for."""
    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import iterparse
    except ImportError:
        remedy = "pip install 'recommender[sites]'"
        raise UnreadableSourceError(shown, "a WordPress export needs defusedxml", remedy) from None
    source = _Bounded(stream, shown)
    try:
        yield from _children_of_channel(iterparse(source, events=("start", "end")), source, shown)
    except DefusedXmlException:
        reason = "its XML declares entities of its own, which no WordPress export does and which can fill the memory"
        raise UnreadableSourceError(shown, reason, "fetch or write it again") from None
    except (ParseError, ValueError, LookupError) as error:  # ValueError, LookupError: an encoding that is not known
        reason = f"its XML is broken or ends too early ({error})"
        raise UnreadableSourceError(shown, reason, "fetch or write it again") from None


def _children_of_channel(events: Iterator[tuple[str, Any]], source: _Bounded, shown: str) -> Iterator[tuple[str, Element, int]]:
    path: list[Element] = []
    elements = items = 0
    for event, element in events:
        if event == "start":
            element.tag = _short(element.tag)
            path.append(element)
            elements += 1
            if elements > ELEMENT_LIMIT or len(path) > DEPTH_LIMIT:
                reason = f"one post of it has more than {ELEMENT_LIMIT:,} elements, or nests them more than {DEPTH_LIMIT} deep"
                raise UnreadableSourceError(shown, reason, "fetch or write it again")
            continue
        path.pop()
        if len(path) == 3 and element.tag == "wp:comment":
            element.clear()
            path[-1].remove(element)
        elif len(path) == 2:
            items += element.tag == "item"
            yield element.tag, element, items
            element.clear()
            path[-1].remove(element)
            source.mark()
            elements = 0


def _short(tag: str) -> str:
    if found := _WP.fullmatch(tag):
        return f"excerpt:{found[2]}" if found[1] else f"wp:{found[2]}"
    for prefix, short in _PREFIXES.items():
        if tag.startswith(prefix):
            return short + tag[len(prefix) :]
    return tag
