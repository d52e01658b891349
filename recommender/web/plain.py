"""Answers -> HTML fragments, timeline pages and RSS feeds, escaped, by the standard library alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from html import escape

from recommender.answers import Related, RelatedList, StoryThread

FEED_LENGTH = 50
"""Most articles of a feed, the newest; readers of feeds keep what they have seen."""

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(given: str) -> str:
    """Text for HTML and XML, inside an element or a quoted attribute; characters that XML knows nothing of are left out."""
    return escape(_NOT_XML.sub("", given))


def link(url: str | None) -> str | None:
    """An address that may stand in a page: http, https or a path of the site; None for any other, such as a script."""
    if url is None or not re.match(r"https?://|/(?![/\\])", url, re.IGNORECASE) or re.search(r"[\x00-\x20\x7f]", url):
        return None
    return url


def related_html(found: RelatedList, thread_page: str | None) -> str:
    """The list as a `<nav>` for any page, with a link to the page of its thread; empty where nothing is related."""
    if not found.items:
        return ""
    items = "".join(f"  <li>{_titled(item)}</li>\n" for item in found.items)
    whole = ""
    if found.thread is not None and (page := link(thread_page)):
        whole = f' <a class="related-thread" href="{text(page)}">The whole story: {text(found.thread.label)}</a>\n'
    return f'<nav class="related" aria-label="Related stories">\n <ul>\n{items} </ul>\n{whole}</nav>\n'


def thread_html(thread: StoryThread, articles: Sequence[Related], feed: str | None) -> str:
    """A page that tells the thread from its oldest article to its newest."""
    label = text(thread.label)
    address = text(link(feed) or "")
    feed_link = f'<link rel="alternate" type="application/rss+xml" title="{label}" href="{address}">\n' if address else ""
    told = "".join(f"<li>{_dated(one)}{_titled(one)}</li>\n" for one in articles)
    return (
        '<!doctype html>\n<html>\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n'
        f"<title>{label}</title>\n{feed_link}</head>\n<body>\n<main>\n<h1>{label}</h1>\n<ol>\n{told}</ol>\n</main>\n</body>\n</html>\n"
    )


def thread_feed(thread: StoryThread, articles: Sequence[Related], page: str | None) -> str:
    """The thread as RSS 2.0, its newest article first."""
    latest = articles[::-1][:FEED_LENGTH]
    home = link(page) or next((found for one in latest if (found := link(one.url))), "")
    label = text(thread.label)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0">\n<channel>\n'
        f"<title>{label}</title>\n<link>{text(home)}</link>\n<description>{label}</description>\n"
        f"{''.join(map(_feed_item, latest))}</channel>\n</rss>\n"
    )


def _feed_item(one: Related) -> str:
    url = link(one.url)
    where = f"<link>{text(url)}</link>" if url else ""
    when = f"<pubDate>{format_datetime(datetime.fromisoformat(one.published))}</pubDate>" if one.published else ""
    named = f'<title>{text(one.title or one.id)}</title>{where}<guid isPermaLink="false">{text(one.id)}</guid>'
    return f"<item>{named}{when}</item>\n"


def _titled(one: Related) -> str:
    title = text(one.title or one.id)
    url = link(one.url)
    return f'<a href="{text(url)}">{title}</a>' if url else title


def _dated(one: Related) -> str:
    return f'<time datetime="{text(one.published)}">{text(one.published[:10])}</time> ' if one.published else ""
