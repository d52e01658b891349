"""Step 7: terms -> reasons, keywords, labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from recommender.pipeline.content import Content
from recommender.pipeline.counting import count_terms
from recommender.pipeline.terms import TermCounts, Vocabulary, damped, idf_of, unit_rows
from recommender.pipeline.wording import (
    LABEL_LENGTH,
    MOST_KEYWORDS,
    MOST_REASONS,
    Wording,
    keywords_of,
    label_of,
    most_central,
    reasons_of,
    time_between,
)

STRANGERS = [f"so stranger{number}x was alone with item{number}y" for number in range(30)]
"""Articles that share nothing with any other but the word `alone`."""


def counted(*texts: str) -> tuple[TermCounts, Vocabulary]:
    """The counts of an archive of these texts."""
    vocabulary = Vocabulary()
    return count_terms([Content(title="", lead="", text=text) for text in texts], vocabulary, learn=True), vocabulary


def words(counts: TermCounts) -> NDArray[np.float64]:
    """How often each term stands in all articles."""
    return np.asarray(counts.text.sum(axis=0), np.float64).ravel()


def worded(vocabulary: Vocabulary, n_articles: int) -> Wording:
    """The wording of an archive without dates."""
    return Wording(vocabulary, n_articles, np.ones(len(vocabulary), np.float32), one_moment=False)


def rows_of(counts: TermCounts, vocabulary: Vocabulary) -> sparse.csr_matrix:
    """Unit rows of TF-IDF."""
    return unit_rows(damped(counts.text, idf_of(vocabulary.document_frequency, len(counts))))


def central(rows: sparse.csr_matrix, groups: list[list[int]], untitled: Sequence[int] = ()) -> list[int]:
    """The central article of each group."""
    members = np.array([member for group in groups for member in group], np.int64)
    numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    found: list[int] = members[most_central(rows[members], numbers, ~np.isin(members, untitled))].tolist()
    return found


def reasons(one: str, two: str, days: float = math.nan) -> tuple[str, ...]:
    """The reasons of two articles among thirty strangers."""
    counts, vocabulary = counted(one, two, *STRANGERS)
    rows = rows_of(counts, vocabulary)
    return reasons_of(
        worded(vocabulary, len(counts)),
        rows[:1],
        rows[1:2],
        np.array([days], np.float32),
    )[0]


def test_names_come_first_and_as_they_are_written() -> None:
    """Of two shared words of one weight the name is named first, with its capital; other words stay small."""
    assert reasons("the envoy met Putin", "an envoy saw Putin") == ("Putin", "envoy")


def test_a_name_of_several_words_speaks_for_its_words() -> None:
    """`Kim Jong Un` is a reason once, not four times."""
    found = reasons("there Kim Jong Un smiled", "here Kim Jong Un frowned")
    assert found == ("Kim Jong Un",)


def test_short_words_say_something_only_as_abbreviations() -> None:
    """`UN` is a reason, `ox` and the `Un` of a name are none."""
    assert reasons("the UN ox of Un", "that UN ox for Un") == ("UN",)


def test_forms_of_one_word_are_one_reason() -> None:
    """`protest` and `protests` are not two reasons."""
    found = reasons("old protest of many protests", "that protest after protests")
    assert len(found) == 1


def test_what_the_whole_archive_says_is_no_reason() -> None:
    """A word of nearly every article tells a reader nothing, a number neither."""
    assert reasons("alone in 1984 near Hanoi", "alone by 1984 from Hanoi") == ("Hanoi",)


def test_words_that_only_one_of_the_two_has_are_no_reason() -> None:
    """Nothing shared, nothing said."""
    assert reasons("a storm over Hanoi", "some flood near Hue", 3.0) == ("3 days apart",)


def test_a_few_reasons_then_the_time() -> None:
    """At most MOST_REASONS words, then how far apart."""
    words = "apple banana cherry damson elder fig grape"
    found = reasons(words, words, 1.0)
    assert len(found) == MOST_REASONS + 1
    assert len(set(found)) == len(found)
    assert set(found[:-1]) <= set(words.split())
    assert found[-1] == "1 day apart"


def test_each_pair_gets_its_own_reasons() -> None:
    """Row i of both sides is pair i; a pair that shares nothing has no words, wherever it stands."""
    counts, vocabulary = counted("storm over x1", "storm near x2", "flood here x3", "flood there x4", *STRANGERS)
    rows = rows_of(counts, vocabulary)
    found = reasons_of(
        worded(vocabulary, len(counts)),
        rows[[0, 0, 2]],
        rows[[1, 2, 3]],
        np.full(3, np.nan, np.float32),
    )
    assert found == [("storm",), (), ("flood",)]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0.0, "within a day"),
        (0.9, "within a day"),
        (1.0, "1 day apart"),
        (1.6, "2 days apart"),
        (13.0, "13 days apart"),
        (14.0, "2 weeks apart"),
        (30.0, "4 weeks apart"),
        (61.0, "2 months apart"),
        (200.0, "7 months apart"),
        (366.0, "1 year apart"),
        (800.0, "2 years apart"),
    ],
)
def test_time_in_words(days: float, words: str) -> None:
    """Days up to two weeks, weeks up to two months, months up to a year, then years."""
    assert time_between(days) == (words,)


def test_time_is_not_spoken_of_where_a_date_is_missing() -> None:
    """nan is not `within a day`."""
    assert time_between(math.nan) == ()


def test_keywords_are_what_the_group_shares_and_the_archive_does_not() -> None:
    """The heaviest first: tf/|c| ln(1 + A/f), worked by hand; a word that one member alone holds is none of the thread's."""
    texts = ["quake quake island rescue", "quake island tent", "tide island market", *STRANGERS]
    counts, vocabulary = counted(*texts)
    found = keywords_of(worded(vocabulary, len(counts)), counts.text, [[0, 1]], words(counts))[0]
    # quake: 3 of 7 words, 3 in the archive; island: 2 of 7, 3 in the archive; rescue and tent stand in one article each
    assert found == ("quake", "island")


