"""Articles, ids, dates and clocks at the edges of what there can be: each is taken as it is, or refused in one clear line."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from recommender import Article
from recommender.pipeline.content import BoilerplateCounter, content_of, plain_text


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cleaned(body: str) -> None:
    """Step 2 for one article of an archive."""
    counter = BoilerplateCounter()
    counter.add(plain_text(body))
    content_of(Article(id="a", body=body), counter.find())


@pytest.mark.parametrize(
    "unit", ["<b x=1", "<b x = ", "<b x='1' y='", "Abcd. Efgh ijk lmn. ", "abcd. Efgh", "&lt;b&gt;", "READ MORE - ", "(a b c) "]
)
def test_no_text_is_slow_to_clean(unit: str) -> None:
    """A million characters of what looks like the beginning of a tag, or like the end of a sentence, take under four seconds.

    Where each of them is looked at to the end of the text they take minutes.
    """
    assert seconds(lambda: cleaned(unit * (1_000_000 // len(unit)))) < 4

