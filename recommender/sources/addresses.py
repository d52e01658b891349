"""Addresses of the web -> what stands there: a WordPress site, a feed, a sitemap or a list of pages; and its rows."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from recommender.errors import FetchError, InvalidArticleError, RecommenderError, UnreadableSourceError
from recommender.sources.http import Answer, Client
from recommender.sources.sitemaps import Page, is_list, is_sitemap, pages_named
from recommender.sources.wordpress import WordPress, find_wordpress, says_wordpress

FAILURES_IN_A_ROW = 5
"""Pages one after the other that may fail before a site is taken for one that is down."""

_WORDPRESS = "wordpress:"
_FEED = re.compile(rb"<(?:\w+:)?(?:rss|feed|RDF)[\s>]|https?://(?:www\.)?jsonfeed\.org/version")
INSTALL = "install what sites need with `pip install 'recommender[sites]'`"
_LET_IT = "let the site allow /wp-json/wp/v2/posts, or export it (Tools, Export, All content) and build from that file"
_NAME_IT = "name a WordPress site, a feed, a sitemap or a list of page addresses"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A feed, as it is now."""

    answer: Answer
    kind = "a feed"

    def rows(self) -> Iterator[dict[str, object]]:
        """Its entries as rows of articles."""
        try:
            from recommender.sources.feeds import rows_of_feed
        except ImportError as error:
            raise UnreadableSourceError(self.answer.url, f"feeds cannot be read here ({error})", INSTALL) from None
        for row in rows_of_feed(io.BytesIO(self.answer.content), self.answer.url, lambda message: None):
            if isinstance(row.value, dict):
                yield row.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """The pages that a sitemap or a list names."""

    client: Client
    pages: list[Page]
    news: bool
    """Whether it holds the latest news only."""

    @property
    def kind(self) -> str:
        """What it is, for a person."""
        return f"a {'news ' if self.news else ''}list or sitemap of {len(self.pages):,} pages"


Site = WordPress | Feed | Pages


def plain_address(source: str) -> str:
    """The address in a source: `wordpress:URL` is URL, and `wordpress:` before a name alone means https."""
    address = source.strip().removeprefix(_WORDPRESS)
    return address if "://" in address or address == source.strip() else f"https://{address}"


def open_site(client: Client, source: str, front: Answer | None = None) -> Site:
    """What stands at an address (`front`: its page, if it is known already); UnreadableSourceError where it is no source."""
    address = plain_address(source)
    if source.strip().startswith(_WORDPRESS) or "/wp-json" in address or "rest_route=" in address:
        if found := find_wordpress(client, address):
            return found
        raise UnreadableSourceError(address, "there is no REST API of WordPress", f"check the address, or {_LET_IT}")
    front = front or client.get(address)
    if is_sitemap(front.content) or is_list(front.content):
        pages, news = pages_named(client, front)
        return Pages(client=client, pages=pages, news=news)
    if _FEED.search(front.content[:8192]):
        return Feed(answer=front)
    if found := find_wordpress(client, address, front):
        return found
    if says_wordpress(front):
        raise UnreadableSourceError(address, "its REST API of WordPress cannot be read", _LET_IT)
    raise UnreadableSourceError(address, "it is no source that is known", _NAME_IT)


def rows_of_address(source: str, notice: Callable[[str], None]) -> Iterator[Mapping[str, object]]:
    """The rows of articles at an address; what is recognised is said before the first."""
    with Client(plain_address(source)) as client:
        site = open_site(client, source)
        notice(f"{plain_address(source)}: {site.kind}")
        if isinstance(site, WordPress):
            yield from site.posts()
            if site.protected:
                notice(f"{plain_address(source)}: {len(site.protected):,} left out: with a password")
        elif isinstance(site, Feed):
            yield from site.rows()
        else:
            left_out = []
            for page, row in fetched(client, site.pages):
                if isinstance(row, RecommenderError):
                    left_out.append(f"{page.url}: {row}")
                else:
                    yield row
            if left_out:
                notice(f"{len(left_out):,} pages left out; the first: {left_out[0]}")


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
        row = row_of_page(answer.content, answer.url)
    except ValueError as error:
        raise UnreadableSourceError(answer.url, str(error), "leave it out, or name another page") from None
    return {**row, "url": row["url"] or answer.url}
