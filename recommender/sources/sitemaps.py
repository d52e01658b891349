"""Sitemaps and lists of addresses -> the pages that they name. Index files, gzip; XML bombs are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from recommender.errors import FetchError
from recommender.sources.http import Answer, Client
from recommender.sources.limits import unpacked

MOST_SITEMAPS = 1_000
"""Sitemaps that one index may lead to; an index holds up to 50,000, a news site has one a month."""

MOST_PAGES = 500_000
UNPACKED_LIMIT = 64 * 2**20
"""Largest sitemap in bytes; the standard allows 50 MiB."""

_GZIP = b"\x1f\x8b"


class Page(NamedTuple):
    """A page that a sitemap or a list names."""

    url: str
    changed: str
    """As the sitemap says it (lastmod, else the publication date of news); empty where it does not."""


class Sitemap(NamedTuple):
    """What a sitemap names: pages, or other sitemaps."""

    pages: list[Page]
    sitemaps: list[str]
    news: bool
    """Whether it holds the latest news only, so that a page it no longer names need not be gone."""


def read_sitemap(content: bytes, url: str) -> Sitemap:
    """The pages and sitemaps that a sitemap names; FetchError where it is none."""
    if content[:2] == _GZIP:
        try:
            content = b"".join(unpacked([content], UNPACKED_LIMIT, url))
        except EOFError:
            raise FetchError(url, "its gzip data end too early", "mend the sitemap") from None
    try:
        root = fromstring(content, forbid_dtd=True)
    except DefusedXmlException:
        raise FetchError(url, "its XML defines entities or a document type, which may be an attack", "mend the sitemap") from None
    except (ParseError, ValueError, LookupError) as error:
        raise FetchError(url, f"its XML is broken ({error})", "mend the sitemap") from None
    if _bare(root.tag) not in ("urlset", "sitemapindex"):
        raise FetchError(url, f"it is no sitemap but <{_bare(root.tag)}>", "name a sitemap, a feed or a list of addresses")
    pages, sitemaps, news = [], [], False
    for entry in root:
        told = {_bare(part.tag): (part.text or "").strip() for part in entry.iter()}
        if not told.get("loc"):
            continue
        first = next((part.text or "").strip() for part in entry.iter() if _bare(part.tag) == "loc")  # not an image's
        news = news or "publication_date" in told
        if _bare(entry.tag) == "sitemap":
            sitemaps.append(first)
        else:
            pages.append(Page(first, told.get("lastmod") or told.get("publication_date", "")))
    return Sitemap(pages, sitemaps, news)


def read_list(content: bytes, url: str) -> list[Page]:
    """The addresses of a list, one a line; blank lines and those that begin with # are passed over."""
    try:
        lines = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise FetchError(url, "it is not UTF-8", "write it as UTF-8 text") from None
    named = [line for line in lines if line and not line.startswith("#")]
    wrong = next((line for line in named if not line.startswith(("http://", "https://"))), None)
    if wrong is not None:
        raise FetchError(url, f"it is no list of addresses: {wrong[:60]!r} is none", "write one address a line")
    return [Page(line, "") for line in dict.fromkeys(named)]


def is_sitemap(content: bytes) -> bool:
    """Whether it looks like one; a gzip file does, for nothing else of a site is packed so."""
    return content[:2] == _GZIP or b"<urlset" in content[:4096] or b"<sitemapindex" in content[:4096]


def is_list(content: bytes) -> bool:
    """Whether the first line that is not blank is an address."""
    lines = (line.strip() for line in content[:4096].removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    return next((line for line in lines if line and not line.startswith(b"#")), b"").startswith((b"http://", b"https://"))


def pages_of_sitemap(client: Client, front: Answer) -> tuple[list[Page], bool, list[str]]:
    """(the pages that a sitemap and those below it name, each once; whether some of it holds the latest news only; the faults
    of those below it that are not there any more, nor allowed)."""
    found: dict[str, Page] = {}
    kinds: list[bool] = []
    missing: list[str] = []
    for sitemap in _sitemaps(client, front, missing):
        found |= {page.url: page for page in sitemap.pages}
        if sitemap.pages:
            kinds.append(sitemap.news)
        if len(found) > MOST_PAGES:
            raise FetchError(front.url, f"it names more than {MOST_PAGES:,} pages", "name one of its sitemaps")
    return list(found.values()), any(kinds), missing


def _sitemaps(client: Client, front: Answer, missing: list[str]) -> Iterator[Sitemap]:
    seen = {front.url}
    first = read_sitemap(front.content, front.url)
    yield first
    waiting = list(first.sitemaps)
    while waiting:
        url = waiting.pop(0)
        if url in seen:
            continue
        seen.add(url)
        if len(seen) > MOST_SITEMAPS:
            raise FetchError(front.url, f"it leads to more than {MOST_SITEMAPS:,} sitemaps", "name one of its sitemaps")
        try:
            content = client.get(url).content
        except FetchError as error:
            if error.status not in (404, 410) and client.permits(url):
                raise  # of a site that is down for the moment not half is taken
            missing.append(str(error))
            continue
        sitemap = read_sitemap(content, url)
        waiting += sitemap.sitemaps
        yield sitemap


def _bare(tag: object) -> str:
    return str(tag).rpartition("}")[2]
