"""`evaluate` against numbers worked by hand, brute force and scikit-learn: the truth read, the baselines, the measures."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import precision_score, recall_score, roc_auc_score
from sklearn.metrics.cluster import pair_confusion_matrix

from recommender import Article, Recommender
from recommender.errors import UnreadableSourceError
from recommender.evaluation import (
    bcubed,
    bootstrap,
    elements_of,
    ndcg_at_k,
    ndcg_of_rows,
    pairwise_f1,
    weighted_auc,
    weighted_bcubed,
    weighted_pairwise_f1,
    weighted_ratio,
)
from recommender.judging.baselines import Labelled, average_linkage, cosines_of, latest_lists, nearness, random_lists, tfidf_lists
from recommender.judging.gold import Gold, JudgedPairs, StoryLabels, read_gold
from recommender.judging.measuring import SYSTEMS, gain_of
from recommender.reports import Evaluation, Figure
from tests.archives import newspaper

GOLD = Path(__file__).parents[1] / "recommender" / "sample" / "gold.csv"
stories = st.lists(st.integers(0, 4), min_size=1, max_size=12)


def read(tmp_path: Path, name: str, text: str | bytes) -> Gold:
    """What is read of a file of this content."""
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_gold(str(tmp_path / name))


def unit_rows(seed: int, n: int, terms: int = 6) -> sparse.csr_matrix:
    """Random texts of few terms, many of them alike."""
    values = np.random.default_rng(seed).integers(0, 3, (n, terms)) + 0.01
    return sparse.csr_matrix((values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32))


def labelled(text: sparse.csr_matrix | None = None, *, days: list[float], sections: list[int] | None = None) -> Labelled:
    """Articles for the baselines; all of one section and with no text unless said."""
    n = len(days)
    blank = sparse.csr_matrix((n, 1), dtype=np.float32)
    return Labelled(days=np.array(days), sections=np.array(sections or [0] * n), text=blank if text is None else text)


class TestGold:
    def test_the_two_forms_are_known_by_their_columns(self, tmp_path: Path) -> None:
        """Labels have id and story, pairs one, other (or a, b) and grade; case and other columns do not matter."""
        labels = StoryLabels(ids=("x", "7"), stories=("s", ""), topics=("t", ""))
        pairs = JudgedPairs(pairs=(("x", "y"), ("x", "z")), grades=(2, 0))
        assert read(tmp_path, "a.csv", "ID,Story,topic,note\nx,s,t,!\n7,,,\n") == labels
        assert read(tmp_path, "a.jsonl", '{"id":"x","story":"s","topic":"t"}\n{"id":7,"story":null}\n') == labels
        assert read(tmp_path, "b.csv", "set;one;other;grade\nr;x;y;2\nr;x;z;0\n") == pairs
        assert read(tmp_path, "b.jsonl", '{"a":"x","b":"y","grade":2.0}\n{"a":"x","b":"z","grade":"0"}\n') == pairs

    def test_the_format_goes_by_ending_or_content_and_gzip_by_its_bytes(self, tmp_path: Path) -> None:
        """A name that tells nothing is JSON Lines where it begins with a brace, else CSV, packed or not."""
        for text in ("id,story\nx,s\n", '{"id":"x","story":"s"}\n'):
            assert read(tmp_path, "gold", text) == read(tmp_path, "gold.gz", gzip.compress(text.encode()))
            assert read(tmp_path, "gold", text).ids == ("x",)

    def test_gold_may_come_from_stdin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`-` reads CSV and JSON Lines alike."""
        for text in (b"id,story\nx,s\n", b'{"id":"x","story":"s"}\n'):
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
            assert read_gold("-").ids == ("x",)

    def test_an_article_id_may_have_the_names_that_articles_know(self, tmp_path: Path) -> None:
        """A column `guid` is the id, unless there is an `id`."""
        assert read(tmp_path, "a.csv", "guid,story\nx,s\n").ids == ("x",)
        assert read(tmp_path, "a.csv", "guid,id,story\ng,x,s\n").ids == ("x",)

    def test_a_pair_told_twice_alike_counts_once(self, tmp_path: Path) -> None:
        """In either direction."""
        found = read(tmp_path, "a.csv", "one,other,grade\nx,y,1\ny,x,1\nx,z,0\n")
        assert found == JudgedPairs(pairs=(("x", "y"), ("x", "z")), grades=(1, 0))

    @pytest.mark.parametrize(
        ("text", "place", "said"),
        [
            ("id,story\nx,s\n,s\n", ", line 3", "it has no id"),
            ("id,story\nx,s\nx,t\n", ", line 3", "'x' has its label already (line 2)"),
            ('{"id":"x","story":"s"}\n{"id":"y"}\n', ", line 2", "it has no story"),
            ('{"id":"x","story":"s"}\n{"id":\n', ", line 2", "its JSON is broken"),
            ('{"id":"x","story":"s"}\n[1]\n', ", line 2", "not an object"),
            ("id,story\nx,s,t,u\n", ", line 2", "it has 4 cells"),
            ("one,other,grade\nx,y,3\n", ", line 2", "its grade is '3'"),
            ("one,other,grade\nx,y,1.5\n", ", line 2", "its grade is '1.5'"),
            ("one,other,grade\nx,y,true\n", ", line 2", "its grade is 'true'"),
            ("one,other,grade\nx,y,\n", ", line 2", "it has no grade"),
            ("one,other,grade\nx,x,1\n", ", line 2", "paired with itself"),
            ("one,other,grade\nx,y,1\n\ny,x,2\n", ", line 4", "has grade 1 already (line 2)"),
            ("id,title\nx,s\n", ":", "not those of story labels, judged pairs or graded lists (id, title)"),
            ("", ":", "it holds no rows"),
            ("id,story\n", ":", "it holds no rows"),
        ],
    )
    def test_a_bad_row_is_refused_by_file_and_line(self, tmp_path: Path, text: str, place: str, said: str) -> None:
        """One line that says where, what is wrong and what to do."""
        with pytest.raises(UnreadableSourceError) as caught:
            read(tmp_path, "gold", text)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / 'gold'}{place}")
        assert said in message
        assert "; " in message
        assert "\n" not in message

    def test_the_sample_gold_is_the_truth_of_the_newsroom(self, newsroom_truth: dict[str, dict[str, list[str]]]) -> None:
        """`gold.csv` names every article, with the thread of truth.json or none."""
        of = {article: name for name, members in newsroom_truth["threads"].items() for article in members}
        found = read_gold(str(GOLD))
        assert isinstance(found, StoryLabels)
        assert len(found.ids) == 290
        assert dict(zip(found.ids, found.stories, strict=True)) == {article: of.get(article, "") for article in found.ids}


