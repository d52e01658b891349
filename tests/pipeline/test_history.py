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
        ({"t": "abc", "u": "de"}, {"t": "ab", "u": "cde"}, [("split", "u", "t", "c")]),
        (
            {"t": "abcd", "u": "ef"},
            {"t": "abf", "u": "ceg"},
            [("split", "t", "u", "f"), ("left", "t", None, "d"), ("split", "u", "t", "c"), ("joined", "u", None, "g")],
        ),
        (
            {"t": "abcd", "u": "efg"},
            {"t": "ab", "u": "ef", "v": "cdgh"},
            [("split", "v", "t", "cd"), ("split", "v", "u", "g"), ("joined", "v", None, "h")],
        ),
        (
            {"t": "ab", "u": "cd", "v": "efghi"},
            {"t": "abefg", "u": "cdh"},
            [("split", "u", "v", "h"), ("left", "v", None, "i"), ("merged", "v", "t", "efg")],
        ),
        ({"t": "ab"}, {"u": "abc"}, [("merged", "t", "u", "ab"), ("founded", "u", None, "c")]),
        ({"t": "ab"}, {"t": "ab"}, []),
    ],
)
def test_what_happened_is_named(
    before: dict[str, str], after: dict[str, str], changes: list[tuple[str, str, str | None, str]]
) -> None:
    """Founded, joined, left, closed, merged into the one most are in, split off the one they come from, new or not."""
    found = changes_between(threads(**before), threads(**after))
    assert [(one.kind, one.thread, one.other, "".join(one.articles)) for one in found] == changes


def test_a_thread_under_another_headline_is_renamed() -> None:
    """Its label is what changed, nothing else."""
    before = threads(t="ab")
    after = Threads(of=before.of, labels={"t": "another"})
    assert changes_between(before, after) == [Change(kind="renamed", thread="t")]


PLACES = st.dictionaries(st.sampled_from("abcdefghijkl"), st.sampled_from(["t", "u", "v", "w"]))


@given(before=PLACES, after=PLACES)
def test_every_article_that_moves_is_named_once(before: dict[str, str], after: dict[str, str]) -> None:
    """From thread to thread: in one merge or split of these very two; to or from none: in one change of that thread."""
    was = Threads(of=before, labels=dict.fromkeys(before.values(), ""))
    now = Threads(of=after, labels=dict.fromkeys(after.values(), ""))
    changes = changes_between(was, now)
    for article in {*before, *after}:
        naming = [one for one in changes if article in one.articles]
        old, new = before.get(article), after.get(article)
        if old == new:
            assert naming == []
            continue
        assert len(naming) == 1
        (one,) = naming
        if old and new:
            assert (one.kind, one.thread, one.other) in {("merged", old, new), ("split", new, old)}
        else:
            assert one.kind in (("joined", "founded") if new else ("left", "closed"))
            assert (one.thread, one.other) == (new or old, None)


@given(before=PLACES, after=PLACES)
def test_every_thread_comes_and_goes_named(before: dict[str, str], after: dict[str, str]) -> None:
    """One that is gone is merged or closed, in its last change and nowhere else; a new one is founded or split off."""
    was = Threads(of=before, labels=dict.fromkeys(before.values(), ""))
    now = Threads(of=after, labels=dict.fromkeys(after.values(), ""))
    changes = changes_between(was, now)
    for thread in set(before.values()) | set(after.values()):
        kinds = [one.kind for one in changes if one.thread == thread]
        if thread not in now.labels:
            on = {after[article] for article, held in before.items() if held == thread and article in after}
            assert kinds[-1] == ("merged" if on else "closed")
            assert {one.other for one in changes if one.thread == thread and one.kind == "merged"} <= on
        assert {"merged", "closed"}.isdisjoint(kinds[:-1] if thread not in now.labels else kinds)
        assert kinds.count("founded") + ("split" in kinds) == 1 if thread not in was.labels else "founded" not in kinds
