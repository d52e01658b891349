"""Rules of editors: what a line says, what a file says, and what follows for groups; expectations are worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import InvalidRuleError, InvalidRulesError
from recommender.pipeline.candidates import Pairs
from recommender.pipeline.overruling import overruled_groups, overruled_list, ruling_of
from recommender.pipeline.rules import FORMS, Kind, Rule, contradict, parse_rule, parse_rules, write_rules

IDS = ["a1", "a 2", 'a"3', "#4", "é5", "a\\6", "t\u20287", " 8 "]
TEXT = st.text("ab #\"\\é'", max_size=8).map(str.strip)


@st.composite
def any_rule(draw: st.DrawFn, ids: list[str]) -> Rule:
    """A rule of any kind over some of these ids."""
    kind: Kind = draw(st.sampled_from(list(FORMS)))
    fewest, most = {"pin": (2, 2), "never": (1, 2), "merge": (2, 2), "split": (1, 4), "rename": (1, 1), "lock": (2, 4)}[kind]
    articles = draw(st.lists(st.sampled_from(ids), min_size=fewest, max_size=most, unique=True))
    label = (
        draw(st.text('ab #"\\\n\u2028é', min_size=1, max_size=9).map(lambda text: " ".join(text.split()) or "x"))
        if kind == "rename"
        else None
    )
    return Rule(kind=kind, articles=tuple(articles), label=label, note=draw(TEXT), above=tuple(draw(st.lists(TEXT, max_size=2))))


@st.composite
def consistent_rules(draw: st.DrawFn, ids: list[str]) -> list[Rule]:
    """Rules of which no two contradict each other or are about the same."""
    rules: list[Rule] = []
    for rule in draw(st.lists(any_rule(ids), max_size=8)):
        if not any(rule.key == other.key or contradict(rule, other) for other in rules):
            rules.append(rule)
    return rules


@given(rules=consistent_rules(IDS))
def test_what_is_written_is_what_is_read(rules: list[Rule]) -> None:
    """Kinds, ids with spaces, quotes, marks and line separators, labels and comments come back from a file as they went."""
    text = "".join(f"{line}\n" for line in write_rules(rules))
    back = parse_rules(text, "file")
    assert [rule.to_json() for rule in back] == [rule.to_json() for rule in rules]
    assert [Rule.from_json(rule.to_json()) for rule in rules] == rules
    assert "".join(f"{line}\n" for line in write_rules(back)) == text


@pytest.mark.parametrize(
    ("line", "kind", "articles", "label", "note"),
    [
        ('pin "a17" "a03"  # why', "pin", ("a17", "a03"), None, "why"),
        ("never\ta17", "never", ("a17",), None, ""),
        (r'rename a1 "The \"Putin\" \u0041 visit"#x', None, (), None, ""),
        (r'rename a1 "The \"Putin\" \u0041 visit" #x', "rename", ("a1",), 'The "Putin" A visit', "x"),
        ("split a#1 b", "split", ("a#1", "b"), None, ""),
        ("lock https://news.example/1?a=b c", "lock", ("https://news.example/1?a=b", "c"), None, ""),
    ],
)
def test_a_line_by_hand(line: str, kind: Kind | None, articles: tuple[str, ...], label: str | None, note: str) -> None:
    """Quotes are JSON's and not needed for a plain word; a comment begins at a # that begins a word."""
    if kind is None:
        with pytest.raises(InvalidRuleError, match="quote"):
            parse_rule(line)
    else:
        rule = parse_rule(line)
        assert (rule.kind, rule.articles, rule.label, rule.note) == (kind, articles, label, note)


def test_every_bad_line_is_named() -> None:
    """One error with the number of each wrong line, blank lines and comments counted, and how it is written rightly."""
    text = """# a comment

pin a b
pin a
drop a b
never a a
rename a
rename a ""
lock a
merge "a b
never b a
pin a b
split ""
split a
"""
    with pytest.raises(InvalidRulesError) as error:
        parse_rules(text, "rules.txt")
    assert [line.split(":")[0] for line in error.value.wrong] == [f"line {n}" for n in (4, 5, 6, 7, 8, 9, 10, 11, 12, 13)]
    assert str(error.value).startswith("rules.txt: 10 lines are not valid; nothing was changed:\n  line 4: ")
    assert "write pin A B" in error.value.wrong[0]
    assert "contradicts line 3 (pin a b)" in error.value.wrong[7]
    assert "line 3 has decided that already" in error.value.wrong[8]