class TestBaselines:
    def test_the_latest_are_of_the_section_then_of_any(self) -> None:
        """Of 0, 1, 3 (section 0) and 2 (section 1), by day, article 3 sees 1, 0, then 2; nobody sees what came later."""
        found = latest_lists(labelled(days=[1, 2, 3, 4], sections=[0, 0, 1, 0]), 3)
        assert found.tolist() == [[-1, -1, -1], [0, -1, -1], [1, 0, -1], [1, 0, 2]]

    def test_without_date_or_section_the_latest_are_the_newest_of_all(self) -> None:
        """Article 2 has no date and is on no list; article 3 has no section."""
        found = latest_lists(labelled(days=[1, 2, np.nan, 3], sections=[0, 0, 0, -1]), 2)
        assert found.tolist() == [[-1, -1], [0, -1], [1, 0], [1, 0]]

    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 2)), min_size=1, max_size=14))
    def test_the_latest_are_what_sorting_finds(self, articles: list[tuple[int, int]]) -> None:
        """For any days and sections, ties by position."""
        days, sections = [float(day) for day, _ in articles], [section for _, section in articles]
        found = latest_lists(labelled(days=days, sections=sections), 3)
        for number, (day, section) in enumerate(articles):
            before = [other for other in range(len(articles)) if (days[other], other) < (day, number)]
            before.sort(key=lambda other: (section >= 0 and sections[other] == section, days[other], other), reverse=True)
            assert [one for one in found[number].tolist() if one >= 0] == before[:3]

    def test_random_lists_hold_others_once_and_repeat_with_the_seed(self) -> None:
        """Never the article itself; of three articles a list has two; over many draws each other is as likely."""
        found = random_lists(6, 3, np.random.default_rng(1))
        assert all(len(set(row)) == 3 and number not in row for number, row in enumerate(found.tolist()))
        assert (found == random_lists(6, 3, np.random.default_rng(1))).all()
        assert sorted(random_lists(3, 5, np.random.default_rng(1))[1].tolist()) == [-1, -1, -1, 0, 2]
        rng = np.random.default_rng(2)
        firsts = np.bincount([random_lists(5, 1, rng)[2, 0] for _ in range(4000)], minlength=5)
        np.testing.assert_allclose(firsts, [1000, 1000, 0, 1000, 1000], atol=120)

    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12))
    def test_tfidf_lists_are_those_of_the_full_matrix(self, seed: int, n: int) -> None:
        """By falling cosine, and the pairs at the cut or above, whatever the size of a block."""
        text = unit_rows(seed, n)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recommender.judging.baselines.BLOCK_CELLS", 3 * n)
            lists, alike = tfidf_lists(labelled(text, days=[0.0] * n), 4, 0.8)
        full = (text @ text.T).toarray()
        np.fill_diagonal(full, 0)
        for row in range(n):
            chosen = [one for one in lists[row].tolist() if one >= 0]
            assert len(set(chosen) - {row}) == min(4, n - 1)
            np.testing.assert_allclose(full[row, chosen], -np.sort(-full[row])[: len(chosen)], atol=1e-6)
        assert {tuple(pair) for pair in alike.tolist()} == {tuple(pair) for pair in np.argwhere(full >= 0.8).tolist()}

    def test_a_text_that_shares_nothing_has_an_empty_list(self) -> None:
        """Nothing at cosine 0 is shown."""
        text = sparse.csr_matrix(np.array([[1, 0], [0, 1], [1, 0]], np.float32))
        assert tfidf_lists(labelled(text, days=[0.0] * 3), 2, 0.5)[0].tolist() == [[2, -1], [-1, -1], [0, -1]]

    @settings(deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 14), cut=st.sampled_from([0.5, 0.7, 0.9]))
    def test_average_linkage_is_that_of_brute_force(self, seed: int, n: int, cut: float) -> None:
        """The two threads of the highest mean cosine are joined, again and again, until no mean reaches the cut."""
        text = unit_rows(seed, n, terms=40)
        full = (text @ text.T).toarray().astype(np.float64)
        clusters = [[one] for one in range(n)]
        while len(clusters) > 1:
            means = {(i, j): full[np.ix_(clusters[i], clusters[j])].mean() for j in range(len(clusters)) for i in range(j)}
            i, j = max(means, key=lambda pair: means[pair])
            if means[i, j] < cut:
                break
            clusters[i] += clusters.pop(j)
        found = average_linkage(text, tfidf_lists(labelled(text, days=[0.0] * n), 1, cut)[1], cut)
        assert {frozenset(np.flatnonzero(found == one).tolist()) for one in set(found.tolist())} == set(map(frozenset, clusters))

    def test_pairs_of_one_section_are_nearer_than_any_others(self) -> None:
        """Then those of fewer days apart; a pair without a date comes last in its kind."""
        articles = labelled(days=[0, 5, 1, np.nan], sections=[0, 0, 1, 0])
        near = nearness(articles, np.zeros(3, np.int64), np.array([1, 2, 3]))
        assert near[0] > near[2] > near[1]
        both = unit_rows(0, 3)
        expected = (both @ both.T).toarray()[[0, 1], [2, 2]]
        np.testing.assert_allclose(cosines_of(both, np.array([0, 1]), np.array([2, 2])), expected, atol=1e-6)


