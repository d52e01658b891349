"""A newspaper of ten days comes in batches, editors set rules, the index is rebuilt, and readers ask all along."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from recommender import Article, Recommender, RelatedList, StoryThread
from recommender.answers import Profile, Related, Relation, ThreadChange, ThreadPlace
from recommender.pipeline.overruling import CHOSEN
from recommender.pipeline.rules import Rule, parse_rule
from recommender.writing import updating
from scripts.measure_replay import replay, unlogged
from scripts.readers import faults_among, faults_of_list, faults_of_thread, is_obeyed
from tests.archives import report

STORIES = 25
DAYS = 10


def ten_days() -> Iterator[Article]:
    """125 articles of 25 stories, each of three days, and 25 that tell of two stories at once; by time."""
    rng = random.Random(7)
    told = []
    for story in range(STORIES):
        begins = rng.uniform(0, DAYS - 3)
        told += [report(f"s{story:02}a{number}", f"story {story}", begins + rng.uniform(0, 3)) for number in range(5)]
        one, other = (report("x", f"story {which % STORIES}", 0) for which in (story, story + 1))
        both = report(f"b{story:02}", f"both {story}", begins + 2)
        told.append(replace(both, title=one.title, body=f"{one.body} {other.body}"))
    return iter(sorted(told, key=lambda article: str(article.published)))


@pytest.mark.slow
def test_ids_rules_and_answers_hold_while_ten_days_come_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread id changes unlogged, no answer is inconsistent, rules are obeyed, the threads are those of a build at once."""
    monkeypatch.setattr(updating, "OUTGROWN", 1.25)  # most adds write into the store that is there, as in a large archive
    found = replay(list(ten_days()), tmp_path, batch=10, first=20, readers=2)
    assert found.batches == 13
    assert found.moved > 20
    assert {"founded", "joined", "merged", "split", "renamed"} <= set(found.kinds)
    assert found.unlogged == ()
    assert found.agreement >= 0.97
    assert found.disobeyed == ()
    assert found.damage == ()
    assert (found.readers.inconsistent, found.readers.errors, found.readers.told) == (0, 0, [])
    assert found.readers.answers > 500


def change(kind: str, thread: str, other: str | None, *articles: str) -> ThreadChange:
    """A line of the log."""
    return ThreadChange(at="2024", kind=kind, thread_id=thread, other_id=other, article_ids=articles, label=None)


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        ([change("split", "u", "t", "a"), change("left", "t", None, "b")], []),
        ([change("merged", "t", "u", "a"), change("left", "t", None, "b")], []),
        ([change("split", "u", "t", "a"), change("closed", "t", None, "b")], []),
        ([change("split", "t", "u", "a"), change("left", "t", None, "b")], ["a"]),
        ([change("merged", "u", "t", "a"), change("left", "t", None, "b")], ["a"]),
        ([change("split", "u", "v", "a"), change("left", "u", None, "b")], ["a", "b"]),
        ([change("left", "t", None, "a"), change("joined", "u", None, "a")], ["a", "b"]),
        ([], ["a", "b"]),
    ],
)
def test_a_move_is_logged_where_both_its_ends_are_named(changes: Sequence[ThreadChange], lacking: list[str]) -> None:
    """Of a, which goes from t to u, b, which leaves t, c, which stays, and d, which is new."""
    assert unlogged({"a": "t", "b": "t", "c": "u"}, {"a": "u", "c": "u", "d": "u"}, changes) == lacking


def item(article: str, thread: str | None, relation: Relation, score: float = 0.9) -> Related:
    """An article of a list."""
    return Related(
        id=article, title=article, url=None, published=None, score=score, relation=relation, thread_id=thread, reasons=()
    )


RULES = [parse_rule("pin a p"), parse_rule("never b a")]
MATE = item("m", "t", "same-story", 0.8)
PINNED = replace(item("p", "u", "related", 0.1), reasons=(CHOSEN,))
LIST = RelatedList(id="a", thread=ThreadPlace(id="t", label="label", position=1, size=2), items=(PINNED, MATE))


def test_a_list_as_it_should_be_has_no_faults() -> None:
    """Also a copy in the profile that shows copies, and a mate whose text is the same."""
    assert list(faults_of_list(LIST, "sidebar", RULES)) == []
    copies = replace(LIST, items=(item("c", "t", "duplicate"), item("d", None, "duplicate"), MATE))
    assert list(faults_of_list(copies, "similar", RULES)) == []


