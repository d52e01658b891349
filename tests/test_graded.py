"""Graded lists against hand-worked numbers, ir_measures, scikit-learn and a plain loop over the definitions."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Mapping, Sequence
from math import log2
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ir_measures import nDCG
from sklearn.calibration import calibration_curve
from sklearn.feature_extraction.text import TfidfTransformer

from recommender import Article, Recommender
from recommender.errors import UnreadableSourceError
from recommender.evaluation import bootstrap, calibration_bins, weighted_calibration_error
from recommender.judging.baselines import latest_lists, nearest_lists, tfidf_lists
from recommender.judging.gold import GradedLists, JudgedPairs, read_gold
from recommender.judging.graded import MEASURES, SYSTEMS, gain_of, intervals_of
from recommender.reports import Evaluation, Figure
from tests.archives import newspaper
from tests.test_judging import labelled, unit_rows, value, written

IDS = [f"a{number}" for number in range(9)]
grade_tables = st.dictionaries(st.sampled_from(IDS), st.integers(0, 3), min_size=1)
shown_lists = st.lists(st.sampled_from(IDS), unique=True)
judged_lists = st.lists(st.tuples(grade_tables, shown_lists), min_size=1, max_size=6)


def measured(lists: Mapping[str, Sequence[str]], grades: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """The measures without their intervals."""
    found = intervals_of(lists, grades, 1)
    return {name: one.value for name, one in zip(MEASURES, found, strict=True)}


def read(tmp_path: Path, name: str, text: str | bytes) -> object:
    """What is read of a file of this content."""
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_gold(str(tmp_path / name))


class TestReading:
    EXPECTED = GradedLists(grades={"q": {"x": 2, "y": 0}, "7": {"x": 3}})

    def test_a_table_without_a_header_is_read_by_its_tabs(self, tmp_path: Path) -> None:
        """Under any name, gzipped or not, with the line ends of Windows, blank lines and a byte order mark."""
        bare = "q\tx\t2\nq\ty\t0\n7\tx\t3\n"
        for name, text in (
            ("a.tsv", bare.encode()),
            ("a", gzip.compress(bare.encode())),
            ("a.txt", b"\xef\xbb\xbf" + bare.replace("\n", "\r\n\r\n").encode()),
        ):
            assert read(tmp_path, name, text) == self.EXPECTED

    def test_a_header_names_the_columns_in_any_order(self, tmp_path: Path) -> None:
        """CSV, TSV and JSON Lines; other columns are ignored."""
        table = "Grade,query,candidate,who\n2,q,x,me\n0,q,y,\n3,7,x,me\n"
        assert read(tmp_path, "a.csv", table) == self.EXPECTED
        assert read(tmp_path, "a.tsv", table.replace(",", "\t")) == self.EXPECTED
        rows = [("q", "x", 2), ("q", "y", 0.0), (7, "x", "3")]
        lines = [json.dumps(dict(zip(("query", "candidate", "grade"), row, strict=True))) for row in rows]
        assert read(tmp_path, "a.jsonl", "\n".join(lines)) == self.EXPECTED

    def test_a_table_without_a_header_may_come_from_stdin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As the other forms may."""
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"q\tx\t2\n")))
        assert read_gold("-") == GradedLists(grades={"q": {"x": 2}})

    def test_what_was_read_is_counted(self) -> None:
        """Judgments, queries, and how many have each grade; every id once."""
        assert self.EXPECTED.told() == (
            "graded lists: 3 judgments of 2 queries (1 of grade 3, 1 of grade 2, 0 of grade 1, 1 of grade 0)"
        )
        assert self.EXPECTED.ids == ("q", "x", "y", "7")

    def test_a_judgment_that_is_repeated_counts_once(self, tmp_path: Path) -> None:
        """The same grade twice is no contradiction, and the other direction is another judgment."""
        assert read(tmp_path, "a.tsv", "q\tx\t2\nq\tx\t2\nx\tq\t1\n") == GradedLists(grades={"q": {"x": 2}, "x": {"q": 1}})

    @pytest.mark.parametrize(
        ("text", "place", "said"),
        [
            ("q\tx\t2\nq\ty\t4\n", ", line 2: ", "its grade is '4'; give 0 (does not belong), 1 (background)"),
            ("q\tx\t-1\n", ", line 1: ", "its grade is '-1'"),
            ("q\tx\t2\nq\ty\tgood\n", ", line 2: ", "its grade is 'good'"),
            ("q\tx\t1.5\n", ", line 1: ", "its grade is '1.5'"),
            ("q\tx\t2\n\nq\t1\n", ", line 3: ", "it has 2 columns, a graded list without a header has query, candidate"),
            ("q\tx\t2\nq x 2\n", ", line 2: ", "it has 1 column,"),
            ("q\tx\t2\tme\n", ", line 1: ", "it has 4 columns,"),
            ("q\tx\t2\nq\tx\t1\n", ", line 2: ", "'x' has grade 2 for 'q' already (line 1); keep one of the two"),
            ("q\tx\t2\nq\tq\t1\n", ", line 2: ", "'q' is a candidate of itself; take the row out"),
            ("q\tx\t2\n\ty\t1\n", ", line 2: ", "it has no query"),
            ("q\tx\t2\nq\t \t1\n", ", line 2: ", "it has no candidate"),
            ("query,candidate,grade\nq,x,5\n", ", line 2: ", "its grade is '5'"),
            ("query,candidate,grade\nq,x,1\nq,y\n", ", line 3: ", "it has no grade"),
            ("query,candidate,grade\nq,x,1,2\n", ", line 2: ", "it has 4 cells"),
            ('{"query":"q","candidate":"x","grade":1}\n{"query":"q"}\n', ", line 2: ", "it has no candidate"),
            ("query\tcandidate\trank\nq\tx\t1\n", ": ", "not those of story labels, judged pairs or graded lists"),
            ("q\tx\t2\nq\t\xff\t1\n".encode("latin-1"), ": ", "not UTF-8 at byte 8 (line 2)"),
        ],
    )
    def test_a_bad_row_is_refused_by_file_and_line(
        self, tmp_path: Path, text: str | bytes, place: str, said: str
    ) -> None:
        """One line that says where, what is wrong and what to do."""
        with pytest.raises(UnreadableSourceError) as caught:
            read(tmp_path, "gold", text)
        message = str(caught.value)
        assert message.startswith(f"{tmp_path / 'gold'}{place}")
        assert said in message
        assert "; " in message
        assert "\n" not in message

    def test_as_pairs_a_copy_is_of_the_story_and_the_lower_of_two_grades_counts(self) -> None:
        """3 becomes 2; both directions are one pair, 2 one way and 1 the other being 1."""
        lists = GradedLists(grades={"q": {"x": 3, "y": 1, "z": 0}, "x": {"q": 2}, "y": {"q": 2}})
        assert lists.to_pairs() == JudgedPairs(pairs=(("q", "x"), ("q", "y"), ("q", "z")), grades=(2, 1, 0))


