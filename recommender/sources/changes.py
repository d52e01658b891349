"""A source on the web and what is known of it -> what is new, changed or gone there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from recommender.errors import InvalidArticleError, RecommenderError, UnreadableSourceError
from recommender.pipeline.articles import Article, article_from_row
from recommender.sources.addresses import Feed, Pages, fault_of, fetched, open_site, plain_address
from recommender.sources.http import Client
from recommender.sources.known import Known
from recommender.sources.wordpress import WordPress, modified_of

OVERLAP = timedelta(minutes=2)
"""How much of what is known is asked for again: a post may appear some seconds after the moment that it carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What is asked of a source this time."""

    client: Client
    known: Known
    now: datetime
    notice: Callable[[str], None]
    progress: Callable[[str, int, int], None]


@dataclass(slots=True, kw_only=True)
class News:
    """What a source tells this time."""

    articles: list[Article] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)

    def take(self, row: Mapping[str, object], place: str) -> Article | None:
        """Keep the article of a row; None where it is none."""
        try:
            self.articles.append(article_from_row(row))
        except InvalidArticleError as error:
            self.faults.append(f"{place}: {error}")
            self.left_out |= {error.article_id} - {""}
            return None
        return self.articles[-1]

    def seen(self) -> set[str]:
        """The ids that it brought."""
        return {article.id for article in self.articles} | self.left_out


def changes_at(source: str, inquiry: Inquiry) -> tuple[News, Known]:
    """(what a source tells, what is known of it when that has been written); what it is is said before it is read."""
    client, known, now = inquiry.client, inquiry.known, inquiry.now
    conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
    given = {name: value for name, value in conditions.items() if value is not None and not known.is_due(now)}
    front = client.get(plain_address(source), headers=given) if given else None
    if front is not None and front.status == 304:
        return News(), known
    site = open_site(client, source, front)
    inquiry.notice(f"{plain_address(source)}: {site.kind}")
    if isinstance(site, WordPress):
        return _changes_of_wordpress(site, inquiry)
    if isinstance(site, Pages):
        return _changes_of_pages(site, inquiry)
    return _changes_of_feed(site, inquiry)


def _changes_of_feed(site: Feed, inquiry: Inquiry) -> tuple[News, Known]:
    """All its entries; what it no longer shows is old, not gone."""
    known, now, news = inquiry.known, inquiry.now, News()
    for row in site.rows(inquiry.notice):
        if isinstance(row.value, dict):
            news.take(row.value, row.place)
        else:
            news.faults.append(f"{row.place}: {row.fault}")
    headers = site.answer.headers
    return news, replace(
        known,
        ids=known.ids | news.seen(),
        etag=headers.get("etag"),
        modified=headers.get("last-modified"),
        checked=now.isoformat() if known.is_due(now) else known.checked,
    )


def _changes_of_wordpress(site: WordPress, inquiry: Inquiry) -> tuple[News, Known]:
    """Posts that have changed, then, if the count says that more is new or gone, those that the ids tell of."""
    known, now, news = inquiry.known, inquiry.now, News()
    latest = known.since or ""
    since = None if known.since is None else (datetime.fromisoformat(known.since) - OVERLAP).isoformat()

    def take(rows: Iterable[dict[str, object]]) -> None:
        nonlocal latest
        for row in rows:
            article = news.take(row, f"post {row['id']}")
            if article and article.updated and modified_of(row):
                latest = max(latest, _as_wordpress_writes(min(article.updated, now)))
            if len(news.articles) % 100 == 0:
                inquiry.progress("fetching", len(news.articles), 0)
        news.left_out |= site.protected

    take(site.posts(since))
    ids = set(known.ids | news.seen())
    checked = known.checked
    all_seen = since is None and known.ids <= news.seen()
    if all_seen:
        checked = now.isoformat()
    if (known.is_due(now) and not all_seen) or site.count() != len(ids):
        listed = set(site.ids())
        unlisted = sorted(ids - listed)
        news.gone = set(unlisted) - site.still_there(unlisted)
        news.articles = [article for article in news.articles if article.id not in news.gone]
        take(site.posts_of(sorted(listed - ids)))  # a scheduled post carries the moment at which it was written
        ids = (ids | listed) - news.gone
        checked = now.isoformat()
    news.gone |= site.protected
    return news, replace(known, ids=frozenset(ids), since=latest or None, checked=checked)


def _as_wordpress_writes(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def _changes_of_pages(site: Pages, inquiry: Inquiry) -> tuple[News, Known]:
    """Pages that are new or changed by the word of the sitemap, and of those that it no longer names the ones that are gone."""
    client, known, now, news = inquiry.client, inquiry.known, inquiry.now, News()
    due = known.is_due(now)
    pages = dict(known.pages)
    asked_again = {url for url, (changed, _) in pages.items() if due and not changed}
    wanted = [page for page in site.pages if page.url in asked_again or pages.get(page.url, (None,))[0] != page.changed]
    named = {page.url for page in site.pages}
    for number, (page, row) in enumerate(fetched(client, wanted), 1):
        if isinstance(row, RecommenderError):
            news.faults.append(fault_of(page, row))
            if _is_gone(row):
                news.gone |= {article_id for article_id in (pages.pop(page.url, ("", None))[1],) if article_id}
            continue
        article = news.take(row, page.url)
        pages[page.url] = (page.changed, article.id if article else None)
        inquiry.progress("fetching", number, len(wanted))
    unnamed = [] if site.news else [url for url in pages if url not in named]
    for url in unnamed:
        article_id = pages.pop(url)[1]
        if article_id and _answers_gone(client, url):
            news.gone.add(article_id)
    news.gone = (news.gone | known.gone) - news.seen()
    return news, replace(
        known,
        ids=(known.ids | news.seen()) - news.gone,
        gone=frozenset(),
        pages=pages,
        checked=now.isoformat() if due else known.checked,
    )


def _is_gone(error: RecommenderError) -> bool:
    return getattr(error, "status", None) in (404, 410)


def _answers_gone(client: Client, url: str) -> bool:
    try:
        client.get(url)
    except UnreadableSourceError as error:
        return _is_gone(error)
    return False
