"""A real WordPress as a source: what comes in by its REST API and its export, and what `sync` makes of all that happens there."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from recommender import Article, read_articles
from recommender.errors import UnreadableSourceError
from recommender.storage.folder import MANIFEST
from recommender.storage.store import Store
from tests.conftest import SAMPLE
from tests.web.wordpress import PUTIN, Site, must_use, plain, recommender_command

pytestmark = pytest.mark.slow

HIDDEN = ("first sketch", "the council", "not print yet", "editors only", "For subscribers", "For another day")


def sample() -> dict[str, dict[str, Any]]:
    rows = [json.loads(line) for line in (SAMPLE / "articles.jsonl").read_text(encoding="utf-8").splitlines()]
    return {row["id"]: row for row in rows}


@pytest.fixture(scope="module")
def brought(site: Site) -> list[Article]:
    """The articles of the site by its REST API."""
    return list(read_articles([site.url]))


def held(index: Path) -> dict[str, tuple[str, str]]:
    """Of all articles of an index the title and the address, by id."""
    with contextlib.closing(Store.open(index)) as store:
        rows = store.query("SELECT id, title, url FROM articles")
        return {str(article_id): (plain(str(title)), str(url)) for article_id, title, url in rows}


def published(site: Site) -> dict[str, tuple[str, str]]:
    """The same of what a reader can open at the site, by WordPress's own word."""
    told = site.php(
        "foreach (get_posts(array('numberposts' => -1, 'has_password' => false)) as $post) {"
        "$all[$post->ID] = array(get_the_title($post), get_permalink($post)); } echo wp_json_encode($all);"
    )
    return {post_id: (plain(title), url) for post_id, (title, url) in json.loads(told).items()}


def summary(stderr: str) -> dict[str, int]:
    """The counts of the last line of `sync`."""
    last = stderr.splitlines()[-1]
    counts = {name: int(number) for name, number in re.findall(r"(added|updated|unchanged|removed|left out) (\d+)", last)}
    return {**counts, "requests": int(re.findall(r"(\d+) requests", last)[0])}


def synced(site: Site, index: Path) -> dict[str, int]:
    return summary(recommender_command("sync", site.url, "--index", index, "--rate", "1000").stderr)


def test_every_post_comes_in_as_the_article_that_it_is(site: Site, brought: list[Article]) -> None:
    """Title, text, moment, section, tags, author and address are those of the sample, which filled the site."""
    rows = sample()
    found = {article.id: article for article in brought}
    assert set(found) == {str(number) for number in site.ids.values()}
    for slug, number in site.ids.items():
        row, article = rows[slug], found[str(number)]
        assert plain(article.title) == plain(row["title"])
        assert plain(article.body) == plain(row["body"])
        undated = datetime(2021, 1, 1, tzinfo=UTC)
        assert article.published == (datetime.fromisoformat(row["published"]) if row.get("published") else undated)
        assert (article.section or "") == (row.get("section") or "")
        assert sorted(tag.lower() for tag in article.tags) == sorted(tag.lower() for tag in row.get("tags") or [])
        assert list(article.authors) == (row.get("authors") or ["admin"])[:1]
        assert article.url == f"{site.url}/{slug}/"


def test_what_is_not_for_every_reader_never_comes_in(site: Site, tmp_path: Path) -> None:
    """Neither by the REST API nor by an export: drafts, a private, a scheduled post and one with a password."""
    said = recommender_command("build", site.url, "--index", tmp_path / "rest").stderr
    assert f"{site.url}: 1 left out: with a password" in said
    assert "290 articles" in said.splitlines()[-1]
    (tmp_path / "site.xml").write_text(exported(site), encoding="utf-8")
    said = recommender_command("build", tmp_path / "site.xml", "--index", tmp_path / "wxr").stderr
    assert "290 published posts; left out: 3 draft, 1 future, 1 private, 1 with a password" in said
    for name in ("rest", "wxr"):
        titles = {title for title, _ in held(tmp_path / name).values()}
        assert not any(one in title for one in HIDDEN for title in titles)
        assert held(tmp_path / name) == published(site)


def exported(site: Site) -> str:
    """What an administrator gets from Tools, Export, All content."""
    status, text = site.get("/wp-admin/export.php?download=true&content=all", site.log_in())
    assert status == 200
    return text


def test_an_export_holds_what_the_rest_api_tells(site: Site, brought: list[Article], tmp_path: Path) -> None:
    """The same ids, titles, texts, moments, sections, tags, authors and addresses."""
    (tmp_path / "site.xml").write_text(exported(site), encoding="utf-8")

    def told(article: Article) -> tuple[object, ...]:
        named = (article.section, sorted(article.tags), article.authors)
        return plain(article.title), plain(article.body), article.published, article.updated, article.url, named

    of_export = {article.id: told(article) for article in read_articles([tmp_path / "site.xml"])}
    assert of_export == {article.id: told(article) for article in brought}
    assert len(of_export) == 290