class TestBaselines:
    @given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12))
    def test_lists_of_some_articles_are_those_of_all(self, seed: int, n: int) -> None:
        """TF-IDF and the latest of the asked are the rows of the whole matrix, whatever the size of a block."""
        rng = np.random.default_rng(seed)
        text, asked = unit_rows(seed, n), rng.permutation(n)[: n // 2 + 1]
        articles = labelled(text, days=rng.integers(0, 4, n).tolist(), sections=rng.integers(-1, 2, n).tolist())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recommender.judging.baselines.BLOCK_CELLS", 2 * n)
            assert (nearest_lists(text, asked, 3) == tfidf_lists(articles, 3, 0.5)[0][asked]).all()
        assert (latest_lists(articles, 3, asked) == latest_lists(articles, 3)[asked]).all()


class TestMeasures:
    def test_the_worked_example(self) -> None:
        """q has six candidates that belong, r two, s one; the lists have the grades [2 0 3 ?], nothing and [0 1].

        belongs: two of the five judged places. filled: two of 5 + 2 + 1. gain: 2 + 1 of (2 + 2 + 1 + 1 + 1) + (2 + 1) + 1.
        """
        grades = {
            "q": {"a": 2, "b": 0, "c": 3, "d": 2, "e": 1, "f": 1, "g": 1, "h": 1},
            "r": {"a": 2, "b": 1},
            "s": {"a": 0, "b": 1},
        }
        lists = {"q": ["a", "b", "c", "unknown"], "s": ["a", "b"]}
        found = measured(lists, grades)
        assert found["belongs"] == pytest.approx(2 / 5)
        assert found["filled"] == pytest.approx(2 / 8)
        assert found["gain"] == pytest.approx(3 / 11)
        ideal = 2 + 2 / log2(3) + 1 / log2(4) + 1 / log2(5) + 1 / log2(6)
        assert found["ndcg@5"] == pytest.approx((2 / ideal + 0 + 1 / log2(3)) / 3)
        assert found["empty"] == pytest.approx(1 / 3)
        assert found["unjudged"] == pytest.approx(1 / 6)
        assert found["shown"] == pytest.approx(6 / 3)

    def test_five_places_count(self) -> None:
        """A sixth place neither helps nor harms."""
        grades = {"q": dict.fromkeys("abcdef", 1)}
        assert measured({"q": "abcdef"}, grades) == measured({"q": "abcde"}, grades)
        assert measured({"q": "abcdef"}, grades)["filled"] == 1

    def test_what_nothing_can_be_said_of_is_unknown(self) -> None:
        """No place, nothing that belongs: nan, not 0."""
        found = measured({}, {"q": {"a": 0, "b": 3}})
        assert {name for name, one in found.items() if np.isnan(one)} == {*MEASURES} - {"shown"}

    @given(judged_lists)
    def test_ndcg_is_that_of_trec_eval(self, judged: list[tuple[dict[str, int], list[str]]]) -> None:
        """ir_measures finds the mean nDCG@5 over the queries with a gain; the same text again gains nothing."""
        grades = {f"q{number}": table for number, (table, _) in enumerate(judged)}
        lists = {f"q{number}": shown for number, (_, shown) in enumerate(judged)}
        gains = {query: {one: grade % 3 for one, grade in of.items()} for query, of in grades.items()}
        answerable = {query: of for query, of in gains.items() if any(of.values())}
        qrels = [ir_measures.Qrel(query, one, gain) for query, of in answerable.items() for one, gain in of.items()]
        run = [
            ir_measures.ScoredDoc(query, one, 100.0 - rank)
            for query in answerable
            for rank, one in enumerate(lists[query])
        ]
        found = measured(lists, grades)["ndcg@5"]
        if not answerable:
            assert np.isnan(found)
        else:
            per_query = [one.value for one in ir_measures.iter_calc([nDCG @ 5], qrels, run)]  # none for an empty list
            assert found == pytest.approx(sum(per_query) / len(answerable), abs=1e-6)

    @given(judged_lists)
    def test_random_lists_are_measured_as_a_plain_loop_measures_them(
        self, judged: list[tuple[dict[str, int], list[str]]]
    ) -> None:
        """One place after another, as the measures are defined in words."""
        grades = {f"q{number}": table for number, (table, _) in enumerate(judged)}
        lists = {f"q{number}": shown for number, (_, shown) in enumerate(judged)}
        assert measured(lists, grades) == pytest.approx(by_a_plain_loop(lists, grades), nan_ok=True)

    def test_a_resample_draws_whole_queries(self) -> None:
        """A ratio of sums over redrawn queries: its interval is that of redrawing them by hand."""
        rng = np.random.default_rng(1)
        grades = {f"q{n}": {one: int(rng.integers(0, 4)) for one in IDS} for n in range(40)}
        lists = {query: rng.permutation(IDS)[: rng.integers(1, 6)].tolist() for query in grades}
        found = intervals_of(lists, grades, 4000)[MEASURES.index("belongs")]
        places = {query: [grades[query][one] in (1, 2) for one in shown] for query, shown in lists.items()}
        drawn = [
            [belongs for query in rng.choice(list(grades), 40) for belongs in places[query]] for _ in range(4000)
        ]
        expected = np.percentile([np.mean(one) for one in drawn], [2.5, 97.5])
        assert [found.low, found.high] == pytest.approx(expected, abs=0.01)


def by_a_plain_loop(lists: Mapping[str, Sequence[str]], grades: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """The measures, place by place."""
    shown = judged = belong = could = gain = best = answerable = empty = 0
    ndcg = 0.0
    for query, of in grades.items():
        wanted = sorted((grade for grade in of.values() if grade in (1, 2)), reverse=True)[:5]
        could += len(wanted)
        best += sum(wanted)
        reached = 0.0
        for place, article in enumerate(lists[query][:5]):
            shown += 1
            judged += article in of
            if of.get(article) in (1, 2):
                belong += 1
                gain += of[article]
                reached += of[article] / log2(place + 2)
        if wanted:
            answerable += 1
            empty += not lists[query]
            ndcg += reached / sum(grade / log2(place + 2) for place, grade in enumerate(wanted))

    def over(part: float, whole: float) -> float:
        return part / whole if whole else float("nan")

    return {
        "belongs": over(belong, judged),
        "filled": over(belong, could),
        "gain": over(gain, best),
        "ndcg@5": over(ndcg, answerable),
        "empty": over(empty, answerable),
        "unjudged": over(shown - judged, shown),
        "shown": shown / len(grades),
    }


class TestCalibration:
    def test_the_border_of_two_bins_is_in_the_upper_one(self) -> None:
        """And 1 in the last."""
        scores = np.array([0.0, 0.0999, 0.1, 0.3, 0.6, 0.7, 0.95, 1.0])
        assert calibration_bins(scores).tolist() == [0, 0, 1, 3, 6, 7, 9, 9]

    def test_the_worked_example(self) -> None:
        """Bins (.8 .8: one of two true) and (.5: true): (2 * .3 + 1 * .5) / 3; without a score unknown."""
        gaps, counts = np.array([[0.6, 0.0], [0.0, -0.5]]), np.array([2.0, 1.0])
        weights = np.array([[1.0, 1.0], [0.0, 2.0], [0.0, 0.0]])
        found = weighted_calibration_error(gaps, counts, weights)
        assert found[:2] == pytest.approx([(0.6 + 0.5) / 3, 0.5])
        assert np.isnan(found[2])

    @given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
    def test_it_is_that_of_the_curve_of_scikit_learn(self, items: list[tuple[float, bool]]) -> None:
        """The distances of its curve, each weighed by the scores in its bin; scores at a border are left to ours."""
        scores, truth = (np.array(side) for side in zip(*items, strict=True))
        scores = np.where(np.isclose(scores * 10 % 1, 0), scores * 0.98 + 0.005, scores)
        gaps = np.zeros((len(scores), 10))
        gaps[np.arange(len(scores)), calibration_bins(scores)] = scores - truth
        ones = np.ones(len(scores))
        (found,) = weighted_calibration_error(gaps, ones, ones[None])
        true, said = calibration_curve(truth, scores, n_bins=10)
        sizes = np.histogram(scores, np.linspace(0, 1, 11))[0]
        assert found == pytest.approx(np.abs(true - said) @ sizes[sizes > 0] / len(scores))


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recommender, list[Article]]:
    """An index of 30 articles in 6 planted stories and 4 alone."""
    articles = newspaper(6, 5, singles=4)
    return Recommender.build(articles, tmp_path_factory.mktemp("paper") / "index"), articles


@pytest.fixture(scope="module")
def judged() -> list[tuple[str, str, int]]:
    """Four queries: two of their own story are judged to belong, one is background, one is not, one is a copy."""
    queries = [f"s0{story}a2" for story in range(4)]
    grades = {"a0": 2, "a1": 1, "a3": 0, "a4": 3}
    return [(query, query[:3] + mate, grade) for query in queries for mate, grade in grades.items()]


class TestEvaluation:
    def test_lists_are_those_that_a_reader_sees(
        self, paper: tuple[Recommender, list[Article]], judged: list[tuple[str, str, int]], tmp_path: Path
    ) -> None:
        """Sidebar and similar are measured on `related`, all of it; the baselines on the whole index."""
        engine, articles = paper
        found = engine.evaluate(written(tmp_path / "gold.csv", "query,candidate,grade", [*judged]), resamples=50)
        assert found.gold == "graded-lists"
        assert found.counts == {"queries": 4, "judgments": 16, "unknown_articles": 0, "resamples": 50}
        grades: dict[str, dict[str, int]] = {}
        for query, candidate, grade in judged:
            grades.setdefault(query, {})[candidate] = grade
        shown = {
            "sidebar": {query: engine.related_ids(query, profile="sidebar") for query in grades},
            "similar": {query: engine.related_ids(query, profile="similar") for query in grades},
            "latest": {query: latest_by_sorting(articles, query) for query in grades},
        }
        for system, lists in shown.items():
            for name, expected in by_a_plain_loop(lists, grades).items():
                figure = found.measures[name][system]
                assert figure is None if np.isnan(expected) else figure is not None
                assert figure is None or figure.value == pytest.approx(expected)
        assert value(found, "filled", "tfidf") == 1  # the four mates share words, nothing else does
        assert value(found, "unjudged", "tfidf") == 0

    def test_tfidf_ranges_over_the_whole_index(
        self, paper: tuple[Recommender, list[Article]], tmp_path: Path
    ) -> None:
        """With one mate judged, the three that share the story and are not judged take their places."""
        rows = [("s00a0", "s00a4", 2), ("s01a0", "s01a1", 2)]
        found = paper[0].evaluate(written(tmp_path / "gold.csv", "query,candidate,grade", [*rows]), resamples=20)
        assert value(found, "unjudged", "tfidf") >= 0.75
        assert value(found, "filled", "tfidf") == 1

    def test_the_reliability_is_that_of_the_judged_places_of_the_sidebar(
        self, paper: tuple[Recommender, list[Article]], judged: list[tuple[str, str, int]], tmp_path: Path
    ) -> None:
        """Ten bins, each with the mean score and the share with grade 1 or 2; the ECE is their mean distance."""
        engine, _ = paper
        found = engine.evaluate(written(tmp_path / "gold.csv", "query,candidate,grade", [*judged]), resamples=20)
        grades = {(query, candidate): grade for query, candidate, grade in judged}
        places = [
            (item.score, grades[query, item.id] in (1, 2))
            for query in {query for query, _, _ in judged}
            for item in engine.related(query)
            if (query, item.id) in grades
        ]
        assert len(places) > 8
        assert [one.low for one in found.reliability] == [number / 10 for number in range(10)]
        error = 0.0
        for one in found.reliability:
            inside = [pair for pair in places if one.low <= pair[0] < one.high or pair[0] == one.high == 1]
            assert one.places == len(inside)
            if inside:
                assert one.said == pytest.approx(np.mean([score for score, _ in inside]))
                assert one.belongs == pytest.approx(np.mean([belongs for _, belongs in inside]))
                error += len(inside) / len(places) * abs((one.said or 0) - (one.belongs or 0))
            else:
                assert one.said is one.belongs is None
        figure = found.measures["ece"]["sidebar"]
        assert figure is not None
        assert figure.value == pytest.approx(error)
        assert [found.measures["ece"][system] for system in SYSTEMS[1:]] == [None] * 3

    def test_unknown_articles_are_left_out_and_counted(
        self, paper: tuple[Recommender, list[Article]], judged: list[tuple[str, str, int]], tmp_path: Path
    ) -> None:
        """A query, a candidate, and a query whose candidates are all unknown change no measure; notices say so."""
        more = [("gone", "s00a1", 2), ("s00a2", "lost", 2), ("s05a1", "lost", 2), *judged]
        plain = paper[0].evaluate(written(tmp_path / "a.csv", "query,candidate,grade", [*judged]), resamples=20)
        notices: list[str] = []
        path = written(tmp_path / "b.csv", "query,candidate,grade", [*more])
        found = paper[0].evaluate(path, resamples=20, notice=notices.append)
        assert {name: {s: f and f.value for s, f in row.items()} for name, row in found.measures.items()} == {
            name: {s: f and f.value for s, f in row.items()} for name, row in plain.measures.items()
        }
        assert found.counts["unknown_articles"] == 2
        assert notices[0].startswith(f"{path}: graded lists: 19 judgments of 6 queries (")
        assert notices[1] == "2 of its 23 articles are not in this index and are left out"

    def test_a_truth_of_another_archive_is_refused(
        self, paper: tuple[Recommender, list[Article]], tmp_path: Path
    ) -> None:
        """Where no query, or no candidate of any, is in the index."""
        for row in (("gone", "s00a1", 2), ("s00a1", "gone", 2)):
            path = written(tmp_path / "gold.csv", "query,candidate,grade", [row])
            with pytest.raises(UnreadableSourceError, match=r"no query .* \(the first id: .*; name the index .* --index"):
                paper[0].evaluate(path)

    def test_the_same_lists_give_the_same_json(
        self, paper: tuple[Recommender, list[Article]], judged: list[tuple[str, str, int]], tmp_path: Path
    ) -> None:
        """The form, counts, measures, bins and sentences; other forms have no bins."""
        path = written(tmp_path / "gold.csv", "query,candidate,grade", [*judged])
        found = paper[0].evaluate(path, resamples=20).to_json()
        assert json.dumps(found) == json.dumps(paper[0].evaluate(path, resamples=20).to_json())
        assert list(found) == [
            *("gold", "queries", "judgments", "unknown_articles", "resamples", "measures", "reliability", "gain"),
        ]  # fmt: skip
        assert list(found["measures"]) == [*MEASURES, "ece"]
        assert list(found["reliability"][0]) == ["low", "high", "places", "said", "belongs"]
        labels = written(tmp_path / "labels.csv", "id,story", [("s00a0", "a"), ("s00a1", "a")])
        assert "reliability" not in paper[0].evaluate(labels, resamples=20).to_json()


def latest_by_sorting(articles: list[Article], query: str) -> list[str]:
    """The five before the query in time, ties by place; all are of one section."""
    order = sorted(range(len(articles)), key=lambda number: (articles[number].published, number))
    ids = [articles[number].id for number in order]
    return ids[: ids.index(query)][::-1][:5]


class TestGain:
    @staticmethod
    def table(**rows: dict[str, float]) -> dict[str, dict[str, Figure | None]]:
        return {
            name: {system: Figure(value=row[system], low=0, high=1) if system in row else None for system in SYSTEMS}
            for name, row in rows.items()
        }

    def test_the_sentences_are_those_of_the_numbers_shown(self) -> None:
        """What the sidebar reaches and what of it belongs; a baseline that is hardly judged is named, not compared."""
        known = {"sidebar": 0.0, "latest": 0.05, "tfidf": 0.1}
        gain, belongs = {"sidebar": 0.616, "latest": 0.104, "tfidf": 0.727}, {"sidebar": 0.646, "tfidf": 0.472}
        assert gain_of(self.table(gain=gain, belongs=belongs, unjudged=known)) == (
            "The gain of the sidebar is .62: .52 above the latest list (.10) and .11 below TF-IDF (.73). "
            "The share of its judged places that belong is .65: .18 above TF-IDF (.47)."
        )
        assert gain_of(self.table(gain=gain, belongs=belongs, unjudged=known | {"latest": 0.987, "tfidf": 0.11})) == (
            "The gain of the sidebar is .62. The share of its judged places that belong is .65. "
            "Share of places without a judgment: latest .99, tfidf .11; filled, gain and nDCG@5 are lower bounds there."
        )

    def test_without_anything_that_belongs_no_gain_is_claimed(self) -> None:
        """One sentence says so."""
        found = gain_of(self.table(gain={}, belongs={}, unjudged={}))
        assert found == "No query has a candidate that belongs, so no list can be called good or bad."


def test_tfidf_of_the_index_is_that_of_scikit_learn(paper: tuple[Recommender, list[Article]]) -> None:
    """Sublinear counts, smooth idf, unit rows: the nearest by its transformer are the nearest by ours."""
    from recommender.archives.loading import load

    with paper[0]._index.apart() as store:
        archive = load(store)
        every = np.arange(len(archive))
        counts = archive.counts_of(every).text
    expected = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    cosines = (expected @ expected.T).toarray()
    np.fill_diagonal(cosines, 0)
    found = nearest_lists(archive.texts(every), every, 4)
    for article, row in enumerate(found.tolist()):
        shown = [one for one in row if one >= 0]
        assert cosines[article][shown] == pytest.approx(np.sort(cosines[article])[::-1][: len(shown)], abs=1e-5)
        assert len(shown) == min(4, np.count_nonzero(cosines[article] > 0))


def test_an_interval_of_nothing_is_no_figure(paper: tuple[Recommender, list[Article]], tmp_path: Path) -> None:
    """Where nothing that is shown is judged there is no `belongs` and no ECE, and the JSON has null."""
    path = written(tmp_path / "gold.csv", "query,candidate,grade", [("s00a0", "x1", 1)])
    found: Evaluation = paper[0].evaluate(path, resamples=20)
    assert found.measures["belongs"]["sidebar"] is found.measures["ece"]["sidebar"] is None
    assert value(found, "filled", "sidebar") == value(found, "gain", "sidebar") == 0
    assert found.to_json()["measures"]["ece"] == dict.fromkeys(SYSTEMS)
    assert re.match(r"The gain of the sidebar is \.00", found.gain)
    assert bootstrap(lambda weights: weights[:, :0].sum(axis=1)[None], np.arange(1), resamples=2)[0].value == 0
