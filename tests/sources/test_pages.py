"""Saved pages: the article that a reader sees on them, without what stands around it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recommender import read_articles
from recommender.errors import InvalidRowsError
from recommender.sources.pages import row_of_page
from tests.sources.exports import ids, written

CYRILLIC = "Паром сел на мель у мыса Марш, все пассажиры сняты с борта, сообщила береговая охрана. " * 3

PAGES = Path(__file__).parent.parent / "web_pages"

CLASSIC = """\
The morning ferry from Saltmere to Ness ran onto a sandbank off Marsh Point on Wednesday, and all 84 people on board were \
taken off without serious injury, the coastguard said.
Two lifeboats and a fishing vessel reached the Lady Wren within twenty minutes of her first call at 6.14 am, when the tide was \
already falling.
Passengers described a long shudder and then silence. “The coffee slid off every table at once,” said one of them, a teacher on \
her way to work.
We had warned the harbour board twice this spring that the bank had moved.
The harbour board said that the channel had last been surveyed in March and that an inquiry would begin at once.
Crossings are suspended until Friday. A replacement bus leaves the old station every hour."""

BLOCK = """\
Lawmakers approved the water bill by 61 votes to 44 shortly before midnight on Tuesday, ending a dispute that has divided the \
governing coalition since spring.
The bill puts the six regional suppliers under one regulator, caps household tariffs for three years and obliges large farms to \
meter their wells.
What changes for farms
Farms that draw more than two million litres a year must report monthly from July. The farmers’ union called the deadline \
“unworkable” and said it would go to court.
Tariffs: capped at the level of October for 36 months.
Leaks: suppliers must halve their losses by 2030.
Watch closely what the upper house does in December, the minister told reporters as she left the chamber.
The upper house votes on 12 December."""

MAGAZINE = """\
Sleeping cars will run again between the capital and the southern ports from April, sixteen years after the last night train \
left the coast line.
The railway said on Tuesday that it had leased 22 carriages and would begin with three departures a week in each direction.
Tickets start at the price of a second-class seat; a berth in a cabin of four costs twice as much. Bicycles travel free.
Hoteliers on the coast welcomed the plan. “Our guests asked for this every single winter,” said the head of their association.
Critics point to the single track south of Orrin, where freight trains have priority at night and delays of an hour are common.
The first train is due to leave at 9.40 pm on 4 April."""

EXPECTED = {
    "classic-sidebar.html": (
        *("2024/06/19/harbour-ferry-runs-aground", "Harbour ferry runs aground off Marsh Point, all 84 rescued", CLASSIC),
        *(datetime(2024, 6, 19, 6, 42, tzinfo=UTC), "Local", ("Nora Pell",), ("ferry", "harbour"), "en-GB"),
    ),
    "block-theme.html": (
        *("politics/water-bill-passed", "Parliament passes water bill after eleven hours of debate", BLOCK),
        *(datetime(2024, 11, 5, 22, 31, 9, tzinfo=UTC), "Politics", ("Tomas Ide",), ("water", "parliament"), "en-US"),
    ),
    "magazine.html": (
        *("?p=20815", "Night trains return to the coast line", MAGAZINE),
        *(datetime(2025, 2, 11, tzinfo=UTC), "Transport", ("Ila Marsh", "Ben O'Dowd"), ("night trains", "rail"), "en"),
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_page_of_a_wordpress_theme_comes_out_clean(name: str) -> None:
    """Every paragraph of the article and nothing else: no 'Previous Story', 'Latest from', 'ALSO READ', 'Don't Miss'."""
    (found,) = read_articles([PAGES / name])
    told = (found.id, found.title, found.body, found.published, found.section, found.authors, found.tags, found.language)
    assert told == EXPECTED[name]


def test_the_same_page_has_the_same_id_in_a_folder_and_alone() -> None:
    """The id is the page's own address."""
    assert sorted(ids(PAGES)) == sorted(one for name in EXPECTED for one in ids(PAGES / name))


PARAGRAPH = "<p>The kiln on Ferry Lane was fired for the first time since the flood, and forty pots came out whole on Sunday.</p>"


def page(*head: str, body: str = PARAGRAPH, lang: str = "") -> bytes:
    return f"<!doctype html><html{lang}><head>{''.join(head)}</head><body><article>{body}</article></body></html>".encode()


def json_ld(value: object) -> str:
    return f'<script type="application/ld+json">{json.dumps(value)}</script>'