class TestMeasures:
    @given(predicted=stories, gold=stories, seed=st.integers(0, 9))
    def test_weights_count_articles_as_often_as_they_say(self, predicted: list[int], gold: list[int], seed: int) -> None:
        """B-cubed and pairwise F1 at weight 1 are those of `bcubed` and `pairwise_f1`; weighted, the sums over elements."""
        n = min(len(predicted), len(gold))
        one, two = np.array(predicted[:n]), np.array(gold[:n])
        elements = elements_of(one, two)
        names = [{str(i): str(s) for i, s in enumerate(side)} for side in (one, two)]
        whole = np.ones((1, n))
        assert weighted_bcubed(elements, whole)[:, 0] == pytest.approx(tuple(bcubed(*names)))
        (_, fp), (fn, tp) = pair_confusion_matrix(two, one)
        f1 = weighted_pairwise_f1(elements, whole)[0]
        assert np.isnan(f1) if not fp + fn + tp else f1 == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert np.isnan(f1) or f1 == pytest.approx(pairwise_f1(*names))
        weights = np.random.default_rng(seed).integers(0, 3, (2, n)) + np.eye(2, n)
        shares = [np.mean(two[one == one[i]] == two[i]) for i in range(n)]
        expected = [np.average(shares, weights=row) for row in weights if row.sum()]
        found = weighted_bcubed(elements, weights)[0]
        assert found[weights.sum(axis=1) > 0] == pytest.approx(expected)

    @given(st.lists(st.lists(st.integers(0, 2), min_size=5, max_size=5), min_size=1, max_size=6))
    def test_ndcg_of_rows_is_ndcg(self, gains: list[list[int]]) -> None:
        """Row by row what `ndcg_at_k` finds; nan where nothing has a gain."""
        given_gains = np.array(gains, np.float64)
        found = ndcg_of_rows(given_gains, -np.sort(-given_gains, axis=1))
        for value, row in zip(found, gains, strict=True):
            expected = ndcg_at_k(list("abcde"), dict(zip("abcde", map(float, row), strict=True)), 5)
            assert np.isnan(value) if not any(row) else value == pytest.approx(expected)

    @given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 3)), min_size=1))
    def test_weighted_auc_is_that_of_scikit_learn(self, items: list[tuple[int, bool, int]]) -> None:
        """With ties and weights; nan where all that counts is of one kind."""
        scores, positive, weights = (np.array(column) for column in zip(*items, strict=True))
        found = weighted_auc(scores.astype(float), positive.astype(bool), weights[None].astype(float))[0]
        if len(set(positive[weights > 0].tolist())) < 2:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(roc_auc_score(positive, scores, sample_weight=weights))

    def test_nothing_to_divide_by_is_unknown(self) -> None:
        """Not 0, not 1."""
        assert np.isnan(weighted_ratio(np.zeros(2), np.zeros(2), np.ones((1, 2)))).all()
        assert np.isnan(weighted_auc(np.zeros(0), np.zeros(0, bool), np.ones((1, 0)))).all()


