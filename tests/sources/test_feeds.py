"""RSS, Atom and JSON feeds."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommender import RecommenderError, read_articles
from tests.sources.exports import ids, rss, written

FULL = (
    "<item><guid isPermaLink='false'>tag:1</guid><link>https://ledger.example/1/</link><title>Ferry &amp; sand</title>"
    "<description>Short.</description><content:encoded><![CDATA[<p>It sank, and it sank slowly.</p>]]></content:encoded>"
    "<category>Local</category><category>ferry</category><pubDate>Wed, 19 Jun 2024 08:42:00 +0200</pubDate>"
    "<enclosure url='https://ledger.example/1.jpg' type='image/jpeg' length='1'/></item>"
)
SUMMARY = "<item><link>https://ledger.example/2/</link><title>Bridge</title><description>It holds.</description></item>"
ATOM = (
    '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="fr"><title>L</title><id>l</id><entry><id>urn:7</id><title>Bac</title>'
    '<link href="https://ledger.example/7/"/><updated>2024-06-20T00:00:00Z</updated>'
    '<author><name>Ila Marsh</name></author><content type="html">&lt;p&gt;Il coule.&lt;/p&gt;</content></entry></feed>'
)
JSON_FEED = {
    "version": "https://jsonfeed.org/version/1.1",
    "title": "L",
    "language": "en",
    "items": [
        {
            "id": 7,
            "url": "https://ledger.example/7/",
            "title": "Ferry",
            "content_html": "<p>It sank.</p>",
            "summary": "Short.",
            "date_published": "2024-06-19T08:42:00+02:00",
            "tags": ["Local", "ferry"],
            "authors": [{"name": "Nora Pell"}],
        },
        {"url": "https://ledger.example/8/", "summary": "Only this."},
    ],
}


def test_rss_content_counts_before_the_description(tmp_path: Path) -> None:
    """The id is the guid, else the link; entries with a description alone are taken and counted."""
    path = written(tmp_path, "feed.xml", rss(FULL, SUMMARY))
    notices: list[str] = []
    one, two = read_articles([path], notice=notices.append)
    assert (one.id, one.title, one.body, one.url) == (
        *("tag:1", "Ferry & sand", "<p>It sank, and it sank slowly.</p>"),
        "https://ledger.example/1/",
    )
    assert (one.section, one.tags, one.image) == ("Local", ("Local", "ferry"), "https://ledger.example/1.jpg")
    assert (one.published, one.updated) == (datetime(2024, 6, 19, 6, 42, tzinfo=UTC), None)
    assert (two.id, two.body) == ("https://ledger.example/2/", "It holds.")
    assert notices == [
        f"{path}: a feed",
        f"{path}: 1 of 2 entries have a summary only, no full text; what is related is found by less",
    ]


def test_atom_is_read(tmp_path: Path) -> None:
    """Where there is no date of publication, that of the update stands for it."""
    (one,) = read_articles([written(tmp_path, "feed", ATOM)])
    assert (one.id, one.title, one.body, one.authors, one.language) == ("urn:7", "Bac", "<p>Il coule.</p>", ("Ila Marsh",), "fr")
    assert one.published == datetime(2024, 6, 20, tzinfo=UTC)


@pytest.mark.parametrize("name", ["feed.json", "feed", "feed.rss"])
@pytest.mark.parametrize("version", ["1", "1.1"])
def test_a_json_feed_is_known_by_its_version(tmp_path: Path, name: str, version: str) -> None:
    """Ids may be numbers; what has no id goes by its address."""
    told = {**JSON_FEED, "version": f"https://jsonfeed.org/version/{version}"}
    one, two = read_articles([written(tmp_path, name, json.dumps(told, indent=1))])
    assert (one.id, one.body, one.section, one.authors, one.language) == ("7", "<p>It sank.</p>", "Local", ("Nora Pell",), "en")
    assert one.published == datetime(2024, 6, 19, 6, 42, tzinfo=UTC)
    assert (two.id, two.body) == ("https://ledger.example/8/", "Only this.")


def test_a_table_that_speaks_of_json_feeds_is_a_table(tmp_path: Path) -> None:
    """JSON Lines stay JSON Lines."""
    row = {"id": "a", "title": "x", "body": 'The "version" : "https://jsonfeed.org/version/1" of a feed'}
    assert ids(written(tmp_path, "a.jsonl", json.dumps(row) + "\n")) == ["a"]
    assert ids(written(tmp_path, "a.json", json.dumps([row]))) == ["a"]


def test_a_feed_that_is_not_well_formed_is_read_and_said(tmp_path: Path) -> None:
    """Many feeds hold a bare ampersand; what feedparser makes of them is better than nothing."""
    path = written(tmp_path, "feed.xml", rss(FULL, SUMMARY.replace("Bridge", "Bridge & toll")))
    notices: list[str] = []
    assert [one.title for one in read_articles([path], notice=notices.append)] == ["Ferry & sand", "Bridge & toll"]
    assert any("not well-formed" in notice and "2 entries" in notice for notice in notices)


def test_markup_that_runs_is_not_taken_over(tmp_path: Path) -> None:
    """A script in an entry is gone, and a link that is no address of the web."""
    script = "&lt;script&gt;alert(1)&lt;/script&gt;"
    evil = f"<item><guid>javascript:alert(1)</guid><title>x</title><description>{script}ok</description></item>"
    (one,) = read_articles([written(tmp_path, "feed.xml", rss(evil))])
    assert (one.body, one.url) == ("ok", None)


ENTITIES = "<?xml version='1.0'?><!DOCTYPE rss [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"
BAD = {
    "cut.xml": (rss(FULL, SUMMARY)[:-60], "ends too early"),
    "bomb.xml": (rss(FULL, prolog=ENTITIES), "entities of its own"),
    "wide-bomb.xml": (rss(FULL, prolog=ENTITIES).decode().encode("utf-16"), "entities of its own"),
    "empty.xml": (rss(), "without entries"),
    "cut.json": (json.dumps(JSON_FEED)[:-40].encode(), "broken or ends too early"),
    "other.rss": (b'{"version": "2.0", "items": []}', "no JSON Feed"),
    "no-items.json": (b'{"version": "https://jsonfeed.org/version/1", "items": {}}', "no list of items"),
    "deep.json": (b'{"version": "https://jsonfeed.org/version/1", "items": ' + b"[" * 200_000, "nested too deeply"),
    "binary.rss": (bytes(range(256)) * 20, "no XML"),
    "sitemap.xml": (b'<?xml version="1.0"?><urlset><url><loc>https://x.example/</loc></url></urlset>', "<urlset>"),
    "text.xml": (b"hello", "no XML"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_feed_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    """One line that says which file and why."""
    content, why = BAD[name]
    path = written(tmp_path, name, content)
    with pytest.raises(RecommenderError) as caught:
        ids(path)
    assert str(path) in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_entry_that_is_no_article_is_a_row_to_skip(tmp_path: Path) -> None:
    """Without an id and a link, without text, no object at all: the others are read."""
    undated = {"id": "d", "title": "Ferry", "date_published": "soon"}
    items = [{"title": "no id"}, {"id": "b"}, "text", undated, {"id": "e", "title": "x"}]
    path = written(tmp_path, "f.json", json.dumps({**JSON_FEED, "items": items}))
    notices: list[str] = []
    assert [one.id for one in read_articles([path], skip_invalid=True, notice=notices.append)] == ["e"]
    assert notices[-1].startswith("4 invalid rows left out; the first: ")