@pytest.mark.parametrize(
    ("one", "two", "answer"),
    [
        ("pin a b", "never a b", True),
        ("pin a b", "never b a", True),
        ("pin a b", "never b", True),
        ("pin a b", "never a", False),  # a is shown nowhere, and b is shown beside a
        ("pin a b", "never a c", False),
        ("pin a b", "split a", False),
        ("lock a b c", "split a", True),
        ("lock a b", "split a b c", False),
        ("lock a b", "lock b c", True),
        ("lock a b", "lock c d", False),
        ("merge a x", "lock a b", True),
        ("merge a b", "lock a b c", False),
        ("merge a x", "split a b", True),
        ("merge a b", "split a b", False),
        ("rename a x", "rename a y", False),
        ("split a b", "split b c", False),
    ],
)
def test_contradictions(one: str, two: str, answer: bool) -> None:
    """Two rules contradict each other where no index can obey both, whichever comes first."""
    assert contradict(parse_rule(one), parse_rule(two)) is answer
    assert contradict(parse_rule(two), parse_rule(one)) is answer


LETTERS = [*"abcdefgh"]


@given(
    rules=consistent_rules(LETTERS), cuts=st.lists(st.integers(0, 3), min_size=8, max_size=8), there=st.sets(st.integers(0, 7))
)
def test_groups_obey_every_rule(rules: list[Rule], cuts: list[int], there: set[int]) -> None:
    """Whatever the machine groups and whichever articles are there: merged together, split apart, locked as they are."""
    ids = [LETTERS[number] for number in sorted(there)]
    ruling = ruling_of(rules, {article: place for place, article in enumerate(ids)}, len(ids))
    machine: dict[tuple[int, int], list[int]] = {}
    for place in range(len(ids)):
        machine.setdefault((cuts[place], int(ruling.regions[place])), []).append(place)
    found = overruled_groups([group for group in machine.values() if len(group) > 1], ruling.ties)
    assert all(group == sorted(group) and len(group) > 1 for group in found)
    assert found == sorted(found)
    groups = [{ids[place] for place in group} for group in found]
    assert sum(map(len, groups)) == len(set().union(*groups)) if groups else True
    for rule in rules:
        mine = set(rule.articles) & set(ids)
        if rule.kind == "merge" and len(mine) == 2:
            assert any(mine <= group for group in groups)
        if rule.kind == "split":
            assert all(group <= mine or not group & mine for group in groups)
        if rule.kind == "lock":
            assert all(group == mine or not group & mine for group in groups)
            assert len(mine) < 2 or mine in groups


def test_without_rules_nothing_is_changed() -> None:
    """All pairs are allowed, no list is cut, groups stay as they are."""
    ruling = ruling_of([], {}, 4)
    pairs = Pairs(np.array([0, 1]), np.array([2, 3]))
    assert ruling.allowed(pairs).all()
    assert len(ruling.widened(pairs, np.zeros(2, np.float32))[1]) == 2
    assert not ruling.hidden(0, np.arange(4)).any()
    assert overruled_groups([[0, 2], [1, 3]], ruling.ties) == [[0, 2], [1, 3]]


@given(order=st.permutations(range(6)), pinned=st.lists(st.integers(0, 5), unique=True), longest=st.integers(1, 6))
def test_pins_come_first_and_all_of_them(order: list[int], pinned: list[int], longest: int) -> None:
    """The list is the pins, then the rest in its order up to the length; nothing stands there twice."""
    found = overruled_list(order, pinned, longest)
    assert found[: len(pinned)] == pinned
    assert len(found) == max(longest, len(pinned))
    assert [place for place in order if place in found[len(pinned) :]] == found[len(pinned) :]
    assert len(set(found)) == len(found)


def test_the_last_label_of_a_thread_counts() -> None:
    """Of two anchors in one thread that of the later rule; none where no anchor is in it."""
    rules = [parse_rule('rename b "one"'), parse_rule('rename a "two"')]
    ruling = ruling_of(rules, {"a": 0, "b": 1, "c": 2}, 3)
    labels = [ruling.label_of(group) for size in (1, 2) for group in itertools.combinations(range(3), size)]
    assert labels == ["two", "one", None, "two", "two", "one"]
