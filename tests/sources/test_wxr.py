"""WordPress exports: published posts, as a stream."""

from __future__ import annotations

import gzip
import io
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommender import Article, RecommenderError, read_articles
from recommender.sources import wxr
from tests.sources.exports import HEAD, TAIL, export, ids, item, written


def test_a_post_is_read_with_all_its_fields(tmp_path: Path) -> None:
    """Each field of an article comes from where WordPress keeps it; the image stands after the post that shows it."""
    more = (
        '<category domain="category" nicename="uncategorized"><![CDATA[Uncategorized]]></category>'
        '<category domain="category" nicename="local"><![CDATA[Local & near]]></category>'
        '<category domain="post_tag" nicename="ferry"><![CDATA[ferry]]></category>'
        "<wp:postmeta><wp:meta_key><![CDATA[_thumbnail_id]]></wp:meta_key><wp:meta_value><![CDATA[9]]></wp:meta_value></wp:postmeta>"
        "<wp:comment><wp:comment_content><![CDATA[First!]]></wp:comment_content></wp:comment>"
        "<wp:post_modified_gmt><![CDATA[2024-06-20 01:00:00]]></wp:post_modified_gmt>"
    )
    content = '<!-- wp:paragraph --><p>It sank.</p>[caption id="a"]<img src="x"> A photo[/caption][gallery ids="1,2"]'
    attached = item(
        9, kind="attachment", status="inherit", more="<wp:attachment_url>https://ledger.example/9.jpg</wp:attachment_url>"
    )
    path = written(tmp_path, "ledger.xml", export(item(4, content=content, more=more), attached))
    assert list(read_articles([path])) == [
        Article(
            id="4",
            title="Ferry 4",
            body="<!-- wp:paragraph --><p>It sank.</p>",
            published=datetime(2024, 6, 19, 6, 42, tzinfo=UTC),
            updated=datetime(2024, 6, 20, 1, tzinfo=UTC),
            url="https://ledger.example/4/",
            section="Local & near",
            language="en-GB",
            authors=("Nora Pell",),
            tags=("ferry",),
            image="https://ledger.example/9.jpg",
        )
    ]


def test_names_are_read_without_entities(tmp_path: Path) -> None:
    """WordPress keeps an ampersand in the name of a term as `&amp;`, and exports it as it is kept."""
    more = (
        '<category domain="category" nicename="art"><![CDATA[Art &amp; Life]]></category>'
        '<category domain="post_tag" nicename="sp"><![CDATA[S&amp;P 500]]></category>'
    )
    (article,) = read_articles([written(tmp_path, "export.xml", export(item(1, more=more)))])
    assert (article.section, article.tags) == ("Art & Life", ("S&P 500",))


def test_only_published_posts_are_taken_and_the_rest_is_counted(tmp_path: Path) -> None:
    """Drafts, pages, attachments and posts behind a password stay out, and a notice says how many of each."""
    secret = item(6, more="<wp:post_password><![CDATA[x]]></wp:post_password>")
    others = [item(2, status="draft"), item(3, status="draft"), item(4, kind="page"), item(5, status="private"), secret]
    path = written(tmp_path, "ledger.xml", export(item(1), *others))
    notices: list[str] = []
    assert [one.id for one in read_articles([path], notice=notices.append)] == ["1"]
    assert notices == [
        f"{path}: a WordPress export; only published posts are taken",
        f"{path}: 1 published post; left out: 2 draft, 1 page, 1 private, 1 with a password",
    ]


@pytest.mark.parametrize("lost", ["2024-06-19 06:42:00", "0000-00-00 00:00:00"])
def test_without_a_date_in_gmt_the_date_of_the_feed_counts(tmp_path: Path, lost: str) -> None:
    """WordPress writes zeros where it knows no date."""
    content = export(item(1)).replace(b"2024-06-19 06:42:00", lost.encode())
    article = next(iter(read_articles([written(tmp_path, "ledger.xml", content)])))
    assert article.published == datetime(2024, 6, 19, 6, 42, tzinfo=UTC)


