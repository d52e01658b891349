"""Markdown with front matter -> rows, as Hugo, Jekyll and their like keep it.

The only module that imports yaml and markdown_it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import yaml
from markdown_it import MarkdownIt

from recommender.errors import one_line

FRONT_LIMIT = 1 << 16
"""Longest front matter in characters, which take a second to read. Real ones have some hundred."""

_FRONT = re.compile(r"(---|\+\+\+)[ \t]*\n(.*?\n)?(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_DATED_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-(.+)")
_HEADING = re.compile(r"\s*#[ \t]+(.+?)[ \t#]*(?:\n|\Z)")
_CODE_OF_TEMPLATES = re.compile(r"\{\{[<%](?:(?!\{\{).)*?[>%]\}\}|\{%(?:(?!\{%).)*?%\}", re.S)

_RENDERER = MarkdownIt("commonmark", {"html": True, "maxNesting": 50}).enable(["table", "strikethrough"])


class _Loader(yaml.SafeLoader):
    """Plain values only; no aliases, of which a few lines can make a list of billions."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it holds an alias (*name); write the value out")
        return super().compose_node(parent, index)


def row_of_markdown(content: bytes, name: str) -> dict[str, object] | None:
    """The row of a file by its name in its folder; None for a draft; ValueError with a reason where it is no article.

    The id is that of the front matter, else its slug, else the name without its ending; `index` goes by its folder.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 at byte {error.start}; write it as UTF-8") from None
    front, body = _front_matter(text)
    if front.get("draft") is True or front.get("published") is False or PurePosixPath(name).stem == "_index":
        return None
    path, day = _path_and_day(name)
    heading = None if front.get("title") else _HEADING.match(body)
    return {
        "id": front.get("id") or front.get("slug") or path,
        "title": front.get("title") or (heading[1] if heading else ""),
        "body": _RENDERER.render(_CODE_OF_TEMPLATES.sub("", body[heading.end() :] if heading else body)),
        "published": front.get("date") or front.get("publishdate") or front.get("published") or day,
        "updated": front.get("lastmod") or front.get("updated") or front.get("last_modified_at") or front.get("modified"),
        "url": _url(front),
        "section": front.get("section") or _first(front, "category") or _first(front, "categories"),
        "tags": _list(front.get("tags") or front.get("keywords")),
        "authors": _list(front.get("authors") or front.get("author")),
        "language": front.get("language") or front.get("lang"),
        "image": _first(front, "image") or _first(front, "images") or _first(front, "cover") or _first(front, "thumbnail"),
    }


def _front_matter(text: str) -> tuple[Mapping[str, Any], str]:
    """(the fields in front of a text, with small letters; what follows them)."""
    if not text.startswith(("---\n", "+++\n")) and not _FRONT.match(text):
        return {}, text
    found = _FRONT.match(text[: FRONT_LIMIT + 16])
    if not found:
        if text.startswith("---\n") and ":" not in text[4 : text.find("\n", 4)]:
            return {}, text  # a rule across the page
        raise ValueError(f"its front matter is not closed within {FRONT_LIMIT:,} characters; end it with the line it begins with")
    try:
        front = yaml.load(found[2] or "", _Loader) if found[1] == "---" else tomllib.loads(found[2] or "")  # noqa: S506
    except (yaml.YAMLError, tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"its front matter cannot be read: {_said(error)}") from None
    if front is None:
        return {}, text[found.end() :]
    if not isinstance(front, dict):
        raise ValueError("its front matter holds no fields such as title: ...")
    return {str(key).lower(): value for key, value in front.items()}, text[found.end() :]


def _said(error: Exception) -> str:
    """What is wrong with front matter, and in which line of the file."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem and error.problem_mark:
        return f"{error.problem} (line {error.problem_mark.line + 2})"  # the first line is the one that it begins with
    return one_line(error)


def _path_and_day(name: str) -> tuple[str, str]:
    """The name without its ending, and the day that Jekyll writes before it."""
    path = re.sub(r"(?i)\.(?:md|markdown|mdown|mkd)(?:\.gz)?$", "", name)
    parent, _, stem = path.rpartition("/")
    if stem == "index" and parent:
        path, (parent, _, stem) = parent, parent.rpartition("/")
    dated = _DATED_NAME.fullmatch(stem)
    return path, dated[1] if dated else ""


def _url(front: Mapping[str, Any]) -> str:
    given = (front.get(name) for name in ("canonical_url", "canonicalurl", "url", "permalink", "link"))
    return next((one for one in given if isinstance(one, str) and "/:" not in one.replace("://", "")), "")


def _list(value: object) -> object:
    return [_named(one) for one in value] if isinstance(value, list) else _named(value)


def _first(front: Mapping[str, Any], name: str) -> object:
    value = front.get(name)
    return _named(value[0] if isinstance(value, list) and value else value)


def _named(value: object) -> object:
    """The name or address of what front matter describes by several fields."""
    if isinstance(value, dict):
        return next((value[key] for key in ("name", "title", "url", "src", "image") if isinstance(value.get(key), str)), None)
    return value if isinstance(value, str | int | float) else None
