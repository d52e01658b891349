"""The nameless files of a build."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from recommender import Article
from recommender.archives.spool import Spool, SpooledArticles, SpooledContents, SpooledTexts
from recommender.pipeline.content import Content

HELD = [("Storm", "It blew.\nIt rained."), ("", "no title \ud83c alone"), ("No text", ""), ("Überfall 北京 🌊", "line\u2028one")]


def texts_of(folder: Path, held: list[tuple[str, str]]) -> SpooledTexts:
    texts = SpooledTexts(folder)
    for title, text in held:
        texts.append(title, text)
    return texts


def test_texts_come_back_in_the_order_of_places(tmp_path: Path) -> None:
    """Whatever characters they hold, a lone surrogate and a separator of lines too; and no file is left to see."""
    texts = texts_of(tmp_path, HELD)
    assert list(texts.read(0, 4)) == HELD
    assert list(texts.read(1, 3)) == HELD[1:3]
    assert list(texts.texts()) == [text for _, text in HELD]
    assert list(tmp_path.iterdir()) == []


def test_a_later_one_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    """Also between two readings."""
    spool = Spool(tmp_path)
    for place in range(4):
        spool.put(place, str(place).encode())
    assert list(spool.read([0])) == [b"0"]
    spool.put(0, b"longer than before")
    spool.put(4, b"")
    assert list(spool.read([4, 0, 3, 0])) == [b"", b"longer than before", b"3", b"longer than before"]


def test_articles_come_back_as_they_were(tmp_path: Path) -> None:
    """With every field and with none."""
    east = timezone(timedelta(hours=5, minutes=30))
    full = Article(
        id="a/1 🌊", title="<b>Storm</b>", body="It blew.\n\nIt rained.", published=datetime(1600, 1, 2, 3, tzinfo=east),
        updated=datetime(2200, 1, 2, 3, 4, 5, 678, tzinfo=UTC), url="https://news.example/1", section="World", language="en-GB",
        authors=("A. One", "B. Two"), tags=("storm",), image="https://news.example/1.jpg",
    )  # fmt: skip
    bare = Article(id="b", title="Only a title")
    articles = SpooledArticles(tmp_path)
    articles.put(0, bare)
    articles.put(1, bare)
    articles.put(0, full)
    assert list(articles.read([1, 0])) == [bare, full]


def test_contents_are_those_of_the_texts(tmp_path: Path) -> None:
    """By place, in slices and in order, as a list would give them."""
    lines = [f"Text number {n} of many." for n in range(1_200)]
    contents = SpooledContents(texts_of(tmp_path, [(f"title {n}", line) for n, line in enumerate(lines)]))
    expected = [Content(title=f"title {n}", lead=line, text=line) for n, line in enumerate(lines)]
    assert list(contents) == expected
    assert contents[499:1_001] == expected[499:1_001]
    assert (contents[3], contents[-1:], len(contents)) == (expected[3], expected[-1:], 1_200)
