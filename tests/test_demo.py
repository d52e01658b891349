"""The demo: what it shows is what the archive and the editor's answer hold, and it fits the screen it is drawn for."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recommender import Recommender, read_articles
from recommender.answers import Related, StoryThread
from recommender.cli import app
from recommender.demo import ARTICLE, Page, newsroom, page_lines, page_of, stand_ins
from recommender.drawing import Ink
from recommender.errors import RecommenderError

OFFERED = [
    "russia-us-talks-ukraine", "who-tb-steps", "baloch-activists-terror-case", "carney-snap-election", "unicef-bangladesh",
]  # fmt: skip
"""What the page offered its readers, in the order of the list."""


def item(name: str, **changes: Any) -> Related:
    given: dict[str, Any] = {
        "id": name, "title": f"The {name} story of a day that was as long as many another day of the year", "url": None,
        "published": "2024-06-19T02:30:00+00:00", "score": 0.5, "relation": "related", "thread_id": None,
        "reasons": ("Kim", "1 day apart"),
    }  # fmt: skip
    return Related(**given | changes)


def page(**changes: Any) -> Page:
    thread = StoryThread(
        id="t1", label="Putin in Pyongyang", keywords=("Putin", "Kim"), size=2, first_published=None, last_published=None,
        lead_id=ARTICLE, article_ids=(ARTICLE, "next"),
    )  # fmt: skip
    given: dict[str, Any] = {
        "article": item(ARTICLE), "articles": 290, "before": (item("one"), item("two")), "chances": (0.001, 0.07),
        "after": (item("three", score=0.999, relation="same-story"),), "thread": thread,
        "timeline": (item(ARTICLE), item("next", published=None)), "commands": (("recommender info", "counts"),),
    }  # fmt: skip
    return Page(**given | changes)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Page]:
    """The real page, and its index."""
    folder = tmp_path_factory.mktemp("demo") / "index"
    return folder, page_of(folder, kept=True, program="recommender", progress=lambda stage, done, total: None)


@pytest.mark.parametrize("columns", [40, 80, 99, 100, 120, 300])
def test_no_line_of_the_lists_is_wider_than_the_screen(columns: int) -> None:
    """Up to the commands, which must stay whole to be copied, every line fits; very wide screens are not filled."""
    drawn = list(page_lines(page(), columns, Ink()))
    shown = drawn[: drawn.index("WHAT TO TYPE NEXT")]
    assert max(map(len, shown)) <= min(columns, 120)
    assert all(line == line.rstrip() for line in shown)


def test_lists_stand_side_by_side_from_100_columns_on() -> None:
    """Both words on one line at 100 columns, one above the other at 99; entries begin on one line."""

    def places(columns: int) -> list[int]:
        drawn = list(page_lines(page(), columns, Ink()))
        return [
            next(number for number, line in enumerate(drawn) if word in line)
            for word in ("BEFORE", "AFTER", "one story", "three story")
        ]

    before, after, first, related = places(100)
    assert (before == after, first == related) == (True, True)
    before, after, first, related = places(99)
    assert before < first < after < related


def test_colour_does_not_move_a_letter() -> None:
    """Without its escapes the coloured page is the plain one."""
    import re

    for columns in (80, 120):
        coloured = "\n".join(page_lines(page(), columns, Ink(on=True)))
        bare = "\n".join(line.rstrip() for line in re.sub(r"\x1b\[\d+m", "", coloured).splitlines())
        assert "\x1b[1m" in coloured
        assert bare == "\n".join(page_lines(page(), columns, Ink())).rstrip("\n")


def test_chances_are_told_in_whole_percents_but_never_as_certain() -> None:
    """0.001, 0.07 and 0.999: a probability that rounds to 0 or 100 is said to be under 1 or over 99."""
    drawn = "\n".join(page_lines(page(), 80, Ink()))
    assert "under 1% related" in drawn
    assert "7% related" in drawn
    assert "over 99% related · same story" in drawn
    assert "1 day apart" not in drawn  # the date beside it says so


def test_an_article_with_nothing_related_says_so() -> None:
    """No list and no thread: a sentence each."""
    drawn = "\n".join(page_lines(page(after=(), thread=None, timeline=()), 100, Ink()))
    assert "Nothing in the archive is related" in drawn
    assert "stands alone" in drawn


def test_an_encoding_without_lines_gets_plain_ones() -> None:
    """For ASCII no character of the drawing itself is left over; for UTF-8 nothing is changed."""
    drawn = list(page_lines(page(), 100, Ink()))
    assert list(stand_ins(drawn, "utf-8")) == drawn
    assert "".join(stand_ins(drawn, "ascii")).isascii()


def test_before_is_what_the_site_offered(built: tuple[Path, Page]) -> None:
    """The five last articles of Top News on the evening of 24 March 2025, which the editor's answer does not call its story."""
    assert [one.id for one in built[1].before] == OFFERED


