"""A saved page -> a row: the text by trafilatura, the fields by what the page says of itself.

The only module that imports trafilatura. Fields: schema.org in JSON-LD, then Open Graph and other `<meta>`, then the marks
that WordPress themes share (`entry-title`, `entry-date`).
"""

from __future__ import annotations

import html
import json
import logging
import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import trafilatura
from trafilatura.utils import load_html

for _library in ("trafilatura", "htmldate", "courlan"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)  # what they complain of is in our own message

MIN_TEXT = 100
"""Fewest characters of text for which a page that does not call itself an article is one: a front page has teasers only."""

WHOLE_TEXT = 0.5
"""Least share of the `articleBody` of a page that the found text must reach; below, the extractor has lost the article."""

MOST_TEXT = 0.5
"""Share of the text of all paragraphs above which an element holds the article, whatever it is called; and share of a line's
text above which links make it up."""

_ARTICLE_TYPE = re.compile(r"\w*NewsArticle|Article|(?:Live)?BlogPosting|Report")
_CHARSET = re.compile(rb"""<meta[^>]{1,200}?charset\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I)
_TEXT_ENCODING = re.compile(r"(?i)us-ascii|latin-?1|(?:windows|cp|iso|koi8|mac|big5|gb|euc|shift|ms|tis)[\w.:-]*")
_CHROME = re.compile(
    r"(?:^|[\s_-])(?:related|read-?more|also-?read|read-?also|dont-?miss|newsletter|subscrib\w*|sign-?up|share\w*|sharing|social|"
    r"sharedaddy|jp-relatedposts|addtoany\w*|post-?nav\w*|nav-links|pagination|prev(?:ious)?-?(?:post|story|article)|next-?(?:post|story"
    r"|article)|author-?(?:box|bio)|breadcrumbs?|comments?|widget\w*|sidebar|recent-?posts|latest|trending|most-?(?:read|popular)|"
    r"popular-?posts|promo|advert\w*|ads?|sponsor\w*|cookie\w*|inline-?related|yarpp\w*)(?=$|[\s_-])",
    re.I,
)
_LABEL = re.compile(
    r"\s*(?:also read|read also|read more|read next|don[’']?t miss|see also|previous story|next story|related(?: stor(?:y|ies)|"
    r" articles?| posts?)?|latest from|more from|you may (?:also )?like|watch|share this)\b",
    re.I,
)
_BARS = frozenset(("nav", "aside", "footer", "form", "button"))
_LINES = frozenset(("p", "h2", "h3", "h4", "h5", "h6", "li", "div", "ul"))
_SEPARATED_SITE = re.compile(r"\s+[|–—·»-]\s+")
_CONTENT_MARKS = (
    "entry-content",
    "post-content",
    "article-content",
    "td-post-content",
    "wp-block-post-content",
    "single-content",
)


def row_of_page(content: bytes, name: str) -> dict[str, object]:
    """The row of a page by its file's name; ValueError with a reason where no article is on it.

    The id is the path of the canonical URL with its query, without slashes at its ends; where the page names none, or the
    front page, the file's name in its folder without its ending.
    """
    if b"\0" in content[:4096] and content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise ValueError("it is no page but binary: it holds NUL bytes")
    text = _decoded(content)
    if "<" not in text:
        raise ValueError("it is no page: it holds no markup")
    try:
        tree = load_html(text)
        if tree is None:
            raise ValueError("it is no page: it holds no markup that can be read")
        return _row(tree, name)
    except (RecursionError, AssertionError, AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"its markup cannot be read ({type(error).__name__})") from None  # one page must not end them all


def _row(tree: Any, name: str) -> dict[str, object]:
    meta = _meta(tree)
    said = next(_described_articles(tree), {})
    url = next((one for one in (_canonical(tree), meta.get("og:url", ""), _text(said.get("url"))) if _is_address(one)), "")
    heading = _heading(tree)
    published = _text(said.get("datePublished")) or meta.get("article:published_time", "") or _date_of_theme(tree)
    fields: dict[str, object] = {
        "id": _id(url) or re.sub(r"(?i)\.(?:x?html?|shtml)(?:\.gz)?$", "", name),
        "title": _text(said.get("headline")) or heading or _without_site(meta.get("og:title", "") or _title(tree), meta),
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
    body = _body(tree, str(fields["title"]))
    told = _text(said.get("articleBody"))
    if len(body) < WHOLE_TEXT * len(told):
        body = told
    is_article = bool(said or published or meta.get("og:type") == "article")
    if not body or (len(body) < MIN_TEXT and not is_article):
        raise ValueError("no article is found on this page")
    return {**fields, "body": body}


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


def _decoded(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        named = _CHARSET.search(content[:8192])
        encoding = named[1].decode() if named else ""
    if not _TEXT_ENCODING.fullmatch(encoding):
        encoding = "windows-1252"
    try:
        return content.decode(encoding, errors="replace")
    except LookupError:
        return content.decode("windows-1252", errors="replace")


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


def _classes(element: Any) -> list[str]:
    return (element.get("class") or "").split()


def _words(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def _heading(tree: Any) -> str:
    """The headline as themes mark it, else the only `<h1>`."""
    headings = list(tree.iter("h1"))
    for element in headings:
        if {"entry-title", "post-title", "wp-block-post-title", "article-title", "tdb-title-text", "headline"} & {
            *_classes(element)
        }:
            return _words(element)
    return _words(headings[0]) if len(headings) == 1 else ""


def _title(tree: Any) -> str:
    return next((_words(element) for element in tree.iter("title")), "")


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
        if {"published", "entry-date", "post-date"} & {*_classes(one)} or one.get("itemprop") == "datePublished"
    ]
    blocks = [one for one in times if any("wp-block-post-date" in _classes(above) for above in one.iterancestors())]
    return next(
        (str(one.get("datetime")) for one in (*marked, *blocks)), str(times[0].get("datetime")) if len(times) == 1 else ""
    )


def _related_by(tree: Any, relation: str) -> list[str]:
    """The texts of the links that say they are so related: `category`, `tag`, `author`."""
    links = ((element, (element.get("rel") or "").split()) for element in tree.iter("a"))
    return [_words(one) for one, rel in links if relation in rel and not (relation == "tag" and "category" in rel)]


def _bylines(tree: Any, meta: Mapping[str, str]) -> list[str]:
    """The authors by `<meta>`, else by the mark of a theme."""
    if (author := meta.get("author", "")) and not _is_address(author):
        return [author]
    marked = [_words(one) for one in tree.iter("a", "span") if {"fn", "author-name"} & {*_classes(one)}]
    return list(dict.fromkeys(_related_by(tree, "author") or marked[:1]))


def _body(tree: Any, title: str) -> str:
    """The paragraphs of the article, one a line."""
    _prune(tree)
    found = trafilatura.extract(tree, include_comments=False, include_tables=True, favor_recall=True, deduplicate=False)
    lines = [line.strip().removeprefix("- ") for line in (found or "").split("\n")]
    return "\n".join(line for line in lines if line and line != title)


def _frame(tree: Any) -> set[Any]:
    """The headline, the element that themes mark as the content of the entry, and all that they stand in."""
    marked = [one for one in tree.iter("div", "section", "article") if set(_CONTENT_MARKS) & {*_classes(one)}]
    headings = list(tree.iter("h1"))
    kept = [max(marked, key=lambda one: len(_words(one)))] if marked else []
    kept += headings if len(headings) == 1 else []
    return {*kept, *(above for one in kept for above in one.iterancestors())}


def _prune(tree: Any) -> None:
    """Take from the page what is not its article: bars, boxes, and lines that point to other articles."""
    gone = []
    frame = _frame(tree)
    bulk = _length_of_paragraphs(tree)
    for element in tree.iter():
        if not isinstance(element.tag, str) or element.tag in ("html", "body", "main") or element in frame:
            continue
        named = " ".join(filter(None, (element.get("class"), element.get("id"), element.get("role"))))
        if element.tag in _BARS or (named and _CHROME.search(named)):
            if bulk and _length_of_paragraphs(element) > MOST_TEXT * bulk:
                element.tag = "div"  # some programs put the whole page into a form, or name it after its sidebar
            else:
                gone.append(element)
        elif element.tag in _LINES and _points_away(element):
            gone.append(element)
            following = element.getnext()
            if (
                following is not None
                and following.tag in ("ul", "ol")
                and _length_of_links(following) > MOST_TEXT * _length(following)
            ):
                gone.append(following)
    for element in gone:
        if element.getparent() is not None:
            element.drop_tree()


def _length(element: Any) -> int:
    return len(_words(element))


def _length_of_paragraphs(element: Any) -> int:
    return sum(map(_length, element.iter("p")))


def _length_of_links(element: Any) -> int:
    return sum(map(_length, element.iter("a")))


def _points_away(element: Any) -> bool:
    """Whether an element is a label such as 'ALSO READ' with links, or such a label alone."""
    words = _words(element) if len(element) < 20 else ""
    label = _LABEL.match(words)
    if label is None or len(words) > 300:
        return False
    rest = len(words) - len(label[0])
    linked = _length_of_links(element)
    return linked > MOST_TEXT * rest if linked else rest < 3
