"""A saved page -> a row: what it says of itself, and the text that a reader sees on it."""

from __future__ import annotations

import re
from typing import Any

from recommender.sources.pagefields import told_by
from recommender.sources.pagetext import body_of, tree_of

MIN_TEXT = 100
"""Fewest characters of text for which a page that does not call itself an article is one: a front page has teasers only."""

WHOLE_TEXT = 0.5
"""Least share of the `articleBody` of a page that the found text must reach; below, the extractor has lost the article."""

_CHARSET = re.compile(rb"""<meta[^>]{1,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I)
_CHARSET_OF_ANSWER = re.compile(r"""charset\s*=\s*["']?([\w.:-]{2,40})""", re.I | re.A)
_TEXT_ENCODING = re.compile(r"(?i)us-ascii|latin-?1|(?:windows|cp|iso|koi8|mac|big5|gb|euc|shift|ms|tis)[\w.:-]*")


def row_of_page(content: bytes, name: str, content_type: str = "") -> dict[str, object]:
    """The row of a page by its file's name; ValueError with a reason where no article is on it.

    `content_type` is what a server says of it; its charset counts where the page is no UTF-8.

    The id is the path of the canonical URL with its query, without slashes at its ends; where the page names none, or the
    front page, the file's name in its folder without its ending.
    """
    if b"\0" in content[:4096] and content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError("it is no page but binary: it holds NUL bytes")
    text = _decoded(content, content_type)
    if "<" not in text:
        raise ValueError("it is no page: it holds no markup")
    try:
        return _row(tree_of(text), name)
    except (RecursionError, AssertionError, AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"its markup cannot be read ({type(error).__name__})") from None  # one page must not end them all


def _row(tree: Any, name: str) -> dict[str, object]:
    fields, told, is_article = told_by(tree)
    body = body_of(tree, str(fields["title"]))
    if len(body) < WHOLE_TEXT * len(told):
        body = told
    if not body or (len(body) < MIN_TEXT and not is_article):
        raise ValueError("no article is found on this page")
    by_name = re.sub(r"(?i)\.(?:x?html?|shtml)(?:\.gz)?$", "", name)
    return {**fields, "id": fields["id"] or by_name, "body": body}


def _decoded(content: bytes, content_type: str) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        told = _CHARSET_OF_ANSWER.search(content_type)
        named = _CHARSET.search(content[:8192])
        encoding = told[1] if told else named[1].decode() if named else ""
    if not _TEXT_ENCODING.fullmatch(encoding):
        encoding = "windows-1252"
    try:
        return content.decode(encoding, errors="replace")
    except LookupError:
        return content.decode("windows-1252", errors="replace")
