"""The nameless file of a build."""

from __future__ import annotations

from pathlib import Path

from recommender.pipeline.content import Boilerplate, Content
from recommender.spool import Spool, SpooledContents

HELD = [("Storm", "It blew.\nIt rained."), ("", "no title \ud83c alone"), ("No text", ""), ("Überfall 北京 🌊", "line\u2028one")]


def test_what_is_put_comes_back_in_the_order_of_places(tmp_path: Path) -> None:
    """Whatever characters it holds, a lone surrogate and a separator of lines too; and no file is left to see."""
    spool = Spool(tmp_path)
    for place, (title, text) in enumerate(HELD):
        spool.put(place, title, text)
    assert list(spool.read(0, 4)) == HELD
    assert list(spool.read(1, 3)) == HELD[1:3]
    assert list(spool.texts()) == [text for _, text in HELD]
    assert list(tmp_path.iterdir()) == []


def test_a_later_text_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    """Also between two readings."""
    spool = Spool(tmp_path)
    for place, (title, text) in enumerate(HELD):
        spool.put(place, title, text)
    assert list(spool.read(0, 1)) == HELD[:1]
    spool.put(0, "Calm", "It did not blow at all after that.")
    spool.put(4, "Last", "came later")
    expected = [("Calm", "It did not blow at all after that."), *HELD[1:], ("Last", "came later")]
    assert list(spool.read(0, 5)) == expected


def test_contents_are_those_of_the_texts(tmp_path: Path) -> None:
    """By place, in slices and in order, as a list would give them."""
    spool = Spool(tmp_path)
    for place in range(1_200):
        spool.put(place, f"title {place}", f"Text number {place} of many.")
    contents = SpooledContents(spool, Boilerplate())
    lines = [f"Text number {n} of many." for n in range(1_200)]
    expected = [Content(title=f"title {n}", lead=line, text=line) for n, line in enumerate(lines)]
    assert list(contents) == expected
    assert contents[499:1_001] == expected[499:1_001]
    assert (contents[3], contents[-1:], len(contents)) == (expected[3], expected[-1:], 1_200)
