"""The benchmark: it measures what it says, tells goals met from goals missed, and goes on where a row fails."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import scripts.benchmark.__main__ as benchmark
from recommender import Article, Recommender
from scripts.benchmark import adds, builds, plots, quality, report, workshop
from scripts.benchmark.children import NotMeasuredError, in_child
from scripts.benchmark.measures import Goal, Measure, in_turn, percentile
from scripts.benchmark.sizes import SIZES
from tests.children import holding, lacking, wrong

ROOT = Path(__file__).parents[1]
WITHOUT_PEERS = "build,growth,memory,related-warm,related-cold,draft,add,search,disk"
MEGABYTES = 200


@pytest.mark.slow
def test_the_memory_of_a_child_is_its_own() -> None:
    """What a large parent holds is not counted, and what the child holds is."""
    own = b"1" * (2 * MEGABYTES * 10**6)
    idle, busy = (in_child(holding, megabytes)["peak"] for megabytes in (1, MEGABYTES))
    assert len(own) > 1.5 * idle
    assert busy - idle == pytest.approx((MEGABYTES - 1) * 10**6, rel=0.05)


def test_a_child_that_fails_says_why() -> None:
    """A package that is missing is named with what installs it; an error is told."""
    with pytest.raises(NotMeasuredError, match=r"no_such_package is not installed \(`pip install .*bench"):
        in_child(lacking)
    with pytest.raises(NotMeasuredError, match="wrong with this text"):
        in_child(wrong)


@pytest.mark.parametrize(
    ("ours", "reference", "goal", "met"),
    [
        (3.0, 1.5, Goal(bound=2.0), True),
        (3.1, 1.5, Goal(bound=2.0), False),
        (0.97, None, Goal(bound=0.98, least=True), False),
        (0.6, 0.5, Goal(bound=1.0, least=True), True),
        (None, None, Goal(bound=2.0), None),
        (3.0, 1.5, None, None),
    ],
)
def test_a_goal_is_about_the_ratio_or_our_own_value(
    ours: float | None, reference: float | None, goal: Goal | None, met: bool | None
) -> None:
    """At most or at least, and neither met nor missed where there is nothing to tell."""
    assert Measure(row="build", what="a build", ours=ours, reference=reference, goal=goal).is_met is met


def test_the_two_sides_take_turns() -> None:
    """One, other, one, other; of each the median."""
    order: list[str] = []
    values = iter([5.0, 50.0, 1.0, 10.0, 9.0, 90.0])

    def call(side: str) -> float:
        order.append(side)
        return next(values)

    assert in_turn(3, lambda: call("one"), lambda: call("other")) == (5.0, 50.0)
    assert order == ["one", "other"] * 3
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 3.0
    assert percentile([1.0], 0.99) == 1.0


def test_the_rows_that_are_written_again_are_those_that_differ(tmp_path: Path) -> None:
    """Of two files that differ in a row that came, one that went and one that changed: three, and then they are alike."""
    before, after = tmp_path / "before", tmp_path / "after"
    for file, links in ((before, "(1, 2, 'a'), (1, 3, 'b'), (2, 3, NULL)"), (after, "(1, 2, 'a'), (1, 3, NULL), (9, 9, 'c')")):
        with contextlib.closing(sqlite3.connect(file)) as db:
            db.execute("CREATE TABLE links (row INTEGER, other INTEGER, note TEXT, PRIMARY KEY (row, other)) WITHOUT ROWID")
            db.execute(f"INSERT INTO links VALUES {links}")
            db.commit()
    _, rows, size = adds.replay(before, after)
    assert (rows, size) == (3, 3 * 2 * 8 + len("c"))
    assert adds.replay(before, after)[1:] == (0, 0)


def test_the_table_says_what_is_met_what_is_missed_and_what_is_not_known() -> None:
    """A line a measure, with ratio, goal and verdict; a bar in a note does not break the table."""
    facts = {
        "size": "tiny", "seconds": 1.0, "articles": "articles.jsonl",
        "environment": {
            "versions": {"numpy": "2", "txtai": None}, "cores": 2, "processor": "p", "memory_gb": 1, "load_before": 0,
            "commit_ms": 1, "copy_gb_per_second": 1, "system": "s", "python": "3", "sqlite": "3",
        },
    }  # fmt: skip
    measures = [
        Measure(row="build", what="a", unit="s", ours=3.0, reference=1.5, against="b", goal=Goal(bound=2.0), note="x|y"),
        Measure(row="search", what="recall", ours=0.5, goal=Goal(bound=0.98, least=True)),
        Measure(row="txtai", what="not measured", note="txtai is not installed"),
    ]
    lines = report.as_markdown(measures, facts).splitlines()[-3:]
    assert lines == [
        "| build | a | 3.000 s | 1.500 s | 2.000 × | ≤ 2 × | yes | b; x\\|y |",
        "| search | recall | 0.500 | – | – | ≥ 0.98 | **no** |  |",
        "| txtai | not measured | – | – | – | – | – | txtai is not installed |",
    ]
    assert "numpy 2." in report.told(facts)
    assert "txtai" not in report.told(facts)
    assert [one["met"] for one in report.as_json(measures, facts)["measures"]] == [True, False, None]


def test_rows_of_an_earlier_run_come_out_as_they_went_in() -> None:
    """But for a word on where they are from."""
    one = Measure(row="million", what="a", unit="MB", ours=3.0, reference=1.5, against="b", goal=Goal(bound=1.0), note="c")
    two = Measure(row="txtai", what="not measured")
    found = report.from_json(json.loads(json.dumps(report.as_json([one, two], {"seconds": 2400.0}))))
    assert found["million"] == [replace(one, note="c; of a run of its own, 2,400 s")]
    assert found["txtai"] == [replace(two, note="of a run of its own, 2,400 s")]


def test_a_new_table_takes_the_place_of_the_old() -> None:
    """Between the marks of a page and nowhere else; a page without them is refused."""
    page = "above\n<!-- table -->\n| old |\n<!-- end of the table -->\nbelow\n"
    assert report.placed(page, "| new |\n") == page.replace("old", "new")
    with pytest.raises(ValueError, match="no lines <!-- table -->"):
        report.placed("nothing", "| new |\n")


def test_a_build_that_failed_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows that need it say why, after one attempt; the row between them is measured."""
    attempts: list[object] = []

    def killed(*asked: object) -> dict[str, Any]:
        attempts.append(asked)
        raise NotMeasuredError("ended with -9")

    monkeypatch.setattr(workshop, "in_child", killed)
    shop = workshop.Workshop(tmp_path, [Article(id="a", title="Storm"), Article(id="b", title="Flood")], SIZES["tiny"])
    fine = Measure(row="fine", what="something", ours=1.0)
    found = benchmark.measured({"memory": builds.memory, "fine": lambda shop: [fine], "disk": builds.disk}, shop)
    assert [(one.row, one.ours, one.note) for one in found] == [
        ("memory", None, "ended with -9"), ("fine", 1.0, ""), ("disk", None, "ended with -9"),
    ]  # fmt: skip
    assert len(attempts) == 1


