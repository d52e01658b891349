"""Step 3: Content -> counts of terms."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from recommender.pipeline import terms
from recommender.pipeline.content import Content
from recommender.pipeline.counting import MAX_TERMS_OF_ARTICLE, STOP_WORDS, count_terms, is_title_case, names_in
from recommender.pipeline.terms import TermCounts, Vocabulary, damped, idf_of, tf_idf, unit_rows

WORDS = [a + b + c for a in ("ka", "lo", "mi", "nu") for b in ("re", "sa", "to") for c in ("vi", "zu")]
DOCUMENTS = st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join), min_size=1, max_size=12)


def content(title: str = "", lead: str = "", rest: str = "") -> Content:
    """A content with this title, whose text is lead and rest."""
    return Content(title=title, lead=lead, text=f"{lead}\n{rest}" if lead else rest)


def learnt(*contents: Content) -> tuple[TermCounts, Vocabulary]:
    """The counts of some articles, and the vocabulary that grew from them."""
    vocabulary = Vocabulary()
    return count_terms(contents, vocabulary, learn=True), vocabulary


def counted(matrix: sparse.csr_matrix, vocabulary: Vocabulary, row: int = 0) -> dict[str, int]:
    """The counts of one row by term."""
    terms = vocabulary.terms()
    begin, end = matrix.indptr[row], matrix.indptr[row + 1]
    return {terms[i]: int(n) for i, n in zip(matrix.indices[begin:end], matrix.data[begin:end], strict=True)}


def test_title_lead_and_body_count_once_each_where_they_belong() -> None:
    """A word of the title counts in title, lead and text, one of the lead in lead and text, one of the body in text alone."""
    counts, vocabulary = learnt(content("storm hits hanoi", "storm kills three.", "hanoi rebuilds after the storm"))
    assert counted(counts.title, vocabulary) == {"storm": 1, "hits": 1, "hanoi": 1}
    assert counted(counts.lead, vocabulary) == {"storm": 2, "hits": 1, "hanoi": 1, "kills": 1}
    assert counted(counts.text, vocabulary) == {"storm": 3, "hits": 1, "hanoi": 2, "kills": 1, "rebuilds": 1}


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Putin's plan and Putin’s men", {"putin": 2, "plan": 1, "men": 1}),
        ("an on-off deal, e-mail", {"on-off": 1, "deal": 1, "e-mail": 1}),
        ("he didn’t pay; she isn't there", {"pay": 1}),
        ("in 2024 a 5 km run", {"2024": 1, "km": 1, "run": 1}),
        ("Élysée café naïve", {"élysée": 1, "café": 1, "naïve": 1}),
        ("snake_case", {"snake_case": 1}),
        ("Москва говорит", {"москва": 1, "говорит": 1}),
        ("said Monday the January", {}),
        ("", {}),
        ("… — !?", {}),
    ],
)
def test_a_term_is_a_lower_cased_word_without_possessive_and_never_a_stop_word(text: str, terms: dict[str, int]) -> None:
    """What counts as a term of a plain sentence, worked by hand."""
    counts, vocabulary = learnt(content(rest=text))
    assert counted(counts.text, vocabulary) == terms


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("so Kim Jong Un met Vladimir Putin.", ["Kim Jong Un", "Vladimir Putin"]),
        ("The Bank of England waits", ["Bank of England"]),
        ("Ludwig van Beethoven, then Bashar al Assad", ["Ludwig van Beethoven", "Bashar al Assad"]),
        ("Narendra Modi's visit", ["Narendra Modi"]),
        ("on Monday Putin came", []),
        ("In London She slept", []),
        ("On Tuesday Rishi Sunak spoke", ["Rishi Sunak"]),
        ("Labour won", []),
        ("mit Élisabeth Borne und Łukasz Kowalski", ["Élisabeth Borne", "Łukasz Kowalski"]),
        ("вчера Владимир Путин и Ὀδυσσέας Ἐλύτης", ["Владимир Путин", "Ὀδυσσέας Ἐλύτης"]),
    ],
)
def test_names_of_several_words_are_found_by_their_capitals(text: str, names: list[str]) -> None:
    """Two to four capitalised words in a row, without stop words at either end."""
    assert names_in(text) == names


def test_a_name_of_several_words_is_a_term_beside_its_words() -> None:
    """`Kim Jong Un` counts as one term, and each of its words too."""
    counts, vocabulary = learnt(content(rest="there Kim Jong Un smiled and Kim Jong Un left"))
    assert counted(counts.text, vocabulary) == {
        "kim": 2, "jong": 2, "un": 2, "kim jong un": 2, "smiled": 1, "left": 1
    }  # fmt: skip


def test_a_name_is_known_by_capitals_inside_sentences_only() -> None:
    """A word written small half the time, or large only where a sentence begins, is no name; one always large inside is."""
    _, vocabulary = learnt(
        content(rest="Bills rose. Bills fell. Bills rose again."),
        content(rest="he met Putin. they saw Putin. Putin left."),
        content(rest="the Guard and the guard, a Guard and a guard"),
    )
    names = {term for term, name in zip(vocabulary.terms(), vocabulary.is_name(), strict=True) if name}
    assert names == {"putin"}


def test_headlines_in_title_case_say_nothing_about_names() -> None:
    """Where nearly every word has a capital, capitals make neither names nor statistics."""
    headline = "Record Storm Batters Coastal Towns"
    assert is_title_case(headline)
    assert not is_title_case("Record storm batters coastal towns of Vietnam")
    counts, vocabulary = learnt(content(headline))
    assert counted(counts.title, vocabulary) == {"record": 1, "storm": 1, "batters": 1, "coastal": 1, "towns": 1}
    assert not vocabulary.capitals.any()


def test_spellings_are_the_most_frequent_ones_with_a_capital() -> None:
    """A reader gets `NATO`, as the archive mostly has it, and `Kim Jong Un` as it stood."""
    _, vocabulary = learnt(content(rest="a NATO plan, a NATO base, a Nato man met Kim Jong Un"))
    spelt = {term: vocabulary.spellings.get(number) for term, number in vocabulary.ids.items()}
    assert spelt["nato"] == "NATO"
    assert spelt["kim jong un"] == "Kim Jong Un"
    assert spelt["plan"] is None


def test_numbers_are_terms_that_begin_with_a_digit() -> None:
    """Years, counts and `7th` are numbers; a name with a digit inside is none."""
    _, vocabulary = learnt(content(rest="in 2024 some 1500 saw the 7th g20 meeting"))
    numbers = {term for term, number in zip(vocabulary.terms(), vocabulary.is_number(), strict=True) if number}
    assert numbers == {"2024", "1500", "7th"}


def test_a_draft_changes_nothing() -> None:
    """Counted over a scratch copy it has all its terms, unknown ones as held by no article; the vocabulary stays as it was."""
    _, vocabulary = learnt(content(rest="a storm near Hanoi and a storm near Hue"))
    before, scratch = deepcopy(vocabulary), vocabulary.scratch()
    counts = count_terms([content("a new word", "storm over Saigon", "storm Boris Johnson")], scratch, learn=False)
    expected = {"word": 1, "storm": 2, "saigon": 1, "boris": 1, "johnson": 1, "boris johnson": 1}
    assert counted(counts.text, scratch) == expected
    held = {term: int(n) for term, n in zip(scratch.terms(), scratch.document_frequency, strict=True)}
    assert held == {"storm": 1, "near": 1, "hanoi": 1, "hue": 1} | {term: 0 for term in expected if term != "storm"}
    assert (vocabulary.ids, vocabulary.spellings) == (before.ids, before.spellings)
    for name in ("document_frequency", "capitals", "smalls"):
        np.testing.assert_array_equal(getattr(vocabulary, name), getattr(before, name))


@given(documents=DOCUMENTS, later=DOCUMENTS)
@settings(deadline=None, max_examples=60)
def test_document_frequencies_count_articles_however_they_came(documents: list[str], later: list[str]) -> None:
    """What is learnt in two goes is what is in the articles, and forgetting the second leaves the first."""
    vocabulary = Vocabulary()
    first = count_terms([content(rest=text) for text in documents], vocabulary, learn=True)
    old_ids = dict(vocabulary.ids)
    second = count_terms([content(rest=text) for text in later], vocabulary, learn=True)
    expected = Counter(word for text in documents + later for word in set(text.split()))
    found = dict(zip(vocabulary.terms(), vocabulary.document_frequency.tolist(), strict=True))
    assert found == expected
    assert {term: vocabulary.ids[term] for term in old_ids} == old_ids
    assert (first.text.shape, second.text.shape) == ((len(documents), len(old_ids)), (len(later), len(vocabulary)))
    vocabulary.forget(second)
    kept = {term: n for term, n in zip(vocabulary.terms(), vocabulary.document_frequency.tolist(), strict=True) if n}
    assert kept == Counter(word for text in documents for word in set(text.split()))


@given(documents=DOCUMENTS)
@settings(deadline=None, max_examples=60)
def test_unit_rows_are_the_tf_idf_of_scikit_learn(documents: list[str]) -> None:
    """damped + unit_rows give TfidfVectorizer's rows with sublinear_tf and smooth_idf, so their products its cosines."""
    counts, vocabulary = learnt(*(content(rest=text) for text in documents))
    idf = idf_of(vocabulary.document_frequency, len(documents))
    rows = unit_rows(damped(counts.text, idf)).toarray()
    reference = TfidfVectorizer(sublinear_tf=True, smooth_idf=True, vocabulary=vocabulary.terms()).fit_transform(documents)
    np.testing.assert_allclose(rows, reference.toarray(), atol=1e-6)
    np.testing.assert_allclose(rows @ rows.T, (reference @ reference.T).toarray(), atol=1e-5)