@pytest.mark.parametrize("name", ["ledger.xml", "ledger.xml.gz", "ledger.wxr", "ledger", "ledger.html.gz"])
def test_an_export_is_known_by_what_it_holds(tmp_path: Path, name: str) -> None:
    """Whatever it is called, gzipped or not."""
    content = export(item(1), item(2))
    assert ids(written(tmp_path, name, gzip.compress(content) if name.endswith("gz") else content)) == ["1", "2"]


def test_stdin_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a pipe the images of attachments that came before are known."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    image = "<wp:attachment_url>https://ledger.example/9.jpg</wp:attachment_url>"
    shows = "<wp:postmeta><wp:meta_key>_thumbnail_id</wp:meta_key><wp:meta_value>9</wp:meta_value></wp:postmeta>"
    content = export(item(9, kind="attachment", status="inherit", more=image), item(10, more=shows))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(content)))
    assert [(one.id, one.image) for one in read_articles(["-"])] == [("10", "https://ledger.example/9.jpg")]


def test_control_characters_and_utf_16_are_read(tmp_path: Path) -> None:
    """WordPress writes the control characters of a post into its XML, which XML forbids."""
    broken = export(item(1, content="It\x0b sank\x00."))
    assert next(iter(read_articles([written(tmp_path, "a.xml", broken)]))).body == "It sank."
    wide = export(item(1)).decode().replace("UTF-8", "UTF-16").encode("utf-16")
    assert ids(written(tmp_path, "b.xml", wide)) == ["1"]


BOMB = "<!DOCTYPE rss [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
OUTSIDE = '<!DOCTYPE rss [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
BAD = {
    "cut in a post": (export(item(1), item(2))[:-300], "broken or ends too early"),
    "cut before the end": (export(item(1))[: -len(TAIL)], "broken or ends too early"),
    "cut in its head": (HEAD.encode(), "broken or ends too early"),
    "an ampersand": (export(item(1), "<item><title>A & B</title></item>"), "broken or ends too early"),
    "Latin letters": (HEAD.encode() + b"<item><title>caf\xe9</title></item>" + TAIL.encode(), "broken or ends too early"),
    "an unknown encoding": (export(item(1)).replace(b"UTF-8", b"KLINGON-1"), "broken or ends too early"),
    "entities in entities": (export(item(1)).replace(b"<rss", BOMB.encode() + b"<rss", 1), "entities of its own"),
    "an entity outside": (export(item(1)).replace(b"<rss", OUTSIDE.encode() + b"<rss", 1), "entities of its own"),
    "drafts only": (export(item(1, status="draft")), "no published post"),
    "nothing": (export(), "no published post"),
    "deep": (HEAD.encode() + b"<a>" * 10_000, "nests them more than"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_export_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    """Truncated, of another encoding, bombs: one line that says which file and why."""
    content, why = BAD[case]
    path = written(tmp_path, "ledger.xml", content)
    with pytest.raises(RecommenderError) as caught:
        ids(path)
    assert str(path) in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["attribute", "text", "elements"])
def test_a_post_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What of one post is longer than the limit is not read: an eighth of it here, so that the test is quick."""
    monkeypatch.setattr(wxr, "LINE_LIMIT", 4 * 2**20)
    monkeypatch.setattr(wxr, "ELEMENT_LIMIT", 100_000)
    long = "x" * 100 * 2**20
    inside = {"attribute": f'<item a="{long}', "text": f"<item>{long}", "elements": "<item>" + "<a/>" * 300_000}
    path = written(tmp_path, "ledger.xml.gz", gzip.compress(HEAD.encode() + inside[kind].encode(), 1))
    tracemalloc.start()
    with pytest.raises(RecommenderError, match="one post of it"):
        ids(path)
    assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    tracemalloc.stop()


def test_the_memory_does_not_grow_with_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20 MB of posts only one is held at a time, and the limit of a post is not that of the export."""
    monkeypatch.setattr(wxr, "LINE_LIMIT", 4 * 2**20)
    path = tmp_path / "ledger.xml"
    with path.open("wb") as file:
        file.write(HEAD.encode())
        file.writelines(item(number, content="It sank. " * 1000).encode() for number in range(2000))
        file.write(TAIL.encode())
    tracemalloc.start()
    assert sum(1 for _ in read_articles([path])) == 2000
    assert tracemalloc.get_traced_memory()[1] < 12 * 2**20
    tracemalloc.stop()