def test_after_belongs_to_the_article(built: tuple[Path, Page], newsroom_truth: dict[str, Any]) -> None:
    """Five pieces, each of which the editor calls related; at least three of them of the same story (grade 2)."""
    grades = newsroom_truth["related"][ARTICLE]
    given = [grades.get(one.id, 0) for one in built[1].after]
    assert len(given) == 5
    assert min(given) >= 1
    assert given.count(2) >= 3


def test_the_thread_is_the_editors(built: tuple[Path, Page], newsroom_truth: dict[str, Any]) -> None:
    """Nothing foreign stands in the timeline, and more than half of the story does; oldest first.

    The journey had a second leg, Hanoi, with the same traveller in the same week: an editor may or may not make it one.
    """
    story = next(ids for ids in newsroom_truth["threads"].values() if ARTICLE in ids)
    shown = [one.id for one in built[1].timeline]
    assert set(shown) <= {*story, *newsroom_truth["threads"]["putin-hanoi"]}
    assert len(shown) > len(story) / 2
    assert [one.published for one in built[1].timeline] == sorted(str(one.published) for one in built[1].timeline)


def test_what_to_type_next_works(built: tuple[Path, Page], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command that the page names ends with 0 and shows something."""
    monkeypatch.setenv("RECOMMENDER_INDEX", "/nowhere")
    assert len(built[1].commands) >= 5
    for command, _ in built[1].commands:
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert (done.exit_code, bool(done.stdout), done.stderr) == (0, True, ""), command


def test_somebody_elses_index_is_not_overwritten(tmp_path: Path, built: tuple[Path, Page]) -> None:
    """A folder with an index of other articles is refused; an empty one and one of the demo are taken."""
    from recommender import Article

    Recommender.build([Article(id="mine", body="My own archive of one article.")], tmp_path / "mine")
    with pytest.raises(RecommenderError, match="other articles"), newsroom(tmp_path / "mine"):
        pass
    assert "mine" in Recommender.open(tmp_path / "mine")
    for taken in (tmp_path / "new", built[0]):
        with newsroom(taken) as folder:
            assert folder == taken


@pytest.mark.slow
def test_the_demo_leaves_nothing_behind_unless_asked(tmp_path: Path) -> None:
    """Piped, it prints the stacked page without an escape; the temporary folder is gone; --index DIR stays."""
    import os

    command = [sys.executable, "-c", "from recommender.cli import main; main()", "demo"]
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"TMPDIR": str(tmp_path)}
    first = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=tmp_path)
    assert first.stderr == ""
    assert "\x1b" not in first.stdout
    assert first.stdout.index("BEFORE") < first.stdout.index("AFTER")
    assert "demo --index artifacts/demo" in first.stdout
    assert list(tmp_path.iterdir()) == []
    subprocess.run([*command, "--index", "kept"], capture_output=True, check=True, env=environment, cwd=tmp_path)
    assert len(Recommender.open(tmp_path / "kept")) == len(list(read_articles([_sample()])))


def _sample() -> Path:
    from importlib import resources

    return Path(str(resources.files("recommender") / "sample" / "articles.jsonl"))
