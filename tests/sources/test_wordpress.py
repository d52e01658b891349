"""The posts of a WordPress site as articles: against a server that pages, shifts and fails as real ones do."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from recommender import Article, RecommenderError, read_articles
from recommender.errors import FetchError, UnreadableSourceError
from recommender.sources.addresses import open_site
from recommender.sources.http import Client, Manners
from recommender.sources.wordpress import WordPress
from tests.sources.site import Request, Site

QUICK = Manners(rate=10_000, retries=1, first_wait=0.001, read_seconds=1.0)


def sends(content: bytes, status: int = 200) -> Callable[[Request], None]:
    return lambda request: request.send(content, status)


def wordpress(site: Site, *, most_pages: int = 100) -> WordPress:
    return WordPress(Client(site.address, QUICK), f"{site.address}/wp-json/", most_pages=most_pages)


def all_posts(site: Site) -> list[dict[str, object]]:
    """What the site's address leads to."""
    with Client(site.address, QUICK) as client:
        found = open_site(client, site.address)
        assert isinstance(found, WordPress)
        return list(found.posts())


def numbers(rows: Any) -> list[int]:
    return [int(row["id"]) for row in rows]


def test_posts_become_articles_with_all_their_fields(site: Site) -> None:
    """Sections, tags, authors and image come along, entities are letters; drafts do not."""
    site.write(7, Article(id="x", title="Ferry &amp; strait &#8211; what we know", body="It sank."), status="draft")
    site.write(8, Article(id="x", title="Ferry &amp; strait", body="It sank."), date_gmt="2025-02-03T04:05:06")
    notices: list[str] = []
    found = {article.id: article for article in read_articles([site.address], notice=notices.append)}
    assert set(found) == {"1", "2", "3", "4", "5", "6", "8"}
    ferry = found["8"]
    assert (ferry.section, ferry.tags, ferry.authors) == ("World & War", ("ferry",), ("Ann O’Hara",))
    assert (ferry.url, ferry.image) == (f"{site.address}/?p=8", f"{site.address}/8.jpg")
    assert ferry.published == datetime(2025, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert ferry.updated == site.clock.replace(tzinfo=UTC)
    assert "<p>It sank.</p>" in ferry.body
    assert notices == [f"{site.address}: a WordPress site (REST API)"]


def test_posts_with_a_password_are_left_out_with_a_word(site: Site) -> None:
    """WordPress lists them with a title and no text."""
    site.write(7, content={"rendered": "", "protected": True}, title={"rendered": "Protected: Ferry"})
    notices: list[str] = []
    assert {article.id for article in read_articles([site.address], notice=notices.append)} == set("123456")
    assert notices[1:] == [f"{site.address}: 1 left out: with a password"]


@pytest.mark.parametrize(("folder", "plain"), [("", False), ("/news", False), ("", True), ("/news", True)])
@pytest.mark.parametrize("scheme", ["", "wordpress:"])
@pytest.mark.parametrize("end", ["", "/"])
def test_the_api_is_found_wherever_it_stands(site: Site, folder: str, plain: bool, scheme: str, end: str) -> None:
    """In a folder of the site, and where its addresses are plain (?rest_route=)."""
    site.folder, site.plain = folder, plain
    assert len(list(read_articles([f"{scheme}{site.address}{folder}{end}"]))) == 6


@pytest.mark.parametrize("tail", ["/wp-json", "/wp-json/wp/v2/posts?per_page=5", "/?rest_route=/wp/v2/posts"])
def test_an_address_within_the_api_means_the_site(site: Site, tail: str) -> None:
    """Who names the list of posts gets all of them."""
    assert len(list(read_articles([f"{site.address}{tail}"]))) == 6


@pytest.mark.parametrize(
    "part", ["<!-- <rdf:RDF xmlns:rdf='x'> -->", "<p><feed>", "<script>'https://jsonfeed.org/version/1'</script>"]
)
def test_a_home_page_that_speaks_of_feeds_is_none(site: Site, part: str) -> None:
    """Old themes write RDF into a comment of each page; what counts is the first element."""
    site.instead = [lambda request: request.send(f"<!doctype html><html><body>{part}".encode())]
    assert len(list(read_articles([site.address]))) == 6


def test_a_link_to_an_api_elsewhere_is_not_followed(site: Site) -> None:
    """A site whose home says it is another host is read where the user found it."""
    link = '<link rel="https://api.w.org/" href="http://other.example/wp-json/">'
    site.instead = [lambda request: request.send(link.encode())]
    assert len(list(read_articles([site.address]))) == 6


def test_no_post_is_missed_while_pages_shift(site: Site) -> None:
    """A post that is trashed between two pages moves all that follow; each of the others still comes once."""
    site.per_page = 2
    site.between = [lambda: site.trash(1), lambda: site.write(9), lambda: site.trash(4)]
    found = numbers(wordpress(site).posts())
    assert sorted(found) in ([1, 2, 3, 4, 5, 6, 9], [1, 2, 3, 5, 6, 9])
    assert len(found) == len(set(found))


@pytest.mark.parametrize("moment", [1, 2])
@pytest.mark.parametrize("number", [50, 200])
def test_a_post_that_appears_while_pages_are_read_is_neither_lost_nor_twice(site: Site, number: int, moment: int) -> None:
    """A new one stands at the end; one that was written long ago and published now stands on a page that was read already."""
    for known in [*site.posts]:
        site.posts[known + 100] = {**site.posts.pop(known), "id": known + 100}
    site.per_page = 2
    site.between = [*[lambda: None] * (moment - 1), lambda: site.write(number)]
    assert sorted(numbers(wordpress(site).posts())) == sorted([number, 101, 102, 103, 104, 105, 106])


def test_a_site_that_fails_for_a_while_is_read_to_its_end(site: Site) -> None:
    """Each page of posts fails once, by an error, by a cut, by silence: all posts come once."""

    def cuts(request: Request) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n[")
        request.close_connection = True

    site.per_page = 2
    site.instead = [sends(b"", 500), None, cuts, None, sends(b"", 503), None]
    assert numbers(wordpress(site).posts()) == [1, 2, 3, 4, 5, 6]
    assert len(site.asked) == 6


SHUT = [(b'{"code": "rest_no_route"}', 404), (b'{"code": "rest_login_required"}', 401), (b"", 403), (b"<html>Log in", 200)]


@pytest.mark.parametrize(("content", "status"), SHUT)
def test_a_wordpress_whose_api_is_off_says_what_to_name_instead(site: Site, content: bytes, status: int) -> None:
    """By any answer that plug-ins give: its feed and its sitemap are named, which WordPress has at the same addresses ever."""
    site.instead = [None, *[sends(content, status)] * 3]
    with pytest.raises(UnreadableSourceError) as caught:
        list(read_articles([site.address]))
    assert str(caught.value) == (
        f"{site.address}: its REST API of WordPress cannot be read; let the site allow /wp-json/wp/v2/posts, "
        "or export it (Tools, Export, All content) and build from that file; "
        f"or name {site.address}/wp-sitemap.xml, or for the latest posts {site.address}/feed/"
    )


def test_of_what_has_changed_no_more_is_fetched_than_that(site: Site) -> None:
    """One request where little has changed; a post changed at the very moment that is known comes again."""
    since = site.clock.isoformat()
    site.write(2)
    site.asked.clear()
    assert numbers(wordpress(site).posts(since)) == [2, 6]
    assert len(site.asked) == 1


def test_a_site_that_knows_no_modified_after_ends_where_the_news_do(site: Site) -> None:
    """WordPress before 5.7 passes over the parameter; the order by change says when to stop."""
    for number in range(10, 40):
        site.write(number)
    site.per_page = 5
    since = site.clock.isoformat()
    site.write(3)
    site.asked.clear()
    rows = wordpress(site)
    old = site._list
    site._list = lambda request, asked: old(request, {**asked, "modified_after": "0"})  # type: ignore[method-assign]
    assert numbers(rows.posts(since)) == [3, 39]
    assert len(site.asked) == 2


def endless(site: Site) -> Callable[[Request], None]:
    """Page after page of posts that nobody wrote."""

    def answer(request: Request) -> None:
        first = len(site.asked) * 100
        request.send(json.dumps([{"id": first + n, "title": {"rendered": "t"}} for n in range(100)]).encode())

    return answer


def test_a_list_without_end_is_ended(site: Site) -> None:
    """By its length, or when the same posts come again, whatever the number of pages is said to be."""
    site.instead = [endless(site)] * 30
    with pytest.raises(FetchError, match="does not end"):
        list(wordpress(site, most_pages=20).posts())
    page = json.dumps([{"id": n, "title": {"rendered": "t"}} for n in range(1, 101)]).encode()
    for headers in ({}, {"X_WP_TotalPages": "99999999", "X_WP_Total": "9999999900"}):
        site.asked.clear()
        site.instead = [lambda request, headers=headers: request.send(page, **headers)] * 30  # type: ignore[misc]
        with pytest.raises(FetchError, match="same posts"):
            list(wordpress(site).posts())
        assert len(site.asked) == 2


BAD_LISTS: list[bytes] = [
    *(b"", b"<!doctype html><p>Log in", b"{}", b'{"code": "rest_disabled", "message": "no"}', b"null", b"[1]", b"[[]]", b'"x"'),
    *(b"[{}]", b'[{"id": "1"}]', b'[{"id": true}]', b'[{"id": -1}]', b'[{"id": 1.5}]', b'[{"id": null}]', b"[" * 100_000),
    *(b"\xff\xfe[]", b'[{"id": 1}', b"NaN", b'[{"id": 1' + b"0" * 5000 + b"}]", b"\x00", b'["\xe9"]'),
]


@pytest.mark.parametrize("content", BAD_LISTS, ids=range(len(BAD_LISTS)))
def test_what_is_no_list_of_posts_is_refused_in_one_line(site: Site, content: bytes) -> None:
    """HTML, other JSON, broken JSON, posts without a number."""
    site.instead = [lambda request: request.send(content)] * 2
    with pytest.raises(FetchError) as caught:
        list(wordpress(site).posts())
    assert "\n" not in str(caught.value)


BAD_POSTS: list[dict[str, Any]] = [
    *({"title": 1}, {"title": None}, {"title": {"rendered": None}}, {"title": []}, {"content": 7}, {"content": {"rendered": {}}}),
    *({"_embedded": 1}, {"_embedded": {"wp:term": 1}}, {"_embedded": {"wp:term": [1, None, [1, None, {}]]}}, {"link": 1}),
    *({"_embedded": {"author": {"code": "x"}}}, {"_embedded": {"author": [{"code": "rest_user_invalid_id"}]}}),
    *({"_embedded": {"wp:featuredmedia": [{"source_url": {}}]}}, {"link": "javascript:alert(1)"}, {"_embedded": []}),
    *({"date_gmt": "0000-00-00T00:00:00", "date": None}, {"date_gmt": None}, {"modified_gmt": None}, {"modified_gmt": 5}),
    *({"date_gmt": "2025-99-99T00:00:00"}, {"modified_gmt": "2025-02-30T00:00:00"}, {"title": {"rendered": "\ud800"}}),
]


@pytest.mark.parametrize("change", BAD_POSTS, ids=range(len(BAD_POSTS)))
def test_a_strange_post_harms_no_other(site: Site, change: dict[str, Any]) -> None:
    """Fields of other shapes than WordPress gives are read as far as they can be, or the one post is left out."""
    site.write(3, **change)
    found = {article.id: article for article in read_articles([site.address], skip_invalid=True)}
    assert set(found) | {"3"} == set("123456")
    if "3" in found:
        assert found["3"].url is None or found["3"].url.startswith("http")


def test_what_is_no_source_says_so(site: Site) -> None:
    """A page of anything else, and a WordPress whose API is shut."""
    site.pages["/shop"] = (b"<html>Shop</html>", {})
    with pytest.raises(UnreadableSourceError, match="no source that is known"):
        list(read_articles([f"{site.address}/shop"]))
    with pytest.raises(UnreadableSourceError, match="no REST API of WordPress"):
        list(read_articles([f"wordpress:{site.address}/shop"]))
    site.instead = [None, *[sends(b'{"code": "rest_login_required"}', 401)] * 3]
    with pytest.raises(UnreadableSourceError, match="cannot be read"):
        list(read_articles([site.address]))


def test_every_error_of_a_site_is_one_of_ours(site: Site) -> None:
    """A server that fails at any request of a build ends it in one line."""
    for failing in range(3):
        for status in (302, 400, 401, 403, 404, 500):
            fails = sends(b"", status)
            site.instead = [*[None] * failing, *[fails] * 9]
            with pytest.raises(RecommenderError) as caught:
                all_posts(site)
            assert "\n" not in str(caught.value)