class TestBootstrap:
    @staticmethod
    def mean(values: NDArray[np.float64]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        return lambda weights: weighted_ratio(values, np.ones(len(values)), weights)[None]

    def test_the_interval_of_a_mean_is_that_of_the_normal_theory(self) -> None:
        """Of 400 draws: the mean give or take 1.96 standard errors, within a tenth of one."""
        values = np.random.default_rng(3).random(400)
        (found,) = bootstrap(self.mean(values), np.arange(400), resamples=20_000)
        error = values.std() / 20
        assert found.value == pytest.approx(values.mean())
        assert [found.low, found.high] == pytest.approx(values.mean() + np.array([-1.96, 1.96]) * error, abs=error / 10)

    def test_values_of_one_unit_are_drawn_together(self) -> None:
        """100 units of four equal values have the interval of 100 values, twice as wide as of 400."""
        units = np.random.default_rng(4).random(100)
        (alone,) = bootstrap(self.mean(units), np.arange(100), resamples=4000)
        (fours,) = bootstrap(self.mean(np.repeat(units, 4)), np.repeat(np.arange(100), 4), resamples=4000)
        assert tuple(fours) == pytest.approx(tuple(alone))
        (loose,) = bootstrap(self.mean(np.repeat(units, 4)), np.arange(400), resamples=4000)
        assert (fours.high - fours.low) / (loose.high - loose.low) == pytest.approx(2, rel=0.1)

    def test_the_size_of_a_block_changes_nothing_but_the_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same seed draws the same; another seed something else."""
        values = np.random.default_rng(5).random(30)
        whole = bootstrap(self.mean(values), np.arange(30), resamples=50)
        assert bootstrap(self.mean(values), np.arange(30), resamples=50, seed=1) != whole
        monkeypatch.setattr("recommender.evaluation.DRAWN_AT_ONCE", 100)
        assert tuple(bootstrap(self.mean(values), np.arange(30), resamples=50)[0]) == pytest.approx(tuple(whole[0]))

    def test_nothing_has_no_interval(self) -> None:
        """No values: all nan."""
        (found,) = bootstrap(self.mean(np.zeros(0)), np.zeros(0, np.int64))
        assert np.isnan(found).all()


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recommender, list[Article]]:
    """An index of 30 articles in 6 planted stories and 4 alone."""
    articles = newspaper(6, 5, singles=4)
    return Recommender.build(articles, tmp_path_factory.mktemp("paper") / "index"), articles


def value(found: Evaluation, measure: str, system: str) -> float:
    figure = found.measures[measure][system]
    assert figure is not None
    assert 0 <= figure.low <= figure.value <= figure.high <= 1
    return figure.value


def written(path: Path, columns: str, rows: list[tuple[object, ...]]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns.split(","), *rows])
    return path


class TestLabels:
    def test_planted_stories_are_measured_as_the_public_functions_measure_them(
        self, paper: tuple[Recommender, list[Article]], tmp_path: Path
    ) -> None:
        """nDCG@5 with topics, P@1 and all of B-cubed, from the engine's lists and threads one article after the other."""
        engine, articles = paper
        story = {one.id: one.id[:3] if one.id.startswith("s") else "" for one in articles}
        topic = {one: name and f"t{int(name[1:]) % 2}" for one, name in story.items()}
        path = written(tmp_path / "gold.csv", "id,story,topic", [(one, story[one], topic[one]) for one in story])
        found = engine.evaluate(path, resamples=50)
        ndcgs, firsts = [], []
        for one in filter(story.get, story):
            gains = {o: 2.0 if story[o] == story[one] else 1.0 for o in story if o != one and topic[o] == topic[one]}
            shown = engine.related_ids(one, profile="similar")
            ndcgs.append(ndcg_at_k(shown, gains, 5))
            firsts.append(gains.get(shown[0]) == 2)
        assert value(found, "ndcg@5", "engine") == pytest.approx(np.mean(ndcgs))
        assert value(found, "p@1", "engine") == pytest.approx(np.mean(firsts))
        threads = {one: thread.id for thread in engine.threads() for one in thread.article_ids}
        gold = {one: name or one for one, name in story.items()}
        expected = bcubed(threads, gold)
        for name, number in expected._asdict().items():
            assert value(found, f"bcubed_{name}", "engine") == pytest.approx(number)
        assert value(found, "pairwise_f1", "engine") == pytest.approx(pairwise_f1(threads, gold))
        assert found.counts == {"articles": 34, "unknown_articles": 0, "articles_with_a_mate": 30, "resamples": 50}

    def test_what_was_not_labelled_is_left_out_of_the_lists(
        self, paper: tuple[Recommender, list[Article]], tmp_path: Path
    ) -> None:
        """Two articles a story are labelled; each list comes to the other one at once, so the engine is perfect."""
        engine, _ = paper
        path = written(tmp_path / "gold.csv", "id,story", [(f"s0{s}a{a}", s) for s in range(6) for a in (1, 4)])
        found = engine.evaluate(path, resamples=50)
        assert value(found, "ndcg@5", "engine") == value(found, "p@1", "engine") == 1
        assert value(found, "ndcg@5", "tfidf") == 1
        assert value(found, "ndcg@5", "random") < 0.9

    def test_unknown_articles_are_counted_and_change_nothing(
        self, paper: tuple[Recommender, list[Article]], tmp_path: Path
    ) -> None:
        """The measures are those without them; a notice says how many."""
        engine, _ = paper
        rows = [(f"s0{s}a{a}", s) for s in range(6) for a in range(5)]
        plain = engine.evaluate(written(tmp_path / "a.csv", "id,story", [*rows]), resamples=20)
        notices: list[str] = []
        more = written(tmp_path / "b.csv", "id,story", [("gone", 1), *rows, ("lost", 2)])
        found = engine.evaluate(more, resamples=20, notice=notices.append)
        assert found.measures == plain.measures
        assert found.counts["unknown_articles"] == 2
        assert notices[0] == f"{more}: story labels: 32 articles, 6 stories of two or more"
        assert notices[1] == "2 of its 32 articles are not in this index and are left out"

    def test_a_truth_of_another_archive_is_refused(self, paper: tuple[Recommender, list[Article]], tmp_path: Path) -> None:
        """Where no article, or no whole pair, is in the index."""
        engine, _ = paper
        for columns, row in (("id,story", ("gone", 1)), ("one,other,grade", ("s00a1", "gone", 1))):
            path = written(tmp_path / "gold.csv", columns, [row])
            with pytest.raises(UnreadableSourceError, match=r"is in this index .*; name the index .* --index"):
                engine.evaluate(path)

    def test_articles_that_all_stand_alone_tell_nothing_of_lists(
        self, paper: tuple[Recommender, list[Article]], tmp_path: Path
    ) -> None:
        """No nDCG then, and the sentence says so; B-cubed there is."""
        found = paper[0].evaluate(written(tmp_path / "gold.csv", "id,story", [("x1", ""), ("x2", "")]), resamples=20)
        assert set(found.measures["ndcg@5"].values()) == {None}
        assert found.gain == "No article of this truth has a mate, so it does not say how good a list is."
        assert value(found, "bcubed_f1", "engine") == 1


@pytest.fixture(scope="module")
def judged() -> list[tuple[str, str, int]]:
    """Pools of pairs in three stories: 2 within a story, 1 for one pair across two of them, 0 elsewhere."""
    ids = [f"s0{s}a{a}" for s in (0, 1, 2) for a in range(3)] + ["x1"]
    graded = [(one, other, 2 * (one[:3] == other[:3])) for n, one in enumerate(ids) for other in ids[:n]]
    return [(one, other, 1 if {one, other} == {"s01a0", "s00a0"} else grade) for one, other, grade in graded]


class TestPairs:
    def test_scores_and_relations_are_those_of_explain(
        self, paper: tuple[Recommender, list[Article]], judged: list[tuple[str, str, int]], tmp_path: Path
    ) -> None:
        """AUC, precision and recall by scikit-learn from what `explain` holds of each pair."""
        engine, _ = paper
        found = engine.evaluate(written(tmp_path / "gold.csv", "one,other,grade", [*judged]), resamples=50)
        known = [engine.explain(one, other) for one, other, _ in judged]
        scores = [one.score for one in known]
        held = {
            "related": [one.relation is not None for one in known],
            "same_story": [one.relation in ("duplicate", "same-story") for one in known],
        }
        for kind, least in (("related", 1), ("same_story", 2)):
            truth = [grade >= least for _, _, grade in judged]
            assert value(found, f"auc_{kind}", "engine") == pytest.approx(roc_auc_score(truth, scores), abs=5e-3)
            assert value(found, f"{kind}_precision", "engine") == pytest.approx(precision_score(truth, held[kind]))
            assert value(found, f"{kind}_recall", "engine") == pytest.approx(recall_score(truth, held[kind]))
            assert [found.measures[f"{kind}_recall"][system] for system in SYSTEMS[1:]] == [None] * 3

    def test_lists_are_condensed_to_the_judged(
        self, paper: tuple[Recommender, list[Article]], judged: list[tuple[str, str, int]], tmp_path: Path
    ) -> None:
        """nDCG@5 and P@1 from the whole `similar` lists, without what was not judged; x1 has no mate and is not asked."""
        engine, _ = paper
        found = engine.evaluate(written(tmp_path / "gold.csv", "a,b,grade", [*judged]), resamples=50)
        mates: dict[str, dict[str, float]] = {}
        for one, other, grade in judged:
            mates.setdefault(one, {})[other] = mates.setdefault(other, {})[one] = float(grade)
        lists = {one: [o for o in engine.related_ids(one, 50, profile="similar") if o in mates[one]] for one in mates}
        expected = [ndcg_at_k(lists[one], gains, 5) for one, gains in mates.items() if one != "x1"]
        assert found.counts["articles_with_an_order"] == 9
        assert value(found, "ndcg@5", "engine") == pytest.approx(np.mean(expected))
        firsts = [bool(lists[one]) and gains[lists[one][0]] >= 1 for one, gains in mates.items() if one != "x1"]
        assert value(found, "p@1", "engine") == pytest.approx(np.mean(firsts))
        assert value(found, "ndcg@5", "engine") > value(found, "ndcg@5", "random")

    def test_pairs_are_drawn_with_their_first_article(self, paper: tuple[Recommender, list[Article]], tmp_path: Path) -> None:
        """Of one first article every resample is the same, so the interval has no width; of two it has."""
        pool = [("s00a0", "s00a1", 2), ("s00a0", "s01a1", 2), ("s00a0", "s02a1", 0)]
        for rows, wide in ((pool, False), ([*pool, ("s03a0", "s03a1", 2), ("s03a0", "s04a1", 0)], True)):
            found = paper[0].evaluate(written(tmp_path / "gold.csv", "one,other,grade", [*rows]), resamples=50)
            recall = found.measures["same_story_recall"]["engine"]
            assert recall is not None
            assert (recall.high > recall.low) == wide

    def test_an_article_whose_mates_are_all_alike_has_no_order(
        self, paper: tuple[Recommender, list[Article]], tmp_path: Path
    ) -> None:
        """One pair: no nDCG, no AUC, but a recall; the sentence claims nothing."""
        found = paper[0].evaluate(written(tmp_path / "gold.csv", "one,other,grade", [("s00a0", "s00a1", 2)]), resamples=20)
        assert set(found.measures["ndcg@5"].values()) == set(found.measures["auc_related"].values()) == {None}
        assert value(found, "related_recall", "engine") == 1
        assert "does not say" in found.gain


def test_the_gain_is_that_of_the_numbers_shown() -> None:
    """Above, below and level, each from the two digits that a reader sees."""

    def figures(**values: float) -> dict[str, Figure | None]:
        return {name: Figure(value=one, low=0, high=1) for name, one in values.items()}

    found = gain_of({"ndcg@5": figures(engine=0.844, latest=0.306, tfidf=0.8441)})
    assert found == "nDCG@5 of the lists is .84: .53 above the latest list (.31) and level with TF-IDF (.84)."
    found = gain_of({"ndcg@5": figures(engine=0.9), "auc_related": figures(engine=0.5, latest=1.0, tfidf=0.4)})
    assert found == "AUC of the score is .50: .50 below the latest list (1.00) and .10 above TF-IDF (.40)."


def test_the_same_truth_gives_the_same_numbers(newsroom_index: Path) -> None:
    """Twice over the sample newsroom, where the engine's lists beat TF-IDF, TF-IDF the latest and the latest chance."""
    engine = Recommender.open(newsroom_index)
    found = engine.evaluate(GOLD, resamples=200)
    assert json.dumps(found.to_json()) == json.dumps(engine.evaluate(GOLD, resamples=200).to_json())
    ndcg = [value(found, "ndcg@5", system) for system in ("engine", "tfidf", "latest", "random")]
    assert ndcg == sorted(ndcg, reverse=True)
    for system in ("tfidf", "random"):
        assert value(found, "bcubed_f1", "engine") > value(found, "bcubed_f1", system)


@pytest.mark.slow
def test_twenty_thousand_articles_are_bootstrapped_in_seconds() -> None:
    """1000 resamples of B-cubed and pairwise F1 over 20,000 articles take less than 20 s (measured: 1 s)."""
    rng = np.random.default_rng(0)
    elements = elements_of(rng.integers(4000, size=20_000), rng.integers(4000, size=20_000))
    started = time.perf_counter()
    bootstrap(lambda weights: weighted_bcubed(elements, weights), np.arange(20_000))
    assert time.perf_counter() - started < 20