def test_judged_articles_stand_as_in_an_index_of_them(tmp_path: Path) -> None:
    """Of two rows with one id the later counts, in the place of the first; those without a story in a CSV stand alone."""
    rows = [{"id": name, "title": title, "published": "2024-06-19"} for name, title in (("a", "Old"), ("b", "B"), ("a", "New"))]
    (tmp_path / "articles.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (tmp_path / "gold.csv").write_text("id,story\na,s1\nb,\n", encoding="utf-8")
    articles, gold = quality.judged_articles(str(quality.labelled(tmp_path / "gold.csv", tmp_path)))
    assert [(article.id, article.title) for article in articles] == [("a", "New"), ("b", "B")]
    assert gold == {"a": "s1", "b": "alone b"}
    Recommender.build(articles, tmp_path / "index")
    assert len(builds.vectors_of(str(tmp_path / "index"))) == 2


def test_labels_of_lines_that_end_together_are_moved_apart() -> None:
    """Upwards, in the order of the lines, and no further than needed."""
    assert plots.apart([1.0, 3.0, 1.1], 0.5) == [1.0, 3.0, 1.5]
    assert [plots.short(value) for value in (0.0049, 0.43, 3.681, 31.94, 1234.5)] == ["0.0049", "0.43", "3.68", "31.9", "1,234"]


@pytest.mark.slow
def test_the_smallest_run_has_every_row_that_needs_no_peer(tmp_path: Path) -> None:
    """Every row has a number of ours, each goal a verdict, and JSON and Markdown tell the same."""
    command = [sys.executable, "-m", "scripts.benchmark", "--size", "tiny", "--only", WITHOUT_PEERS]
    files = ["--json", str(tmp_path / "run.json"), "--markdown", str(tmp_path / "run.md"), "--work", str(tmp_path)]
    one_thread = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # others may be at work
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, env=one_thread)
    assert done.returncode == 0, done.stderr
    run = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert list(dict.fromkeys(one["row"] for one in run["measures"])) == WITHOUT_PEERS.split(",")
    assert all(one["ours"] > 0 and one["met"] in (True, False) for one in run["measures"])
    curves = run["curves"]
    assert set(curves) == {"build", "memory", "answers", "search"}
    assert [count for count, _ in curves["build"]["series"]["recommender"]] == [120, 250]
    table = (tmp_path / "run.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\| (?!row|-)", table, re.MULTILINE)) == len(run["measures"])
    assert not list(tmp_path.glob("*/"))