@pytest.mark.parametrize(
    ("wrong", "profile", "fault"),
    [
        (replace(LIST, items=(PINNED, MATE, MATE)), "sidebar", "twice"),
        (replace(LIST, items=(PINNED, item("a", "t", "same-story"))), "sidebar", "itself"),
        (replace(LIST, items=(PINNED, item("m", "u", "same-story"))), "sidebar", "as same-story"),
        (replace(LIST, items=(PINNED, item("m", "t", "related"))), "sidebar", "as related"),
        (replace(LIST, thread=None), "sidebar", "as same-story"),
        (replace(LIST, thread=ThreadPlace(id="t", label="label", position=3, size=2)), "sidebar", "no such place"),
        (replace(LIST, thread=ThreadPlace(id="t", label="label", position=1, size=1)), "sidebar", "no such place"),
        (replace(LIST, items=(PINNED, item("m", "t", "same-story", 1.1))), "sidebar", "score of 1.1"),
        (replace(LIST, items=(PINNED, item("c", "t", "duplicate"))), "sidebar", "its copy c"),
        (replace(LIST, items=(PINNED, MATE, item("n", "t", "same-story"))), "sidebar", "order of the scores"),
        (replace(LIST, items=(MATE, PINNED)), "sidebar", "does not begin with"),
        (replace(LIST, items=()), "sidebar", "does not begin with"),
        (replace(LIST, items=(PINNED, item("b", None, "related"))), "sidebar", "never to be"),
        (replace(LIST, id="b", items=(item("a", "t", "same-story"), MATE)), "similar", "never to be"),
    ],
)
def test_a_reader_finds_what_is_wrong_with_a_list(wrong: RelatedList, profile: Profile, fault: str) -> None:
    """Each of these lists has just that fault."""
    (told,) = faults_of_list(wrong, profile, RULES)
    assert fault in told


THREAD = StoryThread(
    id="t", label="label", keywords=(), size=2, first_published=None, last_published=None, lead_id="a", article_ids=("a", "m")
)


def test_a_reader_finds_what_is_wrong_with_a_thread() -> None:
    """Another size than it says, one article twice, a lead that is elsewhere; nothing where all is well."""
    assert list(faults_of_thread(THREAD)) == []
    for wrong in (replace(THREAD, size=3), replace(THREAD, article_ids=("a", "a")), replace(THREAD, lead_id="z")):
        assert len(list(faults_of_thread(wrong))) == 1


def lists(*places: tuple[str, int | None], size: int = 2, shown: Iterable[Related] = ()) -> list[RelatedList]:
    """A list of each article, in a thread `t` where it has a position."""
    return [
        RelatedList(id=a, thread=ThreadPlace(id="t", label="label", position=p, size=size) if p else None, items=tuple(shown))
        for a, p in places
    ]


@pytest.mark.parametrize(
    ("all_lists", "fault"),
    [
        (lists(("a", 1), ("m", 2), ("p", None), shown=[item("m", "t", "related"), item("p", None, "related")]), ""),
        (lists(("a", 1), ("m", 3), ("p", None)), "positions"),
        (lists(("a", 1), ("m", 2), ("p", None), size=3), "positions"),
        (lists(("a", 1), ("m", 2), shown=[item("m", "u", "related")])[:1] + lists(("m", 2)), "whose own list says t"),
        (lists(("a", 1), ("m", 2)) + lists(("p", None), shown=[item("z", None, "related")]), "z, which is not there"),
    ],
)
def test_a_reader_finds_what_does_not_fit_together(all_lists: list[RelatedList], fault: str) -> None:
    """Positions with a gap, a thread that an article is not in, an article that is not there."""
    found = list(faults_among(all_lists))
    assert len(found) == bool(fault)
    assert all(fault in told for told in found)


def test_a_rule_is_held_against_the_answers(newsroom_index: Path) -> None:
    """Rules that the newsroom obeys by itself are obeyed, those that nobody has set are not."""
    engine = Recommender.open(newsroom_index)
    thread = engine.threads(min_size=4)[0]
    one, two, *rest = thread.article_ids
    first = engine.related_ids(one)[0]
    stranger = next(a for a in (t.lead_id for t in engine.threads() if t.id != thread.id) if a not in engine.related_ids(one, 40))
    obeyed = [
        Rule(kind="pin", articles=(one, first)), Rule(kind="never", articles=(one, stranger)),
        Rule(kind="merge", articles=(one, two)), Rule(kind="split", articles=thread.article_ids),
        Rule(kind="rename", articles=(two,), label=thread.label), Rule(kind="lock", articles=thread.article_ids),
    ]  # fmt: skip
    assert [rule for rule in obeyed if not is_obeyed(rule, engine)] == []
    others = [
        Rule(kind="pin", articles=(one, stranger)), Rule(kind="never", articles=(one, first)),
        Rule(kind="merge", articles=(one, stranger)), Rule(kind="split", articles=(one, two)),
        Rule(kind="rename", articles=(two,), label="another"), Rule(kind="lock", articles=(one, *rest)),
    ]  # fmt: skip
    assert [rule for rule in others if is_obeyed(rule, engine)] == []
