"""Answers -> HTML and RSS for readers. Pure: all text is escaped here, and only http and https addresses become links."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from html import escape
from urllib.parse import urlsplit
from xml.etree import ElementTree

from recommender.answers import Related, RelatedList, StoryThread

FEED_LENGTH = 50
"""Articles in a feed at most, the newest ones."""

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem;
  color: CanvasText; background: Canvas; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; }
ol { list-style: none; margin: 2rem 0; padding: 0 0 0 1rem; border-left: 2px solid GrayText; }
li { margin: 0 0 1.25rem; }
time, .undated { display: block; font-size: .875rem; }
a:link { color: LinkText; }
a:visited { color: VisitedText; }
a:focus-visible { outline: 2px solid; outline-offset: 2px; }
"""
"""The style of a page. Colours are those of the reader's system, so both schemes have the contrast that it gives."""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
PAGE_POLICY = f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-{_STYLE_HASH}'"
"""The Content-Security-Policy under which pages can be sent: no script, no style but their own."""

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def related_html(found: RelatedList, *, thread_url: str | None = None) -> str:
    """The list as a `<nav>` fragment that needs neither script nor style; an empty string where nothing is related.

    An article without an http or https address is named without a link. `thread_url` is where the page of its thread is.
    """
    if not found.items:
        return ""
    items = "".join(f"<li>{_linked(item)}{_dated(item, ' ')}</li>\n" for item in found.items)
    whole = ""
    if found.thread is not None and (address := web_address(thread_url)):
        label = escape(_text(found.thread.label) or found.thread.id)
        whole = f'<p><a href="{escape(address)}" dir="auto">The whole story: {label}</a></p>\n'
    return f'<nav aria-label="Related stories" class="related-stories">\n<ul>\n{items}</ul>\n{whole}</nav>\n'


def thread_html(thread: StoryThread, articles: Sequence[Related], *, feed_url: str | None = None) -> str:
    """A complete page with the timeline of a thread, oldest article first, for light and dark screens."""
    label = escape(_text(thread.label) or thread.id)
    feed = ""
    if feed_url and web_address(feed_url):
        feed = f'<link rel="alternate" type="application/rss+xml" title="{label}" href="{escape(feed_url)}">\n'
    items = "".join(f"<li>{_dated(article, '') or _UNDATED} {_linked(article)}</li>\n" for article in articles)
    words = escape(", ".join(filter(None, map(_text, thread.keywords))))
    about = f'<p dir="auto">{words}</p>\n' if words else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{label}</title>\n{feed}<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1 dir="auto">{label}</h1>\n<p>{thread.size:,} articles, oldest first</p>\n{about}'
        f"<ol>\n{items}</ol>\n</main>\n</body>\n</html>\n"
    )


def redirect_html(thread: StoryThread, address: str, *, canonical: str | None = None) -> str:
    """A page that leads to the page of a thread, at once and without a script. `address` may be relative to it."""
    label, target = escape(_text(thread.label) or thread.id), escape(address)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="refresh" content="0; url={target}">\n<link rel="canonical" href="{escape(canonical or address)}">\n'
        f"<title>{label}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>This story goes on elsewhere</h1>\n"
        f'<p><a href="{target}" dir="auto">{label}</a></p>\n</main>\n</body>\n</html>\n'
    )


def thread_feed(thread: StoryThread, articles: Sequence[Related], *, page_url: str | None, feed_url: str | None) -> str:
    """A thread as RSS 2.0, newest article first. `page_url` and `feed_url` are where its page and this feed can be had.

    Where its page has no address the feed is that of its newest article with one.
    """
    ElementTree.register_namespace("atom", "http://www.w3.org/2005/Atom")
    root = ElementTree.Element("rss", version="2.0")
    channel = ElementTree.SubElement(root, "channel")
    label = _text(thread.label) or thread.id
    _say(channel, "title", label)
    _say(channel, "link", page_url or next(filter(None, (web_address(one.url) for one in reversed(articles))), ""))
    _say(channel, "description", ", ".join(filter(None, map(_text, thread.keywords))) or label)
    if feed_url is not None:
        link = {"href": feed_url, "rel": "self", "type": "application/rss+xml"}
        ElementTree.SubElement(channel, "{http://www.w3.org/2005/Atom}link", link)
    dated = [article for article in articles if _moment(article.published)]
    undated = [article for article in articles if not _moment(article.published)]
    if dated:
        _say(channel, "lastBuildDate", _mail_date(dated[-1]))
    for article in [*reversed(dated), *undated][:FEED_LENGTH]:
        item = ElementTree.SubElement(channel, "item")
        _say(item, "title", _title(article))
        if address := web_address(article.url):
            _say(item, "link", address)
        _say(item, "guid", _text(article.id)).set("isPermaLink", "false")
        if _moment(article.published):
            _say(item, "pubDate", _mail_date(article))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def web_address(url: str | None) -> str | None:
    """The address where it is a whole http or https one, else None: nothing else may become a link."""
    if not url or url != url.strip() or _UNPRINTABLE.search(url):
        return None
    try:
        parts = urlsplit(url)
        return url if parts.scheme in {"http", "https"} and parts.hostname else None
    except ValueError:
        return None


_UNDATED = '<span class="undated">No date</span>'


def _text(text: str | None) -> str:
    """One line without what HTML and XML may not hold."""
    return " ".join(_UNPRINTABLE.sub(" ", text or "").split())


def _title(article: Related) -> str:
    return _text(article.title) or _text(article.id)


def _linked(article: Related) -> str:
    """The headline; `dir="auto"` keeps a change of the direction of writing inside it."""
    title, address = escape(_title(article)), web_address(article.url)
    return f'<a href="{escape(address)}" dir="auto">{title}</a>' if address else f'<span dir="auto">{title}</span>'


def _dated(article: Related, before: str) -> str:
    moment = _moment(article.published)
    if moment is None:
        return ""
    shown = f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year:04}"
    return f'{before}<time datetime="{escape(moment.isoformat())}">{shown}</time>'


def _moment(published: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(published) if published else None
    except ValueError:
        return None


def _mail_date(article: Related) -> str:
    moment = _moment(article.published)
    return format_datetime(moment) if moment else ""


def _say(parent: ElementTree.Element, tag: str, text: str) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, tag)
    child.text = text
    return child
