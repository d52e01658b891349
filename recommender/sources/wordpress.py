"""A WordPress site as its REST API tells of it: published posts, a hundred a request, with sections, tags, authors, images."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

from recommender.errors import FetchError
from recommender.sources.http import Answer, Client

PER_PAGE = 100
"""The most that WordPress gives in one answer."""

MOST_PAGES = 20_000
"""Pages after which a site is taken for one without end: two million posts."""

EMBED_FIELDS = "id,date,date_gmt,modified,modified_gmt,status,link,title,content,excerpt,_links,_embedded"
_LINK_HEADER = re.compile(r"<([^<>]*)>\s*;[^,]*\brel=\"?https://api\.w\.org/")
_LINK_TAG = re.compile(r"<link\b[^>]*\brel=[\"']https://api\.w\.org/[\"'][^>]*>", re.IGNORECASE)
_HREF = re.compile(r"\bhref=[\"']([^\"']+)", re.IGNORECASE)
_LOOK = "look at the address in a browser"


class WordPress:
    """The published posts of one site."""

    kind = "a WordPress site (REST API)"

    def __init__(self, client: Client, root: str, *, most_pages: int = MOST_PAGES) -> None:
        self._client = client
        self.root = root
        """Address of the API: `https://site.example/wp-json/`, or `https://site.example/?rest_route=/`."""
        self.protected: set[str] = set()
        """Ids of the posts with a password that were met so far: listed, but without their text. They are no rows."""
        self._most_pages = most_pages
        self._total: int | None = None
        """How many posts there are, by the answer that came last; None where it does not say."""

    def posts(self, since: str | None = None) -> Iterator[dict[str, object]]:
        """The posts as rows of articles; since a moment (UTC, as WordPress writes it) those that have changed, latest first.

        A day more than that is asked for and passed over here, because WordPress takes some moments for ones of its own
        time zone; a site before 5.7, which knows no `modified_after`, answers the same way with some pages more.
        """
        asked: dict[str, object] = {"_embed": "author,wp:term,wp:featuredmedia", "_fields": EMBED_FIELDS}
        if since is None:
            asked |= {"orderby": "id", "order": "asc"}
        else:
            asked |= {"orderby": "modified", "order": "desc", "modified_after": f"{_day_before(since)}Z"}
        seen: set[str] = set()
        for page in self._pages(asked):
            seen.update(map(_id_of, page))
            yield from self._rows(post for post in page if since is None or _modified(post) >= since)
            if since is not None and all(_modified(post) < since for post in page):
                return
        if since is None and self._total not in (None, len(seen)):  # one with an old number has appeared on a page that was read
            yield from self.posts_of([one for one in self.ids() if one not in seen])

    def ids(self) -> list[str]:
        """The ids of all published posts. What is trashed while pages are read can hide one: see `still_there`."""
        return [_id_of(post) for page in self._pages({"orderby": "id", "order": "asc", "_fields": "id"}) for post in page]

    def count(self) -> int | None:
        """How many posts are published; None where the site does not say."""
        return _number(self._posts({"per_page": 1, "_fields": "id"})[0].headers.get("x-wp-total"))

    def still_there(self, ids: Sequence[str]) -> set[str]:
        """Of these posts those that are published."""
        return {_id_of(post) for page in self._chosen(ids, {"_fields": "id"}) for post in page}

    def posts_of(self, ids: Sequence[str]) -> Iterator[dict[str, object]]:
        """These posts as rows of articles, as far as they are published."""
        asked = {"_embed": "author,wp:term,wp:featuredmedia", "_fields": EMBED_FIELDS}
        for page in self._chosen(ids, asked):
            yield from self._rows(page)

    def _rows(self, posts: Iterable[dict[str, Any]]) -> Iterator[dict[str, object]]:
        for post in posts:
            content = post.get("content")
            if isinstance(content, dict) and content.get("protected"):
                self.protected.add(_id_of(post))
            else:
                yield row_of_post(post)

    def _chosen(self, ids: Sequence[str], asked: Mapping[str, object]) -> Iterator[list[dict[str, Any]]]:
        for first in range(0, len(ids), PER_PAGE):
            some = ids[first : first + PER_PAGE]
            yield self._posts({"include": ",".join(some), "per_page": PER_PAGE, "orderby": "id", "order": "asc", **asked})[1]

    def _pages(self, asked: Mapping[str, object]) -> Iterator[list[dict[str, Any]]]:
        """All pages; where posts went while they were read, the page before is read again, for the rest have moved up to it."""
        page, last, before, seen = 1, 0, 0, set[str]()
        for _ in range(self._most_pages):
            try:
                answer, posts = self._posts({"per_page": PER_PAGE, "page": page, **asked})
            except FetchError as error:
                if page > 1 and error.status == 400:
                    return  # there is no such page any more
                raise
            fresh = [post for post in posts if _id_of(post) not in seen]
            seen.update(map(_id_of, fresh))
            if fresh:
                yield fresh
            total, pages = (_number(answer.headers.get(name)) for name in ("x-wp-total", "x-wp-totalpages"))
            self._total = total
            if total is not None and total < before and page > 1:
                before, last, page = total, max(last, page), page - 1
                continue
            if posts and not fresh and page > last:
                raise FetchError(answer.url, "it gives the same posts page after page", _LOOK)
            before, last = total or 0, max(last, page)
            if not posts or (page >= pages if pages is not None else len(posts) < PER_PAGE):
                return
            page += 1
        raise FetchError(self.root, f"its list of posts does not end ({self._most_pages:,} pages)", _LOOK)

    def _posts(self, asked: Mapping[str, object]) -> tuple[Answer, list[dict[str, Any]]]:
        answer = self._client.get(_route(self.root, "wp/v2/posts", asked))
        posts = _json(answer)
        if not isinstance(posts, list) or not all(isinstance(post, dict) for post in posts):
            raise FetchError(answer.url, "it is no list of posts", _LOOK)
        published = [post for post in posts if post.get("status", "publish") == "publish"]
        for post in published:
            if not _id_of(post).isdecimal():
                raise FetchError(answer.url, "it lists a post without a number", _LOOK)
        return answer, published


def find_wordpress(client: Client, address: str, front: Answer | None = None) -> WordPress | None:
    """The WordPress at an address, by the links of its page (`front`), else where its API usually stands; None for none."""
    if "/wp-json" in address or "rest_route=" in address:
        candidates = [_root_in(address)]
    else:
        base = front.url if front else address
        told = [urljoin(base, link) for link in _api_links(front)] if front else []
        folder = urlunsplit(urlsplit(base)._replace(query="", fragment="")).rstrip("/") + "/"
        candidates = list(dict.fromkeys([*told, f"{folder}wp-json/", f"{folder}?rest_route=/"]))
    for root in candidates:
        if client.permits(root) and _is_api(client, root):
            return WordPress(client, root)
    return None


def says_wordpress(front: Answer) -> bool:
    """Whether a page links to the REST API of WordPress."""
    return bool(_api_links(front))


def row_of_post(post: Mapping[str, Any]) -> dict[str, object]:
    """The row of an article that a post of the REST API means."""
    embedded = post.get("_embedded")
    embedded = embedded if isinstance(embedded, dict) else {}
    terms = [term for group in _list(embedded.get("wp:term")) for term in _dicts(group)]
    sections = [_name(term) for term in terms if term.get("taxonomy") == "category" and term.get("slug") != "uncategorized"]
    image = next((item.get("source_url") for item in _dicts(embedded.get("wp:featuredmedia"))), None)
    return {
        "id": _id_of(post),
        "title": _rendered(post.get("title")),
        "body": _rendered(post.get("content")) or _rendered(post.get("excerpt")),
        "published": _moment(post.get("date_gmt")) or post.get("date"),
        "updated": _moment(post.get("modified_gmt")) or post.get("modified"),
        "url": _web_address(post.get("link")),
        "section": next(filter(None, sections), None),
        "tags": [name for term in terms if term.get("taxonomy") == "post_tag" and (name := _name(term))],
        "authors": [name for author in _dicts(embedded.get("author")) if (name := _name(author))],
        "image": _web_address(image),
    }


def modified_of(row: Mapping[str, object]) -> str:
    """When a row last changed, as WordPress writes it in UTC; empty where it does not say."""
    updated = row.get("updated")
    return updated.removesuffix("Z") if isinstance(updated, str) and updated.endswith("Z") else ""


def _is_api(client: Client, root: str) -> bool:
    try:
        told = _json(client.get(_route(root, "", {"_fields": "namespaces"})))
    except FetchError as error:
        if error.reason.startswith("it is no JSON") or error.status in range(400, 500):
            return False
        raise
    return isinstance(told, dict) and "wp/v2" in _list(told.get("namespaces"))


def _root_in(address: str) -> str:
    """The root of the API in an address of anything in it."""
    if "/wp-json" in address:
        return address[: address.index("/wp-json")] + "/wp-json/"
    return address.split("?")[0] + "?rest_route=/"


def _api_links(front: Answer) -> list[str]:
    found = _LINK_HEADER.findall(front.headers.get("link", ""))
    text = front.content[: 1 << 20].decode("utf-8", "replace")
    found += [html.unescape(href[1]) for tag in _LINK_TAG.findall(text) if (href := _HREF.search(tag))]
    return [link for link in found if link.startswith(("http://", "https://", "/"))]


def _route(root: str, path: str, asked: Mapping[str, object]) -> str:
    query = urlencode({name: str(value) for name, value in asked.items()}, safe=",:")
    if "rest_route=" in root:
        return f"{root}{path}&{query}"
    return f"{root.rstrip('/')}/{path}?{query}"


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        page = answer.content.lstrip()[:1] == b"<"
        reason = "it is no JSON but a page; its REST API is switched off or behind a login" if page else "it is no JSON"
        raise FetchError(answer.url, reason, _LOOK) from None


def _id_of(post: Mapping[str, Any]) -> str:
    number = post.get("id")
    return str(number) if isinstance(number, int) and not isinstance(number, bool) and number > 0 else ""


def _modified(post: Mapping[str, Any]) -> str:
    moment = post.get("modified_gmt")
    return moment if isinstance(moment, str) else "9999"


def _moment(value: object) -> str | None:
    """A moment of WordPress in UTC; None for none, which it may write as 0000-00-00."""
    return f"{value}Z" if isinstance(value, str) and re.match(r"[1-9]\d{3}-\d\d-\d\dT", value) else None


def _day_before(moment: str) -> str:
    return (datetime.fromisoformat(moment) - timedelta(days=1)).isoformat()


def _rendered(value: object) -> str:
    text = value.get("rendered") if isinstance(value, dict) else value
    return text if isinstance(text, str) else ""


def _name(term: Mapping[str, Any]) -> str:
    name = term.get("name")
    return html.unescape(name).strip() if isinstance(name, str) else ""


def _web_address(value: object) -> str | None:
    return value if isinstance(value, str) and value.startswith(("https://", "http://")) else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]


def _number(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,9}", text) else None