@contextlib.contextmanager
def a_busy_day(site: Site) -> Iterator[None]:
    """One text edited, one post renamed, one trashed, one set to draft, one new, one whose moment has come; then all undone."""
    slugs = {"edited": PUTIN, "renamed": "what-kim-gains-from-russia", "trashed": "who-tb-steps"}
    slugs |= {"draft": "kremlin-leader-lands-pyongyang", "due": "for-another-day"}
    before = "$day = array(); foreach ($in as $what => $slug) { $day[$what] = get_page_by_path($slug, ARRAY_A, 'post'); }"
    site.php(
        f"{before} update_option('busy_day', $day);"
        "$told = 'Told anew. ' . $day['edited']['post_content'];"
        "wp_update_post(wp_slash(array('ID' => $day['edited']['ID'], 'post_content' => $told)));"
        "wp_update_post(array('ID' => $day['renamed']['ID'], 'post_name' => 'kim-gains'));"
        "wp_trash_post($day['trashed']['ID']);"
        "wp_update_post(array('ID' => $day['draft']['ID'], 'post_status' => 'draft'));"
        "$made = array('post_title' => 'Kim sees off Putin', 'post_content' => 'He left Pyongyang.', 'post_status' => 'publish');"
        "update_option('busy_day_made', wp_insert_post($made));"
        "$moment = array('post_date' => '2024-06-21 08:00:00', 'post_date_gmt' => '2024-06-21 08:00:00');"
        "$GLOBALS['wpdb']->update($GLOBALS['wpdb']->posts, $moment, array('ID' => $day['due']['ID']));"
        "clean_post_cache($day['due']['ID']);"
        "wp_publish_post($day['due']['ID']);",
        **slugs,
    )
    yield
    site.php(
        "wp_delete_post(get_option('busy_day_made'), true); wp_untrash_post(get_option('busy_day')['trashed']['ID']);"
        "foreach (get_option('busy_day') as $post) { wp_update_post(wp_slash($post)); }"
        "delete_option('busy_day'); delete_option('busy_day_made');"
    )


@contextlib.contextmanager
def options(site: Site, **chosen: str) -> Iterator[None]:
    """Options of the site, for a while."""
    was = site.php(
        "foreach ($in as $name => $value) { $was[$name] = get_option($name); update_option($name, $value); }"
        "echo wp_json_encode($was);",
        **chosen,
    )
    try:
        yield
    finally:
        site.php("foreach ($in as $name => $value) { update_option($name, $value); }", **json.loads(was))


def test_sync_follows_a_busy_day(site: Site, tmp_path: Path) -> None:
    """The counts are those of what the desk did, and the index holds what a reader can open, no more and no less.

    The clock of the site is behind UTC: WordPress compares some moments by it.
    """
    index = tmp_path / "index"
    assert synced(site, index)["added"] == 290
    with options(site, timezone_string="America/Los_Angeles"), a_busy_day(site):
        day = synced(site, index)
        assert {name: day[name] for name in ("added", "updated", "removed")} == {"added": 2, "updated": 2, "removed": 2}
        now = published(site)
        assert held(index) == now
        assert now[str(site.ids["what-kim-gains-from-russia"])][1] == f"{site.url}/kim-gains/"
        assert str(site.ids["who-tb-steps"]) not in now
    night = synced(site, index)
    assert {name: night[name] for name in ("added", "updated", "removed")} == {"added": 2, "updated": 2, "removed": 2}
    assert held(index) == published(site)
    assert len(held(index)) == 290


def test_a_site_with_plain_addresses_is_read_too(site: Site) -> None:
    """Permalinks such as /?p=42, the API at ?rest_route=."""
    with options(site, permalink_structure=""):
        found = {article.id: article.url for article in read_articles([site.url])}
    assert found == {str(number): f"{site.url}/?p={number}" for number in site.ids.values()}


def test_a_site_that_closes_its_api_is_told_the_way_round_it(site: Site) -> None:
    """As security plug-ins do: one line that names the export."""
    closed = "return new WP_Error('closed', 'No.', array('status' => 401));"
    code = f"add_filter('rest_authentication_errors', function () {{ {closed} }});"
    told = r"cannot be read; let the site allow .* or export it \("
    with must_use(site, code), pytest.raises(UnreadableSourceError, match=told):
        list(read_articles([site.url]))


def test_a_site_that_has_not_changed_costs_four_requests_and_no_write(site: Site, tmp_path: Path) -> None:
    """The store is the same file with the same bytes."""
    index = tmp_path / "index"
    synced(site, index)
    before = written(index)
    quiet = synced(site, index)
    assert (quiet["added"], quiet["updated"], quiet["removed"]) == (0, 0, 0)
    assert quiet["requests"] <= 4
    assert written(index) == before


def written(index: Path) -> dict[str, tuple[int, bytes]]:
    """What is durable of an index: neither locks nor what `sync` remembers."""
    kept = [path for path in index.iterdir() if path.suffix in (".sqlite", ".sqlite-wal") or path.name == MANIFEST]
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in kept}