NEWS = {"@type": "NewsArticle", "headline": "Kiln fired", "datePublished": "2025-03-02", "author": "Ila Marsh"}


@pytest.mark.parametrize(
    "said",
    [
        NEWS,
        [{"@type": "WebSite"}, NEWS],
        {"@graph": [NEWS]},
        {"@type": "WebPage", "mainEntity": NEWS},
        [[{**NEWS, "@type": ["X", "Article"]}]],
    ],
)
def test_json_ld_is_found_wherever_it_stands(said: object) -> None:
    """Alone, in a list, in a graph, within a page, with several types."""
    row = row_of_page(page("<title>Other</title>", json_ld(said)), "a.html")
    assert (row["title"], row["published"], row["authors"]) == ("Kiln fired", "2025-03-02", ["Ila Marsh"])


def test_broken_json_ld_leaves_the_rest_of_the_page() -> None:
    """What cannot be read is as if it were not there."""
    head = '<script type="application/ld+json">{"@type": "NewsArticle", </script><meta property="og:title" content="Kiln">'
    assert row_of_page(page(head), "a.html")["title"] == "Kiln"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('<link rel="canonical" href="https://n.example/2025/kiln/">', "2025/kiln"),
        ('<link rel="canonical" href="https://n.example/caf%C3%A9/?x=1">', "café?x=1"),
        ('<link rel="canonical" href="https://n.example/">', "old/kiln"),
        ('<link rel="canonical" href="/2025/kiln/">', "old/kiln"),
        ('<link rel="canonical" href="https://[n.example/kiln">', "old/kiln"),
        ('<meta property="og:url" content="https://n.example/kiln">', "kiln"),
        ("", "old/kiln"),
    ],
)
def test_the_id_is_the_path_of_the_address_or_else_of_the_file(head: str, expected: str) -> None:
    """It is the same whatever machine the page was saved on."""
    assert row_of_page(page(head), "old/kiln.html")["id"] == expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("<title>Kiln fired | The Ledger</title>", "Kiln fired"),
        ("<title>Kiln - fired - The Ledger</title><meta property='og:site_name' content='The Ledger'>", "Kiln - fired"),
        ("<title>Tea - a history - in cups</title>", "Tea - a history - in cups"),
        ("<meta property='og:title' content='Kiln &amp; clay'>", "Kiln & clay"),
    ],
)
def test_the_name_of_the_site_leaves_the_title(head: str, expected: str) -> None:
    """Only where it is known or stands alone behind a dash: a headline may hold one."""
    assert row_of_page(page(head), "a.html")["title"] == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1251", "shift_jis", "iso-8859-1"])
def test_a_page_is_read_in_its_encoding(encoding: str) -> None:
    """By its mark, by UTF-8, then by what it says in <meta>."""
    word = {"windows-1251": "Паром", "shift_jis": "陶器", "iso-8859-1": "café"}.get(encoding, "Паром 陶器")
    text = page(f"<meta charset={encoding.removesuffix('-sig')}>", body=f"<h1>{word}</h1>{PARAGRAPH}").decode()
    assert row_of_page(text.encode(encoding), "a.html")["title"] == word


def test_a_sentence_that_begins_like_a_label_stays() -> None:
    """'Watch closely ...', 'Related costs ...' are text where no link makes up the line; 'READ MORE: link' goes."""
    kept = "<p>Related costs rose by a third, and the <a href='/x'>council</a> will vote on the budget again in the autumn.</p>"
    gone = "<p>READ MORE: <a href='/y'>Ten pots that changed the county</a></p>"
    body = str(row_of_page(page(body=PARAGRAPH + kept + gone + PARAGRAPH.replace("forty", "fifty")), "a.html")["body"])
    assert "Related costs rose" in body
    assert "Ten pots" not in body
    assert len(body.split("\n")) == 3


@pytest.mark.parametrize(
    "around", ["<form id=aspnetForm>", "<div class='story has-sidebar'>", "<div id=latest-story>", "<aside>"]
)
def test_what_holds_most_of_the_text_stays(around: str) -> None:
    """Some programs put the whole page into a form, or name its frame after a bar beside it."""
    share = "<div class=share>Share this on your favourite network with all your friends</div>"
    told = f"<html><body>{around}{PARAGRAPH}{share}</body></html>"
    assert row_of_page(told.encode(), "a.html")["body"] == PARAGRAPH[3:-4]


