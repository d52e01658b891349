"""Step 7: threads before and after -> changes. What is expected is worked by hand or counted article by article."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.pipeline.history import Change, Threads, changes_between


def threads(**members: str) -> Threads:
    """Threads by name, of articles named by one letter each; a thread may be of no article any more."""
    of = {article: name for name, letters in members.items() for article in letters}
    return Threads(of=of, labels={name: f"label of {name}" for name in members})


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({}, {"t": "ab"}, [("founded", "t", None, "ab")]),
        ({"t": "ab"}, {"t": "abc"}, [("joined", "t", None, "c")]),
        ({"t": "abc"}, {"t": "ab"}, [("left", "t", None, "c")]),
        ({"t": "ab"}, {}, [("closed", "t", None, "ab")]),
        ({"t": ""}, {}, [("closed", "t", None, "")]),
        ({"t": "abc", "u": "de"}, {"t": "abcde"}, [("merged", "u", "t", "de")]),
        ({"t": "abc", "u": "de"}, {"t": "abcdef"}, [("joined", "t", None, "f"), ("merged", "u", "t", "de")]),
        ({"t": "abcde"}, {"t": "abc", "u": "de"}, [("split", "u", "t", "de")]),
        ({"t": "abc", "u": "de"}, {"t": "ab", "u": "cde"}, [("left", "t", None, "c"), ("joined", "u", None, "c")]),
        ({"t": "ab"}, {"t": "ab"}, []),
    ],
)
def test_what_happened_is_named(
    before: dict[str, str], after: dict[str, str], changes: list[tuple[str, str, str | None, str]]
) -> None:
    """Founded, joined, left, closed, merged into the one most are in, split off the one most come from."""
    found = changes_between(threads(**before), threads(**after))
    assert [(one.kind, one.thread, one.other, "".join(one.articles)) for one in found] == changes


def test_a_thread_under_another_headline_is_renamed() -> None:
    """Its label is what changed, nothing else."""
    before = threads(t="ab")
    after = Threads(of=before.of, labels={"t": "another"})
    assert changes_between(before, after) == [Change(kind="renamed", thread="t")]


PLACES = st.dictionaries(st.sampled_from("abcdefghijkl"), st.sampled_from(["t", "u", "v", "w"]))


@given(before=PLACES, after=PLACES)
def test_no_article_moves_unnamed(before: dict[str, str], after: dict[str, str]) -> None:
    """Every article whose thread is another one than before, or none, stands in a change of a thread of its."""
    was = Threads(of=before, labels=dict.fromkeys(before.values(), ""))
    now = Threads(of=after, labels=dict.fromkeys(after.values(), ""))
    changes = changes_between(was, now)
    named = {(article, thread) for one in changes for article in one.articles for thread in (one.thread, one.other)}
    for article in {*before, *after}:
        if before.get(article) != after.get(article):
            assert {(article, before.get(article)), (article, after.get(article))} & named
