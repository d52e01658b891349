"""What a source is, by its ending and its first bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from recommender.errors import UnreadableSourceError
from recommender.pipeline.formats import FORMATS

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "wxr": "a WordPress export; only published posts are taken",
        "feed": "a feed",
        "html": "a saved page",
        "markdown": "a Markdown file",
    }
)
"""What else than a table a source can be, by the name that --format takes, and how that is told to a person."""

ENDINGS = {
    **dict.fromkeys(("html", "htm", "xhtml", "shtml"), "html"),
    **dict.fromkeys(("md", "markdown", "mdown", "mkd"), "markdown"),
    **dict.fromkeys(("rss", "atom", "rdf"), "feed"),
    "wxr": "wxr",
}
"""Ending -> which of KINDS it means."""

_ROOTS = {"rss": "feed", "feed": "feed", "rdf": "feed", "html": "html"}
_BOMS = ((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_BEFORE_ROOT = re.compile(r"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*|<!doctype\s++(?!html)(?:[^\[>]|\[.*?\]\s*(?=>))*>\s*)*", re.S | re.I)
_ROOT = re.compile(r"<(?:[\w.-]+:)?(!doctype\s+html|[\w.-]+)", re.I)
_WXR = re.compile(r"""xmlns:\w+\s*=\s*["']https?://wordpress\.org/export/""")
_JSON_FEED = re.compile(r"""\s*\{.*"version"\s*:\s*"https?:\\?/\\?/jsonfeed\.org\\?/version\\?/""", re.S)
_FRONT_MATTER = re.compile(r"(---|\+\+\+)[ \t]*\r?\n")


def kind_of(source: str, head: bytes, shown: str) -> str | None:
    """Which of KINDS a file is, by its ending and its first bytes; None for a table."""
    endings = [suffix.lower().lstrip(".") for suffix in Path(source).suffixes] if source != "-" else []
    ending = next((one for one in reversed(endings) if one != "gz"), "")
    if FORMATS.get(ending, "json") != "json":
        return None
    text = _text_of_head(head)
    held = kind_held(head)
    if held == "feed" and not text.startswith("<"):
        return held
    if ending in FORMATS:
        return None
    root = _root(text)
    kind = held or ENDINGS.get(ending)
    if kind is None and _FRONT_MATTER.match(text):
        return "markdown"
    if kind is None and (ending == "xml" or text.startswith("<?xml")):
        begins = f"its XML begins with <{root[1][:40]}>" if root else "it is no XML"
        reason = f"{begins}, which is neither a WordPress export nor a feed nor a page"
        raise UnreadableSourceError(shown, reason, f"say what it is with --format {', '.join(KINDS)}, or name another file")
    return kind


def kind_held(head: bytes) -> str | None:
    """Which of KINDS but Markdown the first bytes of a file are, by themselves; None where they do not tell."""
    text = _text_of_head(head)
    if _JSON_FEED.match(text):
        return "feed"
    root = _root(text)
    if root and _WXR.search(text):
        return "wxr"
    return _ROOTS.get(root[1].lower().split()[0].replace("!doctype", "html")) if root else None


def _root(text: str) -> re.Match[str] | None:
    """The first element of a text, after what may stand before it."""
    return _ROOT.match(text, _BEFORE_ROOT.match(text).end())  # type: ignore[union-attr]  # it matches nothing, too


def _text_of_head(head: bytes) -> str:
    encoding = next((name for bom, name in _BOMS if head.startswith(bom)), "utf-8-sig")
    return head.decode(encoding, errors="replace").lstrip()