def test_each_group_has_its_own_keywords_whatever_other_groups_there_are() -> None:
    """Keywords of a thread do not hang on which threads are asked about with it."""
    texts = ["quake island", "quake tent", "strike wages", "strike union", "vote poll", "vote seat", *STRANGERS]
    counts, vocabulary = counted(*texts)
    wording = worded(vocabulary, len(counts))
    groups = [[0, 1], [2, 3], [4, 5]]
    together = keywords_of(wording, counts.text, groups, words(counts))
    assert together == [("quake",), ("strike",), ("vote",)]
    assert together == [keywords_of(wording, counts.text, [group], words(counts))[0] for group in groups]
    assert keywords_of(wording, counts.text, [], words(counts)) == []


def test_in_a_large_group_a_keyword_stands_in_a_third() -> None:
    """Two of nine articles do not speak for their thread; three do. There are MOST_KEYWORDS of them at most."""
    texts = [f"quake own{number}z" for number in range(9)]
    texts[0] += " rumour harbour"
    texts[1] += " rumour harbour"
    texts[2] += " harbour"
    counts, vocabulary = counted(*texts, *[f"{text} far{n} away{n}" for n, text in enumerate(STRANGERS * 3)])
    assert set(
        keywords_of(
            worded(vocabulary, len(counts)),
            counts.text,
            [list(range(9))],
            words(counts),
        )[0]
    ) == {"quake", "harbour"}
    many, known = counted(*["ant bee cod dog elk fox gnu hen"] * 2, *STRANGERS)
    assert len(keywords_of(worded(known, 32), many.text, [[0, 1]], words(many))[0]) == MOST_KEYWORDS


def test_the_central_article_is_the_one_most_like_all() -> None:
    """The member that shares with every other one leads the thread, wherever it stands in it."""
    counts, vocabulary = counted("quake north", "quake north south", "quake south", *STRANGERS)
    rows = rows_of(counts, vocabulary)
    assert central(rows, [[0, 1, 2]]) == [1]
    assert central(rows, [[2, 1, 0]]) == [1]


def test_each_group_has_its_own_central_article() -> None:
    """As many as there are groups, and those of one are not measured by another's."""
    counts, vocabulary = counted("quake north", "quake north south", "quake south", "flood", "flood dam", "dam", *STRANGERS)
    assert central(rows_of(counts, vocabulary), [[0, 1, 2], [5, 4, 3], [0, 5, 1]]) == [1, 4, 0]
    assert central(rows_of(counts, vocabulary), []) == []


def test_a_thread_is_led_by_an_article_with_a_title() -> None:
    """A headline is the label; an article without one leads only a thread without any. In doubt the first leads."""
    counts, vocabulary = counted("quake north", "quake north south", "quake south", "quake south", *STRANGERS)
    rows = rows_of(counts, vocabulary)
    assert central(rows, [[0, 1, 2]], untitled=[1, 2]) == [0]
    assert central(rows, [[0, 1, 2]], untitled=[0, 1, 2]) == [1]
    assert central(rows, [[2, 3]]) == [2]


@pytest.mark.parametrize(
    ("title", "text", "label"),
    [
        ("Putin in Pyongyang", "Body", "Putin in Pyongyang"),
        ("", "First line\nsecond", "First line"),
        ("x" * LABEL_LENGTH, "", "x" * LABEL_LENGTH),
        ("word " * 20 + "end", "", "word " * 14 + "word…"),
        ("a" * 70 + ", bbbbbbbbbb cccccccc", "", "a" * 70 + "…"),
    ],
)
def test_a_label_is_a_headline_cut_between_words(title: str, text: str, label: str) -> None:
    """Never longer than LABEL_LENGTH; the text's first line stands in for a missing title."""
    found = label_of(title, text)
    assert found == label
    assert len(found) <= LABEL_LENGTH


def test_a_label_of_one_endless_word_is_cut_too() -> None:
    """Where there is no blank to cut at, the label still fits."""
    assert len(label_of("x" * 500, "")) <= LABEL_LENGTH