@given(documents=DOCUMENTS, at_once=st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_articles_weigh_the_same_however_many_at_once(documents: list[str], at_once: int) -> None:
    """tf_idf gives the rows of unit_rows and damped, to the last bit, in blocks of any size."""
    counts, vocabulary = learnt(*(content(rest=text) for text in documents))
    expected = unit_rows(damped(counts.text, idf_of(vocabulary.document_frequency, 9)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terms, "BLOCK", at_once)
        found = tf_idf(counts.text, vocabulary.document_frequency, 9)
    assert (found != expected).nnz == 0
    assert found.nnz == counts.text.nnz


def test_weighing_leaves_the_counts_as_they_were() -> None:
    """TF-IDF is worked out on copies: the counts serve again."""
    counts, vocabulary = learnt(content(rest="storm storm hanoi"))
    weights = damped(counts.text, np.full(len(vocabulary), 3, np.float32))
    unit_rows(weights)
    assert counted(counts.text, vocabulary) == {"storm": 2, "hanoi": 1}
    assert counted(weights, vocabulary) == {"storm": 5, "hanoi": 3}  # 3 (1 + ln 2) = 5.08


def test_an_empty_row_stays_empty() -> None:
    """An article without terms has no direction, and makes no nan."""
    counts, _ = learnt(content(rest="the of and"), content(rest="storm"))
    rows = unit_rows(damped(counts.text, np.ones(1, np.float32)))
    assert rows.toarray().tolist() == [[0.0], [1.0]]


def test_no_articles_no_rows() -> None:
    """Counting nothing gives matrices without rows."""
    counts, vocabulary = learnt()
    assert (len(counts), len(vocabulary), counts.text.shape) == (0, 0, (0, 0))


def test_of_a_huge_article_the_most_frequent_terms_are_kept() -> None:
    """A list of ten thousand words keeps MAX_TERMS_OF_ARTICLE terms, and of these the ones that stand there most."""
    words = [f"w{number}x" for number in range(2 * MAX_TERMS_OF_ARTICLE)]
    often = words[-100:]
    counts, vocabulary = learnt(content(rest=" ".join(words + often)))
    kept = counted(counts.text, vocabulary)
    assert len(kept) == MAX_TERMS_OF_ARTICLE
    assert {word for word, n in kept.items() if n == 2} == set(often)


def test_stop_words_are_spelt_as_the_vocabulary_spells_words() -> None:
    """A stop word with a capital or a curly apostrophe would never be met."""
    assert all(word == word.lower().replace("’", "'") for word in STOP_WORDS)
