"""Step 7: pairs -> evidence. Cosines are checked against scikit-learn; no weight or threshold is."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from recommender.pipeline import evidence
from recommender.pipeline import evidence as module
from recommender.pipeline.content import Content
from recommender.pipeline.counting import count_terms
from recommender.pipeline.evidence import (
    Background,
    Evidence,
    Lengths,
    PerTerm,
    Views,
    background_of,
    crowding_of,
    evidence_of,
    views_of,
)
from recommender.pipeline.terms import Vocabulary

WORDS = [a + b + c for a in ("ka", "lo", "mi") for b in ("re", "sa", "to") for c in ("vi", "zu")]
PHRASE = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
ARTICLES = st.lists(st.tuples(PHRASE, PHRASE, PHRASE), min_size=2, max_size=8)


def views(
    articles: list[tuple[str, str, str]], days: list[float] | None = None, vectors: NDArray[np.float32] | None = None
) -> Views:
    """The views of an archive of (title, lead, rest)."""
    contents = [Content(title=title, lead=lead, text=f"{lead}\n{rest}".strip()) for title, lead, rest in articles]
    vocabulary = Vocabulary()
    counts = count_terms(contents, vocabulary, learn=True)
    found = np.eye(len(articles), 8, dtype=np.float32) if vectors is None else vectors
    when = np.array(days or [0.0] * len(articles))
    crowding = crowding_of(counts.text, when, background_of(found, when, np.array([3])))
    kinds = (kind.astype(np.float32) for kind in (vocabulary.is_name(), vocabulary.is_number()))
    return views_of(counts, vocabulary, len(articles), found, when, PerTerm(crowding, *kinds))


def every_pair(known: Views, usual: float = 0.0) -> Evidence:
    """The evidence on all ordered pairs of an archive, row by row; `usual` is the cosine of two random articles."""
    background = replace(background_of(known.vectors, known.days, known.words), cosine=usual)
    n = len(known)
    one, two = (axis.ravel() for axis in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    return evidence_of(known, one, known, two, background)


@given(articles=ARTICLES)
@settings(deadline=None, max_examples=40)
def test_cosines_are_those_of_scikit_learn(articles: list[tuple[str, str, str]]) -> None:
    """text, lead and title are TF-IDF cosines, with the rarity of a term taken over whole articles."""
    whole = [" ".join(parts) for parts in articles]
    if not any(text.strip() for text in whole):
        return
    vectorizer = TfidfVectorizer(sublinear_tf=True, smooth_idf=True, token_pattern=r"\S+").fit(whole)
    found = every_pair(views(articles))
    titles = [title for title, _, _ in articles]
    parts = {"text": whole, "lead": [f"{title} {lead}" for title, lead, _ in articles], "title": titles}
    for name, texts in parts.items():
        expected = cosine_similarity(vectorizer.transform(texts)).ravel()
        if name == "title":
            empty = np.array([not text for text in texts])
            expected[(empty[:, None] | empty[None, :]).ravel()] = np.nan
        np.testing.assert_allclose(getattr(found, name), expected, atol=1e-5, err_msg=name)


@given(articles=ARTICLES, seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_evidence_has_no_direction_and_keeps_its_range(articles: list[tuple[str, str, str]], seed: int) -> None:
    """What speaks for (a, b) speaks for (b, a); every cosine is in [0, 1] or nan."""
    rng = np.random.default_rng(seed)
    n = len(articles)
    vectors = rng.normal(size=(n, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    days = [float(day) if day < 90 else math.nan for day in rng.uniform(0, 100, n)]
    found = every_pair(views(articles, days, vectors.astype(np.float32)), usual=0.3)
    assert len(found) == n * n
    for field in fields(found):
        values = np.asarray(getattr(found, field.name)).reshape(n, n)
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, values.T, atol=1e-6, err_msg=field.name)
        known = values[~np.isnan(values)]
        assert np.isfinite(known).all()
        if field.name not in ("days_apart", "time", "words", "usual_words"):
            assert ((known >= 0) & (known <= 1)).all()


@given(articles=ARTICLES)
@settings(deadline=None, max_examples=40)
def test_cross_compares_what_one_is_about_with_all_of_the_other(articles: list[tuple[str, str, str]]) -> None:
    """The mean of both directions of scikit-learn's cosine of title and lead with the whole text."""
    whole = [" ".join(parts) for parts in articles]
    if not any(text.strip() for text in whole):
        return
    vectorizer = TfidfVectorizer(sublinear_tf=True, smooth_idf=True, token_pattern=r"\S+").fit(whole)
    one_way = cosine_similarity(
        vectorizer.transform([f"{title} {lead}" for title, lead, _ in articles]), vectorizer.transform(whole)
    )
    np.testing.assert_allclose(every_pair(views(articles)).cross, ((one_way + one_way.T) / 2).ravel(), atol=1e-5)


def test_days_apart_are_days_and_unknown_without_a_date() -> None:
    """Half a day is .5, whichever came first; a missing date leaves the distance open instead of calling it 0."""
    found = every_pair(views([("a1", "", "")] * 3, [10.0, 9.5, math.nan])).days_apart.reshape(3, 3)
    np.testing.assert_array_equal(found, [[0, 0.5, np.nan], [0.5, 0, np.nan], [np.nan] * 3])


