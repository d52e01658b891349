"""Addresses of the web -> what stands there: a WordPress site, a feed, a sitemap, a list of pages, a file; and its rows."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from recommender.errors import FetchError, InvalidArticleError, RecommenderError, UnreadableSourceError
from recommender.pipeline.formats import Row
from recommender.sources.http import Answer, Client, Manners
from recommender.sources.recognising import kind_held
from recommender.sources.sitemaps import Page, is_list, is_sitemap, pages_of_sitemap, read_list
from recommender.sources.wordpress import WordPress, find_wordpress, says_wordpress

FAILURES_IN_A_ROW = 5
"""Pages one after the other that may fail before a site is taken for one that is down."""

_WORDPRESS = "wordpress:"
INSTALL = "install what sites need with `pip install 'recommender[sites]'`"
_LET_IT = "let the site allow /wp-json/wp/v2/posts, or export it (Tools, Export, All content) and build from that file"
_NAME_IT = "name a WordPress site, a feed, a sitemap or a list of page addresses; a single page is taken with --format html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A feed, as it is now."""

    answer: Answer
    kind = "a feed"

    def rows(self, notice: Callable[[str], None]) -> Iterator[Row]:
        """Its entries as rows of articles."""
        try:
            from recommender.sources.feeds import rows_of_feed
        except ImportError as error:
            raise UnreadableSourceError(self.answer.url, f"feeds cannot be read here ({error})", INSTALL) from None
        yield from rows_of_feed(io.BytesIO(self.answer.content), self.answer.url, notice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The pages that a sitemap or a list names, or the one that stands there."""

    client: Client
    pages: list[Page]
    kind: str
    """What it is, for a person."""
    news: bool = False
    """Whether it holds the latest news only."""


Site = WordPress | Feed | Pages


def plain_address(source: str) -> str:
    """The address in a source: `wordpress:URL` is URL, and `wordpress:` before a name alone means https."""
    address = source.strip().removeprefix(_WORDPRESS)
    return address if "://" in address or address == source.strip() else f"https://{address}"


def open_site(client: Client, source: str, front: Answer | None = None, *, format: str | None = None) -> Site:
    """What stands at an address (`front`: its page, if it is known already); UnreadableSourceError where it is no source.

    `format` (wordpress, feed, sitemap, list, html) says what it is, whatever it looks like.
    """
    address = plain_address(source)
    is_api = source.strip().startswith(_WORDPRESS) or "/wp-json" in address or "rest_route=" in address
    if format == "wordpress" or (format is None and is_api):
        if found := find_wordpress(client, address):
            return found
        raise UnreadableSourceError(address, "there is no REST API of WordPress", f"check the address, or {_LET_IT}")
    if format == "html":
        return Pages(client=client, pages=[Page(address, "")], kind="a page by itself")
    front = front or client.get(address)
    kind = format or _kind_of(front)
    if kind == "sitemap":
        pages, news, missing = pages_of_sitemap(client, front)
        told = f"a {'news ' if news else ''}sitemap of {_counted(pages)}"
        if missing:
            told += f"; {len(missing):,} of the sitemaps that it names cannot be read: {'; '.join(missing[:3])}"
        return Pages(client=client, pages=pages, kind=told, news=news)
    if kind == "list":
        pages = read_list(front.content, front.url)
        return Pages(client=client, pages=pages, kind=f"a list of {_counted(pages)}")
    if kind == "feed":
        return Feed(answer=front)
    if found := find_wordpress(client, address, front):
        return found
    if says_wordpress(front):
        at = front.url.rstrip("/")
        remedy = f"{_LET_IT}; or name {at}/wp-sitemap.xml, or for the latest posts {at}/feed/"
        raise UnreadableSourceError(address, "its REST API of WordPress cannot be read", remedy)
    raise UnreadableSourceError(address, "it is no source that is known", _NAME_IT)


def _counted(pages: Sequence[object]) -> str:
    return f"{len(pages):,} page{'' if len(pages) == 1 else 's'}"


def _kind_of(front: Answer) -> str:
    """Which kind an answer is by what it holds; empty where it is none of them, but perhaps a page of WordPress."""
    if is_sitemap(front.content):
        return "sitemap"
    if is_list(front.content):
        return "list"
    return "feed" if kind_held(front.content[:65536]) == "feed" else ""


def file_at(address: str, manners: Manners | None = None) -> bytes:
    """The bytes of a file at an address."""
    with Client(address, manners) as client:
        return client.get(address).content


def rows_of_address(
    source: str, format: str | None, notice: Callable[[str], None], manners: Manners | None = None
) -> Iterator[Row]:
    """The rows of articles at an address; what is recognised is said before the first, what could not be read at the end."""
    with Client(plain_address(source), manners) as client:
        site = open_site(client, source, format=format)
        notice(f"{plain_address(source)}: {site.kind}")
        if isinstance(site, Feed):
            yield from site.rows(notice)
            return
        rows = (
            (Row(f"post {row['id']}", row, "") for row in site.posts()) if isinstance(site, WordPress) else _pages(site, notice)
        )
        first = next(rows, None)
        if first is None:
            raise UnreadableSourceError(plain_address(source), "it has no articles", "look at the address in a browser")
        yield first
        yield from rows
        if isinstance(site, WordPress) and site.protected:
            notice(f"{plain_address(source)}: {len(site.protected):,} left out: with a password")


def _pages(site: Pages, notice: Callable[[str], None]) -> Iterator[Row]:
    left_out = []
    for page, row in fetched(site.client, site.pages):
        if isinstance(row, RecommenderError):
            left_out.append(fault_of(page, row))
        else:
            yield Row(page.url, row, "")
    if left_out:
        notice(f"{_counted(left_out)} left out{'; the first' if len(left_out) > 1 else ''}: {left_out[0]}")


def fault_of(page: Page, error: RecommenderError) -> str:
    """What is wrong with a page, its address first."""
    said = str(error)
    return said if said.startswith(page.url) else f"{page.url}: {said}"


def fetched(client: Client, pages: list[Page]) -> Iterator[tuple[Page, dict[str, object] | RecommenderError]]:
    """(a page, its row or why there is none); a site that fails page after page raises its last error."""
    failures = 0
    for page in pages:
        try:
            answer = client.get(page.url)
            failures = 0
            yield page, _row_of(answer)
        except (InvalidArticleError, UnreadableSourceError) as error:
            gone = isinstance(error, FetchError) and error.status in (404, 410)
            failures += isinstance(error, FetchError) and not gone
            if failures == FAILURES_IN_A_ROW:
                raise
            yield page, error


def _row_of(answer: Answer) -> dict[str, object]:
    try:
        from recommender.sources.pages import row_of_page
    except ImportError as error:
        raise UnreadableSourceError(answer.url, f"pages cannot be read here ({error})", INSTALL) from None
    try:
        row = row_of_page(answer.content, answer.url, answer.headers.get("content-type", ""))
    except ValueError as error:
        raise UnreadableSourceError(answer.url, str(error), "leave it out, or name another page") from None
    return {**row, "url": row["url"] or answer.url}
