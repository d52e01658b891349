"""A page -> the fields of its article, by what the page says of itself.

schema.org in JSON-LD, then Open Graph and other `<meta>`, then the marks that WordPress themes share (`entry-title`,
`entry-date`).
"""

from __future__ import annotations

import html
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

_ARTICLE_TYPE = re.compile(r"\w*NewsArticle|Article|(?:Live)?BlogPosting|Report")
_SEPARATED_SITE = re.compile(r"\s+[|–—·»-]\s+")
_DATE_NAMES = (
    "date",
    "dc.date",
    "dc.date.issued",
    "dcterms.created",
    "pubdate",
    "publishdate",
    "parsely-pub-date",
    "sailthru.date",
)


class Told(NamedTuple):
    """What a page says of its article."""

    fields: dict[str, object]
    """The fields of its row but the body; the id is empty where the page names no address, or the front page."""
    text: str
    """The `articleBody`, empty on most pages."""
    is_article: bool
    """Whether it calls itself an article."""


def told_by(tree: Any) -> Told:
    """What a page says of its article; schema.org first, for it says most and is meant for machines."""
    meta = _meta(tree)
    said = next(_described_articles(tree), {})
    url = next((one for one in (_canonical(tree), meta.get("og:url", ""), _text(said.get("url"))) if _is_address(one)), "")
    published = _text(said.get("datePublished")) or meta.get("article:published_time", "") or _date_of_theme(tree)
    fields: dict[str, object] = {
        "id": _id(url),
        "title": _text(said.get("headline")) or _heading(tree) or _without_site(meta.get("og:title", "") or _title(tree), meta),
        "published": published or next((meta[key] for key in _DATE_NAMES if meta.get(key)), ""),
        "updated": _text(said.get("dateModified")) or meta.get("article:modified_time", ""),
        "url": url,
        "section": _text(said.get("articleSection"))
        or meta.get("article:section", "")
        or next(iter(_related_by(tree, "category")), ""),
        "language": tree.get("lang") or _text(said.get("inLanguage")) or meta.get("og:locale", ""),
        "authors": _names(said.get("author")) or _bylines(tree, meta),
        "tags": _tags(said.get("keywords"))
        or [*filter(None, meta.get("article:tag", "").split("\n"))]
        or _related_by(tree, "tag"),
        "image": _image(said.get("image")) or meta.get("og:image", ""),
    }
    is_article = bool(said or published or meta.get("og:type") == "article")
    return Told(fields, _text(said.get("articleBody")), is_article)


def _meta(tree: Any) -> dict[str, str]:
    """What `<meta>` says, the first of a name; `article:tag` is said once for each tag, they stand on lines."""
    found: dict[str, str] = {}
    for element in tree.iter("meta"):
        name = (element.get("property") or element.get("name") or element.get("itemprop") or "").strip().lower()
        value = " ".join((element.get("content") or "").split())
        if name == "article:tag" and name in found:
            found[name] += f"\n{value}"
        elif name and value:
            found.setdefault(name, value)
    return found


def _described_articles(tree: Any) -> Iterator[Mapping[str, Any]]:
    """The articles that the page describes by schema.org."""
    for element in tree.iter("script"):
        if (element.get("type") or "").split(";")[0].strip().lower() == "application/ld+json":
            try:
                waiting = deque([json.loads(element.text or "", strict=False)])
            except (ValueError, RecursionError):
                continue
            while waiting:
                one = waiting.popleft()
                if isinstance(one, list):
                    waiting.extend(one)
                elif isinstance(one, dict):
                    types = one.get("@type")
                    if any(_ARTICLE_TYPE.fullmatch(str(kind)) for kind in (types if isinstance(types, list) else [types])):
                        yield one
                    waiting.extend(one[key] for key in ("@graph", "mainEntity", "itemListElement") if one.get(key))


def _text(value: object) -> str:
    """The text of a value of JSON-LD: itself, the name of a thing, the first of a list."""
    if isinstance(value, list):
        return next((text for one in value if (text := _text(one))), "")
    if isinstance(value, Mapping):
        return _text(value.get("@value") or value.get("name") or value.get("@id"))
    return _unescaped(value).strip() if isinstance(value, str) else ""


def _unescaped(text: str) -> str:
    """Plug-ins escape JSON-LD as if it were HTML."""
    return html.unescape(text) if "&" in text else text


def _names(value: object) -> list[str]:
    return [name for one in (value if isinstance(value, list) else [value]) if (name := _text(one)) and not _is_address(name)]


def _tags(value: object) -> list[str]:
    return [
        tag.strip() for one in (value if isinstance(value, list) else [value]) for tag in _text(one).split(",") if tag.strip()
    ]


def _image(value: object) -> str:
    if isinstance(value, list):
        return next((found for one in value if (found := _image(one))), "")
    url: object = value.get("url") or value.get("contentUrl") if isinstance(value, Mapping) else value
    return url if isinstance(url, str) and _is_address(url) else ""


def _is_address(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def _canonical(tree: Any) -> str:
    links = (element for element in tree.iter("link") if "canonical" in (element.get("rel") or "").lower().split())
    return next((str(element.get("href") or "") for element in links), "").strip()


def _id(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    path = unquote(parts.path).strip("/")
    return f"{path}?{parts.query}" if parts.query else path


def classes(element: Any) -> list[str]:
    """The words of its attribute `class`."""
    return (element.get("class") or "").split()


def words(element: Any) -> str:
    """Its text on one line."""
    return " ".join("".join(element.itertext()).split())


def _heading(tree: Any) -> str:
    """The headline as themes mark it, else the only `<h1>`."""
    headings = list(tree.iter("h1"))
    for element in headings:
        if {"entry-title", "post-title", "wp-block-post-title", "article-title", "tdb-title-text", "headline"} & {
            *classes(element)
        }:
            return words(element)
    return words(headings[0]) if len(headings) == 1 else ""


def _title(tree: Any) -> str:
    return next((words(element) for element in tree.iter("title")), "")


def _without_site(title: str, meta: Mapping[str, str]) -> str:
    """The title without the name of the site that follows it."""
    *front, last = _SEPARATED_SITE.split(title)
    site = meta.get("og:site_name", "")
    return title[: title.rindex(last)].rstrip(" |–—·»-") if front and (last == site or (not site and len(front) == 1)) else title


def _date_of_theme(tree: Any) -> str:
    """The moment of the `<time>` that a theme marks as the date of the entry."""
    times = [element for element in tree.iter("time") if element.get("datetime")]
    marked = [
        one
        for one in times
        if {"published", "entry-date", "post-date"} & {*classes(one)} or one.get("itemprop") == "datePublished"
    ]
    blocks = [one for one in times if any("wp-block-post-date" in classes(above) for above in one.iterancestors())]
    return next(
        (str(one.get("datetime")) for one in (*marked, *blocks)), str(times[0].get("datetime")) if len(times) == 1 else ""
    )


def _related_by(tree: Any, relation: str) -> list[str]:
    """The texts of the links that say they are so related: `category`, `tag`, `author`."""
    links = ((element, (element.get("rel") or "").split()) for element in tree.iter("a"))
    return [words(one) for one, rel in links if relation in rel and not (relation == "tag" and "category" in rel)]


def _bylines(tree: Any, meta: Mapping[str, str]) -> list[str]:
    """The authors by `<meta>`, else by the mark of a theme."""
    if (author := meta.get("author", "")) and not _is_address(author):
        return [author]
    marked = [words(one) for one in tree.iter("a", "span") if {"fn", "author-name"} & {*classes(one)}]
    return list(dict.fromkeys(_related_by(tree, "author") or marked[:1]))