def test_time_speaks_for_the_near_and_against_the_far() -> None:
    """Its log odds fall with every day apart, lie around 0 over an archive, and are 0 where a date is missing."""
    found = every_pair(views([("a1", "", "")] * 6, [0.0, 0.5, 3.0, 40.0, 300.0, math.nan])).time.reshape(6, 6)
    assert (np.diff(found[0, :5]) < 0).all()
    assert found[0, 0] > 0 > found[0, 4]
    assert not found[5].any()
    same_day = every_pair(views([("a1", "", "")] * 3, [5.0, 5.0, 5.0])).time
    np.testing.assert_allclose(same_day, 0, atol=1e-6)


def test_names_and_numbers_are_compared_by_themselves() -> None:
    """Two reports that share a name and a number and no other word: text is low, names and numbers are 1."""
    known = views(
        [
            ("", "so Putin met Putin in 1984", "quiet river morning"),
            ("", "then Putin left by 1984", "loud market evening"),
            ("", "nobody came", "grey winter afternoon"),
        ]
    )
    found = every_pair(known)
    assert found.names[1] == pytest.approx(1)
    assert found.numbers[1] == pytest.approx(1)
    assert 0 < found.text[1] < 0.6
    assert np.isnan(found.names[2])
    assert np.isnan(found.numbers[2])
    assert found.text[2] == 0


def test_numbers_count_in_title_and_lead_only() -> None:
    """Deep in a body any two articles share a year."""
    found = every_pair(views([("", "morning came", "it was 1984"), ("", "evening came", "it was 1984")]))
    assert np.isnan(found.numbers[1])
    assert found.text[1] > 0


def test_dense_is_measured_from_the_usual_cosine() -> None:
    """(cosine - usual) / (1 - usual): a pair like any other has 0, the same article 1, and nothing is below 0."""
    angles = np.array([0.0, 0.6, np.pi / 2])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    found = every_pair(views([("a1", "", "")] * 3, vectors=vectors), usual=0.5).dense.reshape(3, 3)
    assert found[0, 1] == pytest.approx((math.cos(0.6) - 0.5) / 0.5, abs=1e-6)
    assert found[0, 0] == pytest.approx(1, abs=1e-6)
    assert found[0, 2] == 0


def usual(vectors: NDArray[np.float32]) -> float:
    """The cosine of two random articles of an archive without dates."""
    return background_of(vectors, np.full(len(vectors), np.nan), np.zeros(0, np.int64)).cosine


def test_the_usual_cosine_is_that_of_strangers() -> None:
    """Vectors with a common part of .6 and otherwise at right angles have the usual cosine .6; below 0 it counts as 0."""
    n = 40
    vectors = np.zeros((n, n + 1), np.float32)
    vectors[:, 0] = math.sqrt(0.6)
    vectors[np.arange(n), np.arange(1, n + 1)] = math.sqrt(0.4)
    assert usual(vectors) == pytest.approx(0.6, abs=1e-5)
    assert usual(np.array([[1, 0], [-1, 0]], np.float32)) == 0
    assert usual(np.ones((2, 1), np.float32)) < 1
    assert usual(vectors[:1]) == usual(vectors[:0]) == 0


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs compared in blocks of three say what they say at once."""
    rng = np.random.default_rng(0)
    articles = [tuple(" ".join(rng.choice(WORDS, 6)) for _ in range(3)) for _ in range(5)]
    known = views([(a, b, c) for a, b, c in articles])
    whole = every_pair(known)
    monkeypatch.setattr(module, "BLOCK", 3)
    parts = every_pair(known)
    for field in fields(whole):
        np.testing.assert_array_equal(getattr(whole, field.name), getattr(parts, field.name))


def test_evidence_of_one_pair_is_readable() -> None:
    """Numbers by name, None where there is nothing to be had; JSON has no nan."""
    known = every_pair(views([("storm hits", "", ""), ("", "storm over", "")], [1.0, math.nan])).of_pair(1)
    assert known["title"] is None
    assert known["days_apart"] is None
    assert known["text"] is not None
    assert 0 < known["text"] < 1
    assert set(known) == {field.name for field in fields(Evidence)}


def test_views_can_be_taken_in_any_order() -> None:
    """Row i of every field is the article asked for at place i."""
    known = views([("storm", "x1", ""), ("flood", "y2", ""), ("quake", "z3", "")], [1.0, 2.0, 3.0])
    taken = known.take(np.array([2, 0]))
    assert taken.days.tolist() == [3.0, 1.0]
    for name in ("text", "lead", "title"):
        np.testing.assert_array_equal(getattr(taken, name).toarray(), getattr(known, name).toarray()[[2, 0]])
    for name in Lengths._fields:
        np.testing.assert_array_equal(getattr(taken.lengths, name), getattr(known.lengths, name)[[2, 0]])
    np.testing.assert_array_equal(taken.vectors, known.vectors[[2, 0]])


def test_a_term_of_the_lead_alone_keeps_its_place_among_fewer_terms() -> None:
    """Renumbered views hold every term of any part, also one that the text, as it was read, does not."""
    known = views([("storm hits coast", "storm", "storm hits"), ("storm hits town", "storm", "storm hits")], [1.0, 2.0])
    bare = replace(known, text=sparse.csr_matrix(known.text.shape, dtype=np.float32))
    fewer = bare.over(bare.terms())
    for name in ("lead", "title"):
        part, whole = getattr(fewer, name), getattr(bare, name)
        assert part.shape[1] <= whole.shape[1]
        assert part.nnz == whole.nnz
        assert (part.indices < part.shape[1]).all()
        np.testing.assert_array_equal(bare.terms()[part.indices], whole.indices)
    assert fewer.title.nnz > 0


def by_hand(days: list[float], usual: float) -> float:
    """The crowding of a term of articles of these days, worked out pair by pair."""
    fades = [0.1 + 0.9 * math.exp(-abs(a - b) / 4) for i, a in enumerate(days) for b in days[:i]]
    mean = (sum(fades) + usual) / (len(fades) + 1)
    return 0.05 + 0.95 * min(1, max(0, math.log(mean / usual) / math.log(1 / usual)))


def test_crowding_is_found_a_few_terms_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is the same however few; terms of no article, of articles without a date and of nearly all among them."""
    rng = np.random.default_rng(3)
    text = sparse.csr_matrix((rng.random((30, 40)) < rng.random(40) ** 3).astype(np.float32))
    days = np.where(rng.random(30) < 0.2, np.nan, rng.uniform(0, 20, 30))
    background = Background(cosine=0.0, fade=0.4, words=100.0)
    at_once = crowding_of(text, days, background)
    assert len(np.unique(at_once)) > 3
    for most in (1, 7, 50):
        monkeypatch.setattr(evidence, "MOST_ENTRIES", most)
        np.testing.assert_array_equal(crowding_of(text, days, background), at_once)