def test_what_a_theme_marks_as_the_content_stays() -> None:
    """Though it is named after a bar beside it, and its paragraphs are lines with breaks between them."""
    text = PARAGRAPH[3:-4]
    content = f"<div class='post-content has-sidebar'>{text}<br><br>{text.replace('forty', 'fifty')}</div>"
    told = f"<html><body>{content}<p>End.</p></body></html>"
    assert text in str(row_of_page(told.encode(), "a.html")["body"])


def test_a_list_of_links_goes_with_its_label() -> None:
    """A list of links that follows another heading stays: it may be a part of the article."""
    links = "<ul><li><a href=/a>Dry wells, a summer in the valleys</a></li><li><a href=/b>Who owns the springs</a></li></ul>"
    with_label = page(body=f"{PARAGRAPH}<h3>Also read</h3>{links}{PARAGRAPH.replace('forty', 'fifty')}")
    assert "Dry wells" not in str(row_of_page(with_label, "a.html")["body"])
    without = page(body=f"{PARAGRAPH}<h3>Sources</h3>{links}{PARAGRAPH.replace('forty', 'fifty')}")
    assert "Dry wells" in str(row_of_page(without, "a.html")["body"])


def test_the_article_that_a_page_tells_in_json_stands_in_for_a_text_that_is_not_there() -> None:
    """Pages that a script fills hold their text in JSON-LD only."""
    told = {**NEWS, "articleBody": "The kiln was fired. " * 30}
    assert row_of_page(page(json_ld(told), body="<div id=app></div>"), "a.html")["body"] == told["articleBody"].strip()


NO_ARTICLE = {
    "nothing": (b"", "no markup"),
    "text": (b"hello", "no markup"),
    "binary": (bytes(range(256)) * 9, "NUL bytes"),
    "an image": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(99), "NUL bytes"),
    "an empty page": (page(body=""), "no article"),
    "a list": (b"<html><body><ul><li><a href=/a>Kiln</a></li><li><a href=/b>Ferry</a></li></ul></body></html>", "no article"),
    "tags without end": (b"<div>" * 50_000, "no "),
    "a comment without end": (b"<html><!--" + b"-" * 99_999, "no "),
    "less than": (b"<" * 99, "no "),
}


@pytest.mark.parametrize("case", NO_ARTICLE)
def test_a_page_without_an_article_is_refused_with_a_reason(case: str) -> None:
    """Front pages, binary files and nothing at all are no articles."""
    content, why = NO_ARTICLE[case]
    with pytest.raises(ValueError, match=why):
        row_of_page(content, "a.html")


def test_a_front_page_among_articles_can_be_skipped(tmp_path: Path) -> None:
    """It is an invalid row like any other: refused, or left out with --skip-invalid."""
    written(tmp_path, "index.html", NO_ARTICLE["a list"][0])
    written(tmp_path, "kiln.html", page())
    with pytest.raises(InvalidRowsError, match=r"index\.html: no article is found on this page"):
        ids(tmp_path)
    assert ids(tmp_path, skip_invalid=True) == ["kiln"]


@pytest.mark.parametrize("told", ["windows-1251", '"WINDOWS-1251"', "cp1251; x=y"])
def test_the_charset_of_the_answer_counts_where_the_page_names_none(told: str) -> None:
    """What is UTF-8 is UTF-8, whatever is said of it."""
    page = f"<html><body><h1>Паром</h1><p>{CYRILLIC}</p></body></html>"
    of_answer = f"text/html; charset={told}"
    assert row_of_page(page.encode("windows-1251"), "a", of_answer)["title"] == "Паром"
    assert row_of_page(page.encode(), "a", of_answer)["title"] == "Паром"
    named = page.replace("<body>", "<meta charset=koi8-r><body>").encode("koi8-r")
    assert row_of_page(named, "a")["title"] == "Паром"


@pytest.mark.parametrize(
    "told", ["text/html; charset=base64", "text/html; charset=", "charset", "text/html; charset=no-such", "\xff"]
)
def test_a_charset_that_is_none_is_passed_over(told: str) -> None:
    """The page is read as without it."""
    page = f"<html><body><h1>Café</h1><p>{CLASSIC}</p></body></html>".encode("windows-1252", "replace")
    assert row_of_page(page, "a", told)["title"] == "Café"
