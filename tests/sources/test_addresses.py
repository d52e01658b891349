"""What stands at an address is told by what it holds, whatever the server calls it."""

from __future__ import annotations

import pytest

from recommender import read_articles
from recommender.sources.http import Manners
from tests.sources.exports import rss
from tests.sources.site import Site

TEXT = "The kiln was fired on Sunday, said the potter of Marsh Point, and the glaze held. " * 4
WRONG = ["text/html", "application/octet-stream", "image/png", "", "text/plain; charset=utf-16", "no type at all"]


def read(site: Site, path: str) -> tuple[list[str], list[str]]:
    """(the ids at an address; the notices)."""
    notices: list[str] = []
    found = read_articles([site.address + path], manners=Manners(rate=10_000, retries=0), notice=notices.append)
    return [article.id for article in found], notices


@pytest.mark.parametrize("told", WRONG)
def test_a_wrong_content_type_changes_nothing(site: Site, told: str) -> None:
    """Feeds, sitemaps, lists and pages are read as what they are."""
    page = f"<html><head><link rel=canonical href={site.address}/kiln></head><body><h1>Kiln</h1><p>{TEXT}</p></body></html>"
    entry = f"<item><guid>f</guid><title>x</title><description>{TEXT}</description></item>"
    at, headers = site.address, {"Content_Type": told}
    site.pages = {
        "/page": (page.encode(), headers),
        "/feed": (rss(entry), headers),
        "/sitemap": (f"<urlset><url><loc>{at}/page</loc></url></urlset>".encode(), headers),
        "/list": (f"{at}/page\n".encode(), headers),
    }
    for path, kind, expected in [("/feed", "a feed", "f"), ("/sitemap", "a sitemap of", "kiln"), ("/list", "a list of", "kiln")]:
        found, notices = read(site, path)
        assert found == [expected]
        assert notices[0].startswith(f"{at}{path}: {kind}")


@pytest.mark.parametrize(
    "content", [b"%PDF-1.7\n\x00\xff", b"\x89PNG\r\n\x1a\n\0", b"", b"just words", b"{}", b"<html></html>", b"\xff" * 999]
)
def test_what_is_no_page_is_left_out_with_its_address_and_a_reason(site: Site, content: bytes) -> None:
    """Though the server calls it one; the other pages of the list are read."""
    page = f"<html><head><link rel=canonical href={site.address}/kiln></head><body><h1>Kiln</h1><p>{TEXT}</p></body></html>"
    site.pages = {"/page": (page.encode(), {}), "/odd": (content, {"Content_Type": "text/html; charset=utf-8"})}
    site.pages["/list"] = (f"{site.address}/odd\n{site.address}/page".encode(), {})
    found, notices = read(site, "/list")
    assert found == ["kiln"]
    assert notices[1].startswith(f"1 page left out: {site.address}/odd: ")
    assert notices[1].endswith("; leave it out, or name another page")
