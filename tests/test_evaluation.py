"""Measures against hand-worked numbers, the per-element definition over pairs, and ir_measures (trec_eval)."""

from __future__ import annotations

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import R, nDCG

from recommender.evaluation import bcubed, ndcg_at_k, pairwise_f1, recall_at_k

IDS = [f"a{number}" for number in range(12)]
clusterings = st.dictionaries(st.sampled_from(IDS), st.sampled_from("wxyz"), min_size=1)
gain_tables = st.dictionaries(st.sampled_from(IDS), st.integers(0, 3), min_size=1)
lists = st.lists(st.sampled_from(IDS), unique=True, min_size=1)


def same(stories: dict[str, str], one: str, other: str) -> bool:
    """Whether two articles share a story; an article without one is alone."""
    return one == other or (one in stories and other in stories and stories[one] == stories[other])


def test_bcubed_of_the_worked_example() -> None:
    """{a, b, c | d} against {a, b | c, d}: precision (2/3 + 2/3 + 1/3 + 1) / 4, recall (1 + 1 + 1/2 + 1/2) / 4."""
    predicted = {"a": "1", "b": "1", "c": "1", "d": "2"}
    gold = {"a": "x", "b": "x", "c": "y", "d": "y"}
    found = bcubed(predicted, gold)
    assert found.precision == pytest.approx(2 / 3)
    assert found.recall == pytest.approx(3 / 4)
    assert found.f1 == pytest.approx(12 / 17)


@given(predicted=clusterings, gold=clusterings)
def test_bcubed_is_the_mean_over_elements_of_shared_pairs(predicted: dict[str, str], gold: dict[str, str]) -> None:
    """Precision and recall are Amigó's averages over pairs that share a predicted, or a true, story."""
    precisions, recalls = [], []
    for one in gold:
        claimed = [same(gold, one, other) for other in gold if same(predicted, one, other)]
        wanted = [same(predicted, one, other) for other in gold if same(gold, one, other)]
        precisions.append(sum(claimed) / len(claimed))
        recalls.append(sum(wanted) / len(wanted))
    precision, recall = sum(precisions) / len(gold), sum(recalls) / len(gold)
    expected = (precision, recall, 2 * precision * recall / (precision + recall))
    assert tuple(bcubed(predicted, gold)) == pytest.approx(expected)


@given(predicted=clusterings, gold=clusterings)
def test_pairwise_f1_counts_pairs(predicted: dict[str, str], gold: dict[str, str]) -> None:
    """F1 from the true positive, false positive and false negative pairs, counted one by one."""
    pairs = [(one, other) for one in gold for other in gold if one < other]
    claimed = {pair for pair in pairs if same(predicted, *pair)}
    wanted = {pair for pair in pairs if same(gold, *pair)}
    expected = 2 * len(claimed & wanted) / (len(claimed) + len(wanted)) if claimed or wanted else 1.0
    assert pairwise_f1(predicted, gold) == pytest.approx(expected)


def test_an_article_without_a_prediction_is_a_story_of_its_own() -> None:
    """Missing articles share nothing, neither with each other nor with a story that bears their id."""
    gold = {"a": "x", "b": "x", "c": "y"}
    assert bcubed({"c": "a"}, gold) == bcubed({"a": "1", "b": "2", "c": "3"}, gold)
    assert bcubed({}, gold).recall == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)


def test_articles_outside_the_truth_do_not_count() -> None:
    """A predicted story full of articles nobody judged keeps its precision."""
    gold = {"a": "x", "b": "x"}
    assert bcubed({"a": "1", "b": "1", "z": "1"}, gold) == (1.0, 1.0, 1.0)
    assert pairwise_f1({"a": "1", "b": "1", "z": "1"}, gold) == 1.0


def test_bcubed_needs_a_truth() -> None:
    """An empty truth is an error, not a score."""
    with pytest.raises(ValueError, match="at least one article"):
        bcubed({"a": "1"}, {})


def test_ndcg_of_the_worked_example() -> None:
    """Gains 0, 2, 1 in this order: (2 / log2 3 + 1 / 2) / (2 + 1 / log2 3)."""
    assert ndcg_at_k(["x", "a", "b"], {"a": 2, "b": 1}, 3) == pytest.approx((2 / 1.5849625 + 0.5) / (2 + 1 / 1.5849625))


@given(ranked=lists, gains=gain_tables, k=st.integers(1, 14))
def test_ndcg_and_recall_are_those_of_trec_eval(ranked: list[str], gains: dict[str, int], k: int) -> None:
    """ir_measures finds the same nDCG@k and recall@k in every ranking."""
    run = [ir_measures.ScoredDoc("q", article, 100.0 - rank) for rank, article in enumerate(ranked)]
    qrels = [ir_measures.Qrel("q", article, gain) for article, gain in gains.items()]
    expected = ir_measures.calc_aggregate([nDCG @ k, R @ k], qrels, run)
    relevant = {article for article, gain in gains.items() if gain > 0}
    assert ndcg_at_k(ranked, gains, k) == pytest.approx(expected[nDCG @ k], abs=1e-6)
    assert recall_at_k(ranked, relevant, k) == pytest.approx(expected[R @ k], abs=1e-6)


def test_a_duplicate_counts_once_and_takes_no_place() -> None:
    """A list that repeats its best article is worth the list without the repeats."""
    gains = {"a": 2.0, "b": 1.0}
    assert ndcg_at_k(["a", "a", "a", "b"], gains, 2) == ndcg_at_k(["a", "b"], gains, 2) == pytest.approx(1.0)
    assert recall_at_k(["a", "a", "b"], {"a", "b"}, 2) == 1.0


def test_a_gain_below_zero_is_no_gain() -> None:
    """A negative grade neither lowers the list nor raises the ideal."""
    assert ndcg_at_k(["x", "a"], {"x": -1.0, "a": 1.0}, 2) == ndcg_at_k(["x", "a"], {"a": 1.0}, 2)


def test_nothing_relevant_scores_zero() -> None:
    """Without gains both measures are 0, as in trec_eval."""
    assert ndcg_at_k(["a"], {}, 5) == 0.0
    assert recall_at_k(["a"], set(), 5) == 0.0


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(k: int) -> None:
    """A cut at nothing is an error of the caller."""
    with pytest.raises(ValueError, match="k must be at least 1"):
        ndcg_at_k(["a"], {"a": 1.0}, k)
    with pytest.raises(ValueError, match="k must be at least 1"):
        recall_at_k(["a"], {"a"}, k)