@given(days=st.lists(st.floats(0, 400, width=32), min_size=1, max_size=40), usual=st.floats(0.11, 0.9))
@settings(deadline=None, max_examples=60)
def test_crowding_is_the_mean_over_all_pairs(days: list[float], usual: float) -> None:
    """One step a day gives what the sum over every pair of articles gives; a term of no article is spread."""
    text = sparse.csr_matrix(np.array([[1.0, 0.0]] * len(days)))
    found = crowding_of(text, np.array(days), Background(cosine=0.0, fade=usual, words=100.0))
    assert found[0] == pytest.approx(by_hand(days, usual), abs=1e-5)
    assert found[1] == pytest.approx(0.05)


def test_a_term_of_one_week_crowds_and_one_of_every_week_does_not() -> None:
    """Beside a term that forty articles of a year hold evenly, one of four articles of two days crowds; without dates all do."""
    days = np.concatenate([np.linspace(0, 360, 40), [100.0, 100.5, 101.0, 101.5]])
    text = sparse.csr_matrix(np.concatenate([np.tile([1.0, 0.0], (40, 1)), np.tile([0.0, 1.0], (4, 1))]))
    background = background_of(np.eye(len(days), dtype=np.float32), days, np.array([3]))
    weekly, burst = crowding_of(text, days, background)
    assert weekly < 0.1
    assert burst > 0.8
    nowhere = np.full(len(days), math.nan)
    assert (crowding_of(text, nowhere, background_of(np.eye(len(days), dtype=np.float32), nowhere, np.array([3]))) == 1).all()


def test_a_form_is_words_again_much_later_or_with_other_names() -> None:
    """Two texts of one wording are a form a month apart, not on one day; and on any day where both have names and share none."""
    form = " ".join(f"form{number}w" for number in range(45))
    monthly = [("", "", f"{form} own{number}x") for number in range(12)]
    months = every_pair(views(monthly, [30.0 * number for number in range(12)])).form.reshape(12, 12)
    assert months[0, 1] > 0.8
    assert not every_pair(views(monthly, [0.5 * number for number in range(12)])).form[1]
    people = ["Anton Berta Carla Dora Emil", "Frieda Gustav Hanna Ilse Jonas"]
    reports = [("", "", f"{form} " + " and ".join(f"so {one} came" for one in names.split())) for names in people]
    others = [("", "", f"else{n}y other{n}z") for n in range(10)]
    same_day = every_pair(views([*reports, *others], [1.0] * 12))
    assert same_day.names_differ[1] == 1
    assert same_day.form[1] > 0.5
    namesakes = every_pair(views([reports[0], reports[0], *others], [1.0] * 12))
    assert namesakes.form[1] == namesakes.names_differ[1] == 0


def test_only_two_headlines_are_bare() -> None:
    """A headline beside a headline is 1, beside a text 0."""
    headline, text = ("alpha beta", "", ""), ("gamma", "", " ".join(f"word{number}x" for number in range(60)))
    found = every_pair(views([headline, headline, text])).bare.reshape(3, 3)
    assert found[0, 1] == 1
    assert found[0, 2] == found[2, 2] == 0
