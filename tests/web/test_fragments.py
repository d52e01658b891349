"""What readers get to see: hostile text stays text, and other programs can parse it."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import feedparser
import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from recommender.answers import Related, RelatedList, StoryThread
from recommender.web.fragments import FEED_LENGTH, related_html, thread_feed, thread_html, web_address

HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='alert(1)", "</title><script>1</script>",
    "</style><script>1</script>", "<!--", "-->", "]]>", "&lt;script&gt;", "{{7*7}}", "\x00\x01\x0b", "\u202eevil",
    "a\u2028b\ufffe", "<svg/onload=1>", "\ud800",
)  # fmt: skip
NOT_LINKS = (
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)", "data:text/html,x",
    "vbscript:x", "//evil.example/x", "/relative", "file:///etc/passwd", "http://", "https:///x", "", None, "http://[::1", "ftp://x.example/",
    "https://a.example/\r\nX: y", "mailto:a@b.example",
)  # fmt: skip

LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Cn", "Zs", "Zl", "Zp"))


def article(number: int = 1, **changes: Any) -> Related:
    known: dict[str, Any] = {
        "id": f"a{number}", "title": f"Title {number}", "url": f"https://news.example/a{number}",
        "published": f"2024-06-{number:02}T08:30:00+00:00", "score": 0.9, "relation": "related", "thread_id": None, "reasons": (),
    }  # fmt: skip
    return Related(**known | changes)


def thread_of(articles: list[Related], **changes: Any) -> StoryThread:
    known: dict[str, Any] = {
        "id": "t1", "label": "Ferry sinks", "keywords": ("ferry", "strait"), "size": len(articles), "lead_id": articles[0].id,
        "first_published": None, "last_published": None, "article_ids": tuple(one.id for one in articles),
    }  # fmt: skip
    return StoryThread(**known | changes)


def listed(*articles: Related) -> str:
    return related_html(RelatedList(id="x", thread=None, items=articles))


def feed_of(thread: StoryThread, articles: list[Related]) -> str:
    return thread_feed(thread, articles, page_url="https://s.example/threads/t1.html", feed_url="https://s.example/t1.xml")


def test_the_list_is_a_named_navigation_with_links_and_dates() -> None:
    """Worked by hand: two links in order, with title, address and both forms of the date."""
    tree = LexborHTMLParser(listed(article(3), article(17, title='A & B "C"', url="https://news.example/?a=1&b=2")))
    assert [node.attributes["aria-label"] for node in tree.css("nav")] == ["Related stories"]
    links = [(node.text(), node.attributes["href"]) for node in tree.css("nav > ul > li > a")]
    assert links == [("Title 3", "https://news.example/a3"), ('A & B "C"', "https://news.example/?a=1&b=2")]
    times = [(node.text(), node.attributes["datetime"]) for node in tree.css("li > time")]
    assert times == [("3 Jun 2024", "2024-06-03T08:30:00+00:00"), ("17 Jun 2024", "2024-06-17T08:30:00+00:00")]


def test_nothing_related_is_nothing_at_all() -> None:
    """A page that includes an empty list shows no empty frame."""
    assert listed() == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_makes_no_element(text: str) -> None:
    """The elements of list and page are the same whatever titles, ids, labels and keywords say; the feed stays well-formed."""
    articles = [article(1, title=text, id=text), article(2, title="", id=text or "x")]
    thread = thread_of(articles, label=text, keywords=("kept", text))
    plain = [article(1), article(2)]
    assert tags(listed(*articles)) == tags(listed(*plain))
    assert tags(thread_html(thread, articles)) == tags(thread_html(thread_of(plain), plain))
    root = fromstring(feed_of(thread, articles))
    assert {node.tag for node in root.iter()} == {node.tag for node in fromstring(feed_of(thread_of(plain), plain)).iter()}


def tags(html: str) -> list[tuple[str | None, list[str]]]:
    """All elements and the names of their attributes, in the order of the document."""
    root = LexborHTMLParser(html).root
    assert root is not None
    return [(node.tag, sorted(node.attributes)) for node in root.traverse()]


@given(st.lists(st.text(LETTERS, min_size=1), min_size=1), st.text(max_size=40))
def test_any_title_comes_out_as_it_went_in(words: list[str], label: str) -> None:
    """What a browser and a feed reader understand is the title, with one blank between its words."""
    shown = [article(1, title="\n ".join(words))]
    node = LexborHTMLParser(listed(*shown)).css_first("a")
    assert node is not None
    assert node.text() == " ".join(words)
    assert fromstring(feed_of(thread_of(shown, label=label), shown)).findtext("channel/item/title") == " ".join(words)


@pytest.mark.parametrize("url", NOT_LINKS)
def test_only_whole_web_addresses_become_links(url: str | None) -> None:
    """Anything but http and https with a host is named and not linked, in list, page and feed."""
    assert web_address(url) is None
    odd = [article(1, url=url)]
    assert "href" not in listed(*odd)
    assert "Title 1" in listed(*odd)
    assert "<a" not in thread_html(thread_of(odd), odd, feed_url=url)
    assert fromstring(feed_of(thread_of(odd), odd)).find("channel/item/link") is None


def test_the_timeline_goes_from_the_oldest_to_the_newest_and_names_what_has_no_date() -> None:
    """Order and number of the articles are those of the thread; the page names its feed."""
    articles = [article(2), article(9), article(1, published=None)]
    html = thread_html(thread_of(articles), articles, feed_url="https://s.example/t1.xml")
    tree = LexborHTMLParser(html)
    assert html.startswith("<!DOCTYPE html>")
    assert [node.text() for node in tree.css("h1")] == ["Ferry sinks"]
    assert [node.text(strip=True) for node in tree.css("ol > li")] == ["2 Jun 2024Title 2", "9 Jun 2024Title 9", "No dateTitle 1"]
    assert [node.attributes["href"] for node in tree.css("link[type='application/rss+xml']")] == ["https://s.example/t1.xml"]
    assert not tree.css("script")


def test_a_feed_reader_reads_the_feed() -> None:
    """feedparser finds no fault, the newest article first, ids that stay, links and dates."""
    articles = [article(2), article(9), article(1, published=None)]
    feed = feedparser.parse(feed_of(thread_of(articles), articles))
    assert not feed.bozo
    assert (feed.version, feed.feed.title, feed.feed.link) == ("rss20", "Ferry sinks", "https://s.example/threads/t1.html")
    assert [entry.id for entry in feed.entries] == ["a9", "a2", "a1"]
    assert feed.entries[0].link == "https://news.example/a9"
    assert parsedate_to_datetime(feed.entries[0].published).isoformat() == "2024-06-09T08:30:00+00:00"


def test_a_feed_holds_the_newest_of_a_long_thread() -> None:
    """Of 70 articles the last 50 are there."""
    articles = [article(1, id=f"a{n}", published=f"2024-06-01T00:{n // 60:02}:{n % 60:02}+00:00") for n in range(70)]
    entries = feedparser.parse(feed_of(thread_of(articles), articles)).entries
    assert [entry.id for entry in entries] == [f"a{n}" for n in range(69, 69 - FEED_LENGTH, -1)]
