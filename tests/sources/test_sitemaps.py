"""Sitemaps, lists of addresses and feeds on the web: what they name is fetched, what they hide is not."""

from __future__ import annotations

import gzip
import json
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from recommender import read_articles
from recommender.errors import FetchError, TooManyRemovalsError, UnreadableSourceError
from recommender.pipeline.formats import Row
from recommender.sources.http import Client, Manners
from recommender.sources.sitemaps import pages_of_sitemap, read_list, read_sitemap
from recommender.syncing import Synced, SyncOptions, sync
from tests.archives import report
from tests.sources.site import Site
from tests.sources.test_syncing import a_day_later, counts, held

NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"
QUICK = Manners(rate=10_000, retries=0, read_seconds=1.0)
URL = "https://site.example/sitemap.xml"


def page(number: int, edition: int = 0) -> bytes:
    """A page that the stand-in of the reader of pages understands."""
    told = report(f"page {number}", f"story {number % 2}", number / 10, edition=edition)
    return json.dumps({"id": f"page {number}", "title": told.title, "body": told.body}).encode()


@pytest.fixture(autouse=True)
def readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the readers of feeds and pages: each page is JSON, a feed is a list of pages after its first line."""
    pages, feeds = types.ModuleType("recommender.sources.pages"), types.ModuleType("recommender.sources.feeds")

    def row_of_page(content: bytes, name: str, content_type: str) -> dict[str, Any]:
        if not content.startswith(b"{"):
            raise ValueError("it holds no article")
        told: dict[str, Any] = json.loads(content)
        return {**told, "url": name}

    def rows_of_feed(stream: IO[bytes], shown: str, notice: Callable[[str], None]) -> Iterator[Row]:
        for number, told in enumerate(json.loads(stream.read().partition(b"\n")[2]), 1):
            yield Row(f"entry {number}", told, "")

    vars(pages)["row_of_page"], vars(feeds)["rows_of_feed"] = row_of_page, rows_of_feed
    monkeypatch.setitem(sys.modules, "recommender.sources.pages", pages)
    monkeypatch.setitem(sys.modules, "recommender.sources.feeds", feeds)


def sitemap(*entries: tuple[str, str], kind: str = "url", news: bool = False) -> bytes:
    root = "urlset" if kind == "url" else "sitemapindex"
    named = "<news:news><news:publication_date>2025-01-01</news:publication_date></news:news>" if news else ""
    image = "<image:image><image:loc>http://cdn.example/1.jpg</image:loc></image:image>"
    lines = [
        f"<{kind}><loc> {url} </loc>{f'<lastmod>{changed}</lastmod>' if changed else ''}{named}{image}</{kind}>"
        for url, changed in entries
    ]
    spaces = f'xmlns="{NAMESPACE}" xmlns:news="http://www.google.com/schemas/sitemap-news/0.9" xmlns:image="i"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} {spaces}>{"".join(lines)}</{root}>'.encode()


def brought(site: Site, index: Path, path: str = "/sitemap.xml", **options: Any) -> Synced:
    return sync(site.address + path, index, SyncOptions(manners=QUICK, **options))


def put(site: Site, *numbers: int, edition: int = 0) -> None:
    for number in numbers:
        site.pages[f"/{number}"] = (page(number, edition), {})


def test_an_index_of_sitemaps_leads_to_every_page_once(site: Site) -> None:
    """Nested, packed, in a circle: each page and each sitemap once; the address of an image is no page."""
    at = site.address
    site.pages["/sitemap.xml"] = (
        sitemap((f"{at}/a.xml", ""), (f"{at}/b.xml.gz", ""), (f"{at}/sitemap.xml", ""), kind="sitemap"), {},
    )  # fmt: skip
    site.pages["/a.xml"] = (sitemap((f"{at}/1", "2025-01-01"), (f"{at}/2", "")), {})
    site.pages["/b.xml.gz"] = (gzip.compress(sitemap((f"{at}/2", "2025-01-02"), (f"{at}/3", ""))), {})
    with Client(at, QUICK) as client:
        pages, news, missing = pages_of_sitemap(client, client.get(f"{at}/sitemap.xml"))
        assert [(found.url[len(at) :], found.changed) for found in pages] == [
            *(("/1", "2025-01-01"), ("/2", "2025-01-02"), ("/3", ""))
        ]
        assert (news, missing) == (False, [])
        assert client.requests == 3
    put(site, 1, 2, 3)
    assert [article.id for article in read_articles([f"{at}/sitemap.xml"])] == ["page 1", "page 2", "page 3"]


BOMB = b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 9))
BAD = [
    b'<!DOCTYPE x [<!ENTITY a0 "ha">' + BOMB + b"]><urlset>&a8;</urlset>",
    b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><urlset><url><loc>&a;</loc></url></urlset>',
    b'<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd"><urlset/>',
    *(
        b"<urlset>",
        b"<urlset></url>",
        b"<rss/>",
        b"",
        b"\x00",
        b"<urlset>\xff</urlset>",
        b'<?xml version="1.0" encoding="x"?><urlset/>',
    ),
    *(gzip.compress(bytes(70 << 20)), gzip.compress(b"<urlset/>")[:-4], b"\x1f\x8b"),
]


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_what_is_no_sitemap_is_refused_in_one_line(content: bytes) -> None:
    """Entities that multiply, files of this machine, broken XML, gzip bombs."""
    with pytest.raises(FetchError) as caught:
        read_sitemap(content, URL)
    assert "\n" not in str(caught.value)
    assert "root:" not in str(caught.value)


def test_lists_hold_one_address_a_line() -> None:
    """Comments and blank lines are passed over; anything else is refused."""
    assert [page.url for page in read_list(b"\xef\xbb\xbfhttp://a/1\r\n\n# more\nhttps://a/2\nhttp://a/1", URL)] == [
        *("http://a/1", "https://a/2")
    ]
    for wrong in (b"http://a/1\n/etc/passwd", b"http://a/1\nfile:///x", b"http://a/\xff"):
        with pytest.raises(FetchError):
            read_list(wrong, URL)


def test_pages_elsewhere_are_left_out(site: Site, tmp_path: Path) -> None:
    """A sitemap cannot send the engine to another site, another port or this machine."""
    bad = ["http://127.0.0.1:6379/", "http://169.254.169.254/latest/meta-data/", "http://other.example/x", "file:///etc/passwd"]
    put(site, 1)
    named = [f"{site.address}/1", *bad]
    site.pages["/sitemap.xml"] = (sitemap(*((url, "") for url in named)), {})
    notices: list[str] = []
    done = brought(site, tmp_path, notice=notices.append)
    assert (done.added, done.left_out) == (1, 4)
    assert done.requests == 2


def test_a_sitemap_is_followed(site: Site, tmp_path: Path) -> None:
    """New pages and those with another lastmod are fetched, no others; one that answers 404 or 410 is removed."""
    at = site.address
    put(site, 1, 2, 3, 4, 5)
    old = [(f"{at}/{number}", "2025-01-01") for number in (1, 2, 3, 4, 5)]
    site.pages["/sitemap.xml"] = (sitemap(*old), {})
    assert counts(brought(site, tmp_path)) == (5, 0, 0, 0)
    site.asked.clear()
    assert counts(brought(site, tmp_path)) == (0, 0, 0, 0)
    assert site.asked == ["/sitemap.xml"]
    put(site, 6)
    put(site, 2, edition=1)
    del site.pages["/5"]
    site.pages["/sitemap.xml"] = (sitemap((f"{at}/6", "2025-01-03"), (f"{at}/2", "2025-01-03"), *old[0:1], *old[2:3]), {})
    site.asked.clear()
    done = brought(site, tmp_path)
    assert counts(done) == (1, 1, 0, 1)  # 4 is named no more, but is still there
    assert set(held(tmp_path)) == {f"page {number}" for number in (1, 2, 3, 4, 6)}
    assert sorted(site.asked) == ["/2", "/4", "/5", "/6", "/sitemap.xml"]


def test_pages_that_were_too_many_to_be_removed_are_not_forgotten(site: Site, tmp_path: Path) -> None:
    """Once that is allowed they go, but for one that has come back."""
    put(site, 1, 2, 3, 4)
    both = [sitemap(*((f"{site.address}/{number}", "2025-01-01") for number in some)) for some in ((1, 2, 3, 4), (1,), (1, 4))]
    site.pages["/sitemap.xml"] = (both[0], {})
    brought(site, tmp_path)
    for number in (2, 3, 4):
        del site.pages[f"/{number}"]
    site.pages["/sitemap.xml"] = (both[1], {})
    with pytest.raises(TooManyRemovalsError):
        brought(site, tmp_path)
    put(site, 4)
    site.pages["/sitemap.xml"] = (both[2], {})
    assert brought(site, tmp_path, allow_removals=True).removed == 2
    assert set(held(tmp_path)) == {"page 1", "page 4"}


def test_old_news_stay(site: Site, tmp_path: Path) -> None:
    """What has left a news sitemap is two days old, not gone; nobody asks."""
    put(site, 1, 2)
    site.pages["/sitemap.xml"] = (sitemap((f"{site.address}/1", ""), (f"{site.address}/2", ""), news=True), {})
    brought(site, tmp_path)
    del site.pages["/1"]
    site.pages["/sitemap.xml"] = (sitemap((f"{site.address}/2", ""), news=True), {})
    a_day_later(tmp_path)
    assert brought(site, tmp_path).removed == 0
    assert "page 1" in held(tmp_path)


def test_a_site_that_is_down_is_no_site_without_pages(site: Site, tmp_path: Path) -> None:
    """After some pages in a row that fail the sync ends, and nothing is changed; single ones are left out."""
    numbers = range(1, 12)
    put(site, *numbers)
    site.pages["/sitemap.xml"] = (sitemap(*((f"{site.address}/{number}", "") for number in numbers)), {})
    brought(site, tmp_path)
    a_day_later(tmp_path)
    site.instead = [None, *[lambda request: request.send(b"", 500)] * 20]
    with pytest.raises(FetchError):
        brought(site, tmp_path)
    site.instead = [None, None, lambda request: request.send(b"", 500)]
    done = brought(site, tmp_path)
    assert (done.left_out, done.removed) == (1, 0)
    assert len(held(tmp_path)) == 11


def test_a_feed_that_has_not_changed_costs_one_request(site: Site, tmp_path: Path) -> None:
    """By its ETag; what a feed no longer shows stays."""

    def feed(*numbers: int) -> bytes:
        return b"<rss></rss>\n" + json.dumps([json.loads(page(number)) for number in numbers]).encode()

    site.pages["/feed"] = (feed(1, 2, 3), {"ETag": '"one"'})
    assert counts(brought(site, tmp_path, "/feed")) == (3, 0, 0, 0)
    site.conditions.clear()
    assert brought(site, tmp_path, "/feed").requests == 1
    assert site.conditions == ['"one"']
    site.pages["/feed"] = (feed(3, 4), {"ETag": '"two"'})
    assert counts(brought(site, tmp_path, "/feed")) == (1, 0, 1, 0)
    assert len(held(tmp_path)) == 4


def test_what_cannot_be_read_here_says_what_to_install(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the reader of feeds a feed is refused in one line."""
    site.pages["/feed"] = (b"<rss></rss>\n[]", {})
    monkeypatch.setitem(sys.modules, "recommender.sources.feeds", None)
    with pytest.raises(UnreadableSourceError, match="cannot be read here"):
        list(read_articles([f"{site.address}/feed"]))
