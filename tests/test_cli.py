"""The `recommender` command: exit codes, streams, shapes. What it prints is compared with the library's answers."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from recommender import Recommender, RecommenderError, read_articles
from recommender.answers import StoryThread
from recommender.cli import app
from recommender.pipeline.formats import FORMATS
from recommender.shell import Format

SAMPLE = Path(str(resources.files("recommender") / "sample" / "articles.jsonl"))
GOLD = SAMPLE.with_name("gold.csv")
HERO = "putin-arrives-north-korea"
PROGRAM = [sys.executable, "-c", "from recommender.cli import main; main()"]
HEAVY = (
    *("numpy", "scipy", "sklearn", "faiss", "torch", "sentence_transformers", "selectolax", "rich", "pydantic", "asyncio"),
    *("starlette", "uvicorn", "prometheus_client", "http", "xml"),
    *("trafilatura", "lxml", "feedparser", "defusedxml", "yaml", "markdown_it"),
    *("httpcore2", "ssl"),
)
TEXTS = {
    "a": ("Ferry sinks off Sumatra", "Rescuers search the strait after the ferry Kartika sank off Sumatra with 90 aboard."),
    "b": ("Sumatra ferry: captain held", "Police hold the captain of the ferry Kartika, which sank off Sumatra on Monday."),
    "c": ("Bakers strike in Lyon", "Bakers in Lyon left their ovens cold over the price of flour."),
}


class Done:
    """How a command ended and what it wrote."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n--- stderr\n{self.err}"


def run(*arguments: str | Path | int, stdin: str | None = None, **environment: str) -> Done:
    """The command in this process."""
    environment = {"RECOMMENDER_INDEX": "", "NO_COLOR": "", "COLUMNS": "100"} | environment
    result = CliRunner(env=environment).invoke(app, list(map(str, arguments)), input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Done(result.exit_code, result.stdout, result.stderr)


def spawn(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60, **options)


def rows(*ids: str, **changes: str) -> str:
    return "".join(
        json.dumps({"id": i, "title": TEXTS[i][0], "body": changes.get(i, TEXTS[i][1]), "published": "2025-05-01"}) + "\n"
        for i in ids
    )


def one_error_line(done: Done) -> str:
    assert done.out == ""
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1, done
    return done.err


@pytest.fixture
def copy(newsroom_index: Path, tmp_path: Path) -> Path:
    """An index of the sample newsroom that a test may write to."""
    return Path(shutil.copytree(newsroom_index, tmp_path / "copy"))


@pytest.fixture(scope="module")
def engine(newsroom_index: Path) -> Iterator[Recommender]:
    opened = Recommender.open(newsroom_index)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def longest(engine: Recommender) -> StoryThread:
    return max(engine.threads(), key=lambda thread: thread.size)


@pytest.fixture(scope="module")
def alone(newsroom_index: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """An index, and an article of it that has neither related articles nor a thread: both have been taken away."""
    index = Path(shutil.copytree(newsroom_index, tmp_path_factory.mktemp("alone") / "index"))
    with sqlite3.connect(next(index.glob("store-*.sqlite"))) as db:
        row, article_id = db.execute("SELECT row, id FROM articles WHERE thread IS NULL").fetchone()
        db.execute("DELETE FROM links WHERE row = ?", (row,))
    db.close()
    return index, article_id


def test_build_makes_an_index_that_the_library_opens(tmp_path: Path) -> None:
    """`build` reads stdin, leaves stdout empty and ends stderr with one line of counts and the place."""
    done = run("build", "-", "--format", "jsonl", "--index", tmp_path / "new", stdin=rows("a", "b", "c"))
    assert (done.code, done.out) == (0, "")
    assert re.fullmatch(rf"built {tmp_path}/new: 3 articles, \d+ threads?, \d+\.\d s\n", done.err)
    assert len(Recommender.open(tmp_path / "new")) == 3


def test_one_of_a_kind_is_told_in_the_singular(tmp_path: Path) -> None:
    """One article, in no thread, through build, export and a backup."""
    index, out, file = tmp_path / "new", tmp_path / "out", tmp_path / "a.backup"
    assert ": 1 article, 0 threads, " in run("build", "-", "--format", "jsonl", "--index", index, stdin=rows("a")).err
    assert run("export", out, "--index", index).err.startswith("1 article and 0 threads: ")
    assert run("backup", file, "--index", index).code == 0
    assert run("restore", file, "--index", index).err == f"restored {index}: 1 article, 0 threads\n"


def test_add_says_how_many_were_added_updated_and_unchanged(tmp_path: Path) -> None:
    """Of three rows one is new, one has another body and one is as it was."""
    run("build", "-", "--index", tmp_path / "new", stdin=rows("a", "b"))
    done = run("add", "-", "--index", tmp_path / "new", stdin=rows("a", "b", "c", b="The captain was let go."))
    assert (done.code, done.out, done.err) == (0, "", "added 1, updated 1, unchanged 1\n")


def test_remove_forgets_articles_named_and_articles_on_stdin(copy: Path, longest: StoryThread) -> None:
    """Ids may come as words and, for `-`, one a line; a list does not show them afterwards."""
    one, two, *_ = longest.article_ids
    done = run("remove", one, "-", "--index", copy, stdin=f"{two}\n\n")
    assert (done.code, done.out, done.err) == (0, "", "removed 2\n")
    assert one not in run("related", "--all", "-k", 50, "--index", copy).out
    assert run("related", two, "--index", copy).code == 3


def test_remove_of_an_unknown_id_removes_nothing(copy: Path) -> None:
    """One id that is not there: exit 3, and the other article stays."""
    done = run("remove", HERO, "nobody", "--index", copy)
    assert done.code == 3
    assert "nobody" in one_error_line(done)
    assert run("related", HERO, "--index", copy).code == 0


def test_related_json_is_the_shape_of_the_contract(newsroom_index: Path, engine: Recommender, longest: StoryThread) -> None:
    """One line with exactly the keys of the contract, in items and thread too, and the list of the library."""
    article_id = longest.article_ids[-1]
    done = run("related", article_id, "--json", "--index", newsroom_index)
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    found = json.loads(done.out)
    assert list(found) == ["id", "thread", "items"]
    assert found["thread"] == {"id": longest.id, "label": longest.label, "position": longest.size, "size": longest.size}
    assert [item["id"] for item in found["items"]] == engine.related_ids(article_id)
    for item in found["items"]:
        assert list(item) == ["id", "title", "url", "published", "score", "relation", "thread_id", "reasons"]
        assert 0 <= item["score"] <= 1
        assert item["relation"] in ("duplicate", "same-story", "related")


def test_related_ids_are_one_a_line(newsroom_index: Path, engine: Recommender) -> None:
    """`--ids -k 3` prints what `related_ids(k=3)` returns."""
    done = run("related", HERO, "--ids", "-k", 3, "--index", newsroom_index)
    assert done.out.splitlines() == engine.related_ids(HERO, 3)
    assert (done.code, done.err) == (0, "")


def test_the_profile_reaches_the_engine(newsroom_index: Path, engine: Recommender) -> None:
    """Some article's two lists differ, and each profile prints its own."""
    pure = {found.id: [item.id for item in found.items] for found in engine.all_related(profile="similar")}
    lists = ((found.id, pure[found.id], [item.id for item in found.items]) for found in engine.all_related())
    article_id, similar, sidebar = next(one for one in lists if one[1] != one[2])
    for name, expected in (("similar", similar), ("sidebar", sidebar)):
        assert run("related", str(article_id), "--ids", "--profile", name, "--index", newsroom_index).out.split() == expected


def test_related_for_a_person_shows_thread_score_date_title_and_reasons(
    newsroom_index: Path, engine: Recommender, longest: StoryThread
) -> None:
    """The thread's line stands above the list; every item has its number, score, relation, day, title, id and reasons."""
    article_id = longest.article_ids[0]
    lines = run("related", article_id, "--index", newsroom_index).out.splitlines()
    assert lines[:3] == [engine.article(article_id).title, f"1 of {longest.size} in the thread {longest.id}: {longest.label}", ""]
    for number, item in enumerate(engine.related(article_id), 1):
        head, below = lines[1 + 2 * number : 3 + 2 * number]
        assert head.split() == [f"{number}.", f"{item.score:.2f}", item.relation, str(item.published)[:10], *item.title.split()]
        assert below.split(" · ") == [f"    {item.id}", *item.reasons]


def test_an_empty_list_is_said_on_stderr(alone: tuple[Path, str]) -> None:
    """stdout stays empty, the exit code is 0; JSON has empty items and `--quiet` says nothing."""
    index, article_id = alone
    for form in ([], ["--ids"]):
        done = run("related", article_id, *form, "--index", index)
        assert (done.code, done.out, done.err) == (0, "", f"nothing in {index} is related to '{article_id}'\n")
    assert run("related", article_id, "--quiet", "--index", index).err == ""
    done = run("related", article_id, "--json", "--index", index)
    assert (json.loads(done.out), done.err) == ({"id": article_id, "thread": None, "items": []}, "")


def test_all_prints_every_article_once(newsroom_index: Path, engine: Recommender) -> None:
    """`--all` is JSON Lines with and without `--json`, in the order of the archive; with `--ids` it is id, tab, ids."""
    plain = run("related", "--all", "--index", newsroom_index)
    assert plain.out == run("related", "--all", "--json", "--index", newsroom_index).out
    found = [json.loads(line) for line in plain.out.splitlines()]
    assert [one["id"] for one in found] == [article.id for article in read_articles([SAMPLE])]
    ids = run("related", "--all", "--ids", "--index", newsroom_index).out.splitlines()
    assert ids == [f"{one['id']}\t{' '.join(item['id'] for item in one['items'])}" for one in found]


def test_related_takes_one_thing_at_a_time(newsroom_index: Path) -> None:
    """Nothing to relate, two things, or two forms of output are wrong usage: 2, with the usage on stderr."""
    for words in ([], [HERO, "--all"], [HERO, "--text", "x"], ["--text", "x", "--file", "y"], [HERO, "--json", "--ids"]):
        done = run("related", *words, "--index", newsroom_index)
        assert (done.code, done.out) == (2, ""), words
        assert "Usage: " in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["related", HERO, "-k", "0"], ["related", HERO, "-k", "many"], ["related", HERO, "--profile", "best"], ["build"],
        ["build", "x.jsonl", "--format", "xml"], ["explain", HERO], ["threads", "--min-size", "0"], ["nonsense"],
        ["info", "--nonsense"], ["related", HERO, "extra"], [], ["serve", "--port", "65536"], ["serve", "--workers", "65"],
        ["desk", "--port", "65536"], ["desk", "--port", "0"], ["related", HERO, "-k", "9" * 5000],
    ],
)  # fmt: skip
def test_wrong_usage_is_2(words: list[str]) -> None:
    """Whatever the command cannot understand ends with 2, a hint on stderr and nothing on stdout, or is no command at all."""
    done = run(*words)
    assert done.code == 2, done
    assert "Usage: " in done.err + done.out


def test_a_wrong_choice_is_told_with_the_right_ones() -> None:
    """In plain words: what pydantic calls a wrong value is none of the user's business."""
    said = " ".join(run("related", HERO, "--profile", "best").err.split())
    assert "Invalid value for '--profile': 'best' is not one of 'sidebar', 'similar'" in said


def test_a_draft_is_a_title_line_and_a_body(newsroom_index: Path, tmp_path: Path) -> None:
    """The same draft by --text, by a file and by stdin gives one list, with id null; it finds the story it tells."""
    draft = "Kim sees off Putin at Pyongyang airport\nThe Russian president left North Korea after talks with Kim Jong Un."
    (tmp_path / "draft.txt").write_text(draft, encoding="utf-8")
    by_text = run("related", "--text", draft, "--json", "--index", newsroom_index)
    assert by_text.out == run("related", "--file", tmp_path / "draft.txt", "--json", "--index", newsroom_index).out
    assert by_text.out == run("related", "--file", "-", "--json", "--index", newsroom_index, stdin=draft).out
    found = json.loads(by_text.out)
    assert (found["id"], found["thread"]) == (None, None)
    assert any("Pyongyang" in item["title"] or "North Korea" in item["title"] for item in found["items"])


def test_a_long_first_line_is_no_title() -> None:
    """One line alone, or a first line longer than any headline, is all body."""
    from recommender.commands.reading import TITLE_LIMIT, _draft

    assert (_draft("Short\n\nand a body\n").title, _draft("Short\n\nand a body\n").body) == ("Short", "and a body")
    assert (_draft("Short alone\n").title, _draft("Short alone\n").body) == ("", "Short alone")
    long = "x" * (TITLE_LIMIT + 1)
    assert (_draft(f"{long}\nrest").title, _draft(f"{long}\nrest").body) == ("", f"{long}\nrest")


def test_drafts_that_cannot_be_read_are_1(newsroom_index: Path, tmp_path: Path) -> None:
    """An empty draft, a missing file, a folder and a file that is not UTF-8 are one clear line each."""
    (tmp_path / "latin.txt").write_bytes("Pékin".encode("latin-1"))
    for words in (["--text", " "], ["--file", tmp_path / "none"], ["--file", tmp_path], ["--file", tmp_path / "latin.txt"]):
        done = run("related", *words, "--index", newsroom_index)
        assert done.code == 1
        one_error_line(done)


def test_threads_json_is_the_shape_of_the_contract(newsroom_index: Path, engine: Recommender) -> None:
    """One object a line with exactly the keys of the contract, the one with the latest article first."""
    done = run("threads", "--json", "--min-size", 3, "--index", newsroom_index)
    found = [json.loads(line) for line in done.out.splitlines()]
    keys = ["id", "label", "keywords", "size", "first_published", "last_published", "lead_id", "article_ids"]
    assert all(list(thread) == keys for thread in found)
    assert [thread["id"] for thread in found] == [thread.id for thread in engine.threads() if thread.size >= 3]
    last = [thread["last_published"] for thread in found]
    assert last == sorted(last, reverse=True)
    assert all(
        thread["size"] == len(thread["article_ids"]) >= 3 and thread["lead_id"] in thread["article_ids"] for thread in found
    )


def test_threads_for_a_person_are_a_line_each(newsroom_index: Path, engine: Recommender) -> None:
    """A line begins with the id and the size, and ends with the label; none of a size is said on stderr."""
    lines = run("threads", "--index", newsroom_index).out.splitlines()
    assert len(lines) == len(engine.threads())
    for line, thread in zip(lines, engine.threads(), strict=True):
        assert line.split()[:2] == [thread.id, str(thread.size)]
        assert line.endswith(f"  {thread.label}")
    done = run("threads", "--min-size", 1000, "--index", newsroom_index)
    assert (done.code, done.out) == (0, "")
    assert "1000 articles or more" in done.err


def test_a_thread_is_a_timeline(newsroom_index: Path, engine: Recommender, longest: StoryThread) -> None:
    """Label, keywords, then one line an article, oldest first; as JSON, the object of `threads`."""
    lines = run("thread", longest.id, "--index", newsroom_index).out.splitlines()
    assert lines[0] == longest.label
    assert ", ".join(longest.keywords) in lines[1]
    assert [line[18:].split()[0] for line in lines[3:]] == list(longest.article_ids)
    assert [line[:10] for line in lines[3:]] == [str(engine.article(i).published)[:10] for i in longest.article_ids]
    done = run("thread", longest.id, "--json", "--index", newsroom_index)
    assert json.loads(done.out) == longest.to_json()


def test_a_merged_thread_answers_with_the_one_that_goes_on_and_says_so(copy: Path) -> None:
    """stdout has the timeline, or the object, of the thread that goes on; stderr says that the id was merged into it."""
    one, other, *_ = Recommender.open(copy).threads(min_size=3)
    assert run("rules", "merge", one.id, other.id, "--index", copy).code == 0
    living = {thread.id for thread in Recommender.open(copy).threads()} & {one.id, other.id}
    (heir,), (former,) = living, {one.id, other.id} - living
    for words in ([], ["--json"]):
        told = run("thread", former, *words, "--index", copy)
        assert (told.code, told.out) == (0, run("thread", heir, *words, "--index", copy).out)
        assert told.err == f"thread {former} was merged into {heir}\n"
    logged = [json.loads(line) for line in run("changes", "--json", "--index", copy).out.splitlines()]
    assert [(line["thread_id"], line["other_id"]) for line in logged if line["kind"] == "merged"] == [(former, heir)]


def test_changes_since_any_moment_that_it_tells(copy: Path) -> None:
    """Every `at` can be given back, in any zone; a day is its beginning in UTC; what is no moment is wrong usage."""
    assert run("remove", HERO, "--index", copy).code == 0
    every = run("changes", "--json", "--index", copy).out
    at = [json.loads(line)["at"] for line in every.splitlines()]
    assert at == sorted(at)
    assert run("changes", "--json", "--since", at[0], "--index", copy).out == every
    last = run("changes", "--json", "--since", at[-1], "--index", copy).out.splitlines()
    assert [json.loads(line)["at"] for line in last] == [at[-1]] * at.count(at[-1])
    west = datetime.fromisoformat(at[-1]).astimezone(timezone(timedelta(hours=-8)))
    assert run("changes", "--json", "--since", west.isoformat(), "--index", copy).out.splitlines() == last
    assert run("changes", "--json", "--since", at[-1].replace("+00:00", "Z"), "--index", copy).out.splitlines() == last
    assert run("changes", "--since", at[0][:10], "--index", copy).out.count("\n") == len(at)
    assert run("changes", "--since", "2999-01-01T00:00:00", "--index", copy).out == ""
    for wrong in ("yesterday", "2024-13-01", ""):
        done = run("changes", "--since", wrong, "--index", copy)
        assert (done.code, done.out) == (2, "")


def test_an_article_given_as_thread_is_3_with_a_hint(alone: tuple[Path, str], longest: StoryThread) -> None:
    """Its own thread is named, or that it has none; an id that is nothing at all is 3 too."""
    index, lonely = alone
    for given, hint in ((longest.article_ids[0], longest.id), (lonely, "stands alone"), ("tnone", "recommender threads")):
        done = run("thread", given, "--index", index)
        assert done.code == 3
        assert hint in one_error_line(done)


def test_unknown_articles_are_3(newsroom_index: Path) -> None:
    """`related` and `explain` name the id that is not there."""
    for words in (["related", "nobody"], ["explain", HERO, "nobody"], ["explain", "nobody", HERO]):
        done = run(*words, "--index", newsroom_index)
        assert done.code == 3
        assert "'nobody'" in one_error_line(done)


def test_explain_json_is_the_shape_of_the_contract(newsroom_index: Path) -> None:
    """ids, score, relation, reasons and evidence: named numbers, or null."""
    done = run("explain", HERO, "kremlin-leader-lands-pyongyang", "--json", "--index", newsroom_index)
    known = json.loads(done.out)
    assert list(known) == ["ids", "score", "relation", "reasons", "evidence"]
    assert known["ids"] == [HERO, "kremlin-leader-lands-pyongyang"]
    assert all(value is None or isinstance(value, int | float) for value in known["evidence"].values())
    text = run("explain", HERO, "kremlin-leader-lands-pyongyang", "--index", newsroom_index).out
    assert f"score     {known['score']:.4f}\n" in text
    assert all(name in text for name in known["evidence"])


def test_info_tells_counts_model_sizes_and_versions(newsroom_index: Path, engine: Recommender) -> None:
    """JSON is what the library tells; a person gets the same names in two columns."""
    assert json.loads(run("info", "--json", "--index", newsroom_index).out) == engine.info()
    text = run("info", "--index", newsroom_index).out
    assert re.search(rf"^articles +{len(engine)}$", text, re.MULTILINE)
    assert re.search(r"^bytes +\d+\.\d MB$", text, re.MULTILINE)
    assert re.search(r"^evergreen +none$", text, re.MULTILINE)


def test_info_names_the_sections_that_do_not_age(tmp_path: Path) -> None:
    """They stand one beside the other, without brackets and quotes."""
    given = ("--evergreen", "Recipes", "--evergreen", "How to")
    assert run("build", "-", "--format", "jsonl", "--index", tmp_path / "new", *given, stdin=rows("a", "b", "c")).code == 0
    assert re.search(r"^evergreen +Recipes, How to$", run("info", "--index", tmp_path / "new").out, re.MULTILINE)


def test_a_section_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A name that is misspelt would be kept and do nothing; it stays, since articles of that section may yet come."""
    given = ("--evergreen", "Recipes", "--evergreen", "Receipts")
    cake = json.dumps({"id": "cake", "title": "Honey cake", "section": "Recipes"}) + "\n"
    done = run("build", "-", "--format", "jsonl", "--index", tmp_path / "new", *given, stdin=rows("a", "b") + cake)
    assert done.code == 0
    assert [line for line in done.err.splitlines() if "evergreen" in line] == [
        "--evergreen Receipts: no article is in a section of that name"
    ]


def test_a_thread_of_one_day_has_one_day(newsroom_index: Path, engine: Recommender) -> None:
    """The table says a day twice of no thread, and labels stand in one column all the same."""
    lines = run("threads", "--index", newsroom_index).out.splitlines()
    told = [re.match(r"\S+ +\d+  (\S+)( – (\S+))? +", line) for line in lines]
    assert all(found and found[1] != found[3] for found in told)
    assert {len(found[0]) for found in told if found} == {max(len(found[0]) for found in told if found)}
    single = [thread for thread in engine.threads() if str(thread.first_published)[:10] == str(thread.last_published)[:10]]
    assert single
    assert sum(found is not None and found[2] is None for found in told) == len(single)


@pytest.mark.parametrize(
    "words",
    [["related", "x"], ["related", "--all"], ["related", "--text", "x"], ["threads"], ["thread", "x"], ["explain", "x", "y"],
     ["info"], ["add", "-"], ["remove", "x"]],
)  # fmt: skip
def test_a_missing_index_is_4(words: list[str], tmp_path: Path) -> None:
    """Every command but build says how to make one, and makes no folder."""
    done = run(*words, "--index", tmp_path / "none", stdin="")
    assert done.code == 4
    assert "recommender build" in one_error_line(done)
    assert not (tmp_path / "none").exists()


def test_a_file_in_place_of_an_index_is_4(tmp_path: Path) -> None:
    """Somebody names the articles, or the store, where the folder is asked for."""
    file = tmp_path / "articles.jsonl"
    file.write_text(rows("a"))
    for words in (["info"], ["related", "a"], ["check"], ["backup", tmp_path / "b"]):
        done = run(*words, "--index", file)
        assert (done.code, one_error_line(done)) == (4, f"error: index {file}: it is a file; name the folder of an index\n")


def test_a_damaged_index_or_one_of_another_format_is_4(copy: Path) -> None:
    """A manifest of another version, one that is no JSON, and a store of rubbish."""
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    done = run("related", HERO, "--index", copy)
    assert (done.code, "format 99" in one_error_line(done)) == (4, True)
    (copy / "manifest.json").write_text("{")
    assert run("related", HERO, "--index", copy).code == 4
    (copy / "manifest.json").write_text(json.dumps(manifest))
    (copy / manifest["store"]).write_bytes(b"rubbish" * 4096)
    assert run("related", HERO, "--index", copy).code == 4


def test_the_variable_names_the_index_and_the_option_overrules_it(newsroom_index: Path, tmp_path: Path) -> None:
    """RECOMMENDER_INDEX stands in for --index, and gives way to it."""
    assert run("related", HERO, "--ids", RECOMMENDER_INDEX=str(newsroom_index)).code == 0
    assert run("related", HERO, "--ids", "--index", newsroom_index, RECOMMENDER_INDEX=str(tmp_path / "none")).code == 0
    assert run("related", HERO, RECOMMENDER_INDEX=str(tmp_path / "none")).code == 4


def test_the_default_index_is_in_artifacts(newsroom_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without option and variable it is artifacts/index below the working directory."""
    monkeypatch.chdir(tmp_path)
    assert "artifacts/index" in run("info").err
    shutil.copytree(newsroom_index, tmp_path / "artifacts" / "index")
    assert run("info").code == 0


def test_bad_rows_are_1_and_change_nothing(copy: Path) -> None:
    """The error names line and total; with --skip-invalid the others come in and the notice says how many did not."""
    given = rows("a") + '{"id": "z"}\n' + rows("b")
    done = run("add", "-", "--index", copy, stdin=given)
    assert done.code == 1
    assert done.err.startswith("error: 1 row is not valid; nothing was changed; mend it or go on without it with")
    assert "stdin, line 2, id 'z'" in done.err
    assert run("related", "a", "--index", copy).code == 3
    done = run("add", "-", "--skip-invalid", "--index", copy, stdin=given)
    assert done.code == 0
    assert re.search(r"^1 invalid row left out", done.err)
    assert done.err.endswith("added 2, updated 0, unchanged 0\n")


def test_sources_that_cannot_be_read_are_1(tmp_path: Path) -> None:
    """A missing file and an empty stdin: one line each, and no index."""
    for words, stdin in ((["build", tmp_path / "none.jsonl"], ""), (["build", "-"], "")):
        done = run(*words, "--index", tmp_path / "new", stdin=stdin)
        assert done.code == 1
        one_error_line(done)
        assert run("info", "--index", tmp_path / "new").code == 4


def test_quiet_says_nothing_but_errors(tmp_path: Path) -> None:
    """Neither the summary nor a notice; an error still."""
    given = rows("a", "b", "c") + '{"id": "z"}\n'
    done = run("build", "-", "--skip-invalid", "--quiet", "--index", tmp_path / "new", stdin=given)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert run("related", "nobody", "--quiet", "--index", tmp_path / "new").err.startswith("error: ")


def test_an_unexpected_error_is_one_line_and_1(newsroom_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is told by its type and text; --debug shows the traceback before it."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug\nof ours")

    monkeypatch.setattr(Recommender, "related_list", fail)
    done = run("related", HERO, "--index", newsroom_index)
    assert done.code == 1
    assert (
        one_error_line(done) == "error: unexpected ZeroDivisionError: a bug of ours; the same command with --debug shows where\n"
    )
    debugged = run("related", HERO, "--debug", "--index", newsroom_index)
    assert debugged.code == 1
    assert "Traceback" in debugged.err
    assert debugged.err.endswith(done.err)


def test_a_traceback_of_an_expected_error_needs_debug(tmp_path: Path) -> None:
    """Exit code and message are the same with and without."""
    plain, debugged = (run("info", "--index", tmp_path, *more) for more in ([], ["--debug"]))
    assert "Traceback" not in plain.err
    assert "Traceback" in debugged.err
    assert debugged.err.endswith(plain.err)
    assert plain.code == debugged.code == 4


def test_an_error_of_the_system_names_the_file(tmp_path: Path) -> None:
    """A file stands where the index folder should be made."""
    (tmp_path / "file").write_text("")
    done = run("build", "-", "--index", tmp_path / "file" / "index", stdin=rows("a"))
    assert done.code == 1
    assert str(tmp_path / "file") in one_error_line(done)


def test_every_error_of_ours_ends_with_its_own_code(newsroom_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes the code from the error and has no table of its own."""

    class OddError(RecommenderError):
        exit_code = 77

    def fail(*_: object, **__: object) -> None:
        raise OddError("odd")

    monkeypatch.setattr(Recommender, "info", fail)
    done = run("info", "--index", newsroom_index)
    assert (done.code, done.err) == (77, "error: odd\n")


def test_evaluate_prints_a_table_and_ends_with_the_gain(newsroom_index: Path, engine: Recommender) -> None:
    """A line a measure with four columns, the counts, and one sentence on stdout; the form of the file on stderr."""
    found = engine.evaluate(GOLD, resamples=20)
    done = run("evaluate", GOLD, "--resamples", 20, "--index", newsroom_index)
    assert (done.code, done.err) == (0, f"{GOLD}: story labels: 290 articles, 56 stories of two or more\n")
    head, *lines = done.out.splitlines()
    assert head.split() == ["engine", "latest", "tfidf", "random"]
    assert [line.split("  ")[0] for line in lines[:6]] == [
        "nDCG@5", "P@1", "B-cubed F1", "B-cubed precision", "B-cubed recall", "pairwise F1",
    ]  # fmt: skip
    ndcg = found.measures["ndcg@5"]["engine"]
    assert ndcg is not None
    shown = [f"{number:.3f}"[1:] for number in (ndcg.value, ndcg.low, ndcg.high)]
    assert lines[0].split()[1:3] == [shown[0], f"({shown[1]}–{shown[2]})"]
    assert re.split("  +", lines[2])[2] == "–"  # the latest list has no threads
    assert lines[6:8] == ["", "articles 290, unknown articles 0, articles with a mate 239, resamples 20"]
    assert lines[8:] == [found.gain]


def test_evaluate_json_is_one_object(newsroom_index: Path, engine: Recommender) -> None:
    """What the library returns, from a file and from stdin; `--quiet` leaves stderr empty."""
    expected = engine.evaluate(GOLD, resamples=20).to_json()
    for words, stdin in (([GOLD], None), (["-"], GOLD.read_text(encoding="utf-8"))):
        done = run("evaluate", *words, "--json", "--quiet", "--resamples", 20, "--index", newsroom_index, stdin=stdin)
        assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
        assert json.loads(done.out) == expected
    assert list(expected) == [
        *("gold", "articles", "unknown_articles", "articles_with_a_mate", "resamples", "measures", "gain"),
    ]  # fmt: skip
    assert list(expected["measures"]["p@1"]["engine"]) == ["value", "low", "high"]


def test_evaluate_of_judged_pairs(newsroom_index: Path, newsroom_truth: dict[str, Any], tmp_path: Path) -> None:
    """The editor's grades as JSON Lines: recognised, measured, and an AUC above .9."""
    pairs = {
        frozenset((one, other)): grade for one, grades in newsroom_truth["related"].items() for other, grade in grades.items()
    }
    pairs[frozenset((HERO, "who-tb-steps"))] = 0
    lines = [json.dumps({"one": min(pair), "other": max(pair), "grade": grade}) for pair, grade in pairs.items()]
    (tmp_path / "gold.jsonl").write_text("\n".join(lines), encoding="utf-8")
    done = run("evaluate", tmp_path / "gold.jsonl", "--json", "--resamples", 20, "--index", newsroom_index)
    assert f"judged pairs: {len(pairs)} pairs of " in done.err
    found = json.loads(done.out)
    assert (found["gold"], found["pairs"]) == ("judged-pairs", len(pairs))
    assert found["measures"]["auc_related"]["engine"]["value"] > 0.9
    table = run("evaluate", tmp_path / "gold.jsonl", "--resamples", 20, "--index", newsroom_index).out
    assert [line.split("  ")[0] for line in table.splitlines()[1:5]] == ["nDCG@5", "P@1", "AUC related", "AUC same story"]


def test_evaluate_of_graded_lists(newsroom_index: Path, newsroom_truth: dict[str, Any], tmp_path: Path) -> None:
    """The editor's grades as a table without a header: eight lines of four systems, and one line for a grade of 4."""
    related = {query: of for query, of in newsroom_truth["related"].items() if of}
    lines = [f"{query}\t{candidate}\t{grade}" for query, of in related.items() for candidate, grade in of.items()]
    (tmp_path / "gold.tsv").write_text("\n".join([*lines, f"{HERO}\tnobody\t2"]), encoding="utf-8")
    words = ("evaluate", tmp_path / "gold.tsv", "--resamples", 20, "--index", newsroom_index)
    done = run(*words)
    read, missing = done.err.splitlines()
    assert f"gold.tsv: graded lists: {len(lines) + 1} judgments of {len(related)} queries (" in read
    assert missing.startswith("1 of its ")
    head, *table = done.out.splitlines()
    assert head.split() == ["sidebar", "similar", "latest", "tfidf"]
    assert [re.split("  +", line)[0] for line in table[:9]] == [
        "belongs", "filled", "gain", "nDCG@5", "empty", "unjudged", "shown", "ECE of the score", "",
    ]  # fmt: skip
    assert table[9] == f"queries {len(related)}, judgments {len(lines)}, unknown articles 1, resamples 20"
    assert table[10].startswith("The gain of the sidebar is .")
    found = json.loads(run(*words, "--json", "--quiet").out)
    assert (found["gold"], found["gain"], len(found["reliability"])) == ("graded-lists", table[10], 10)
    (tmp_path / "gold.tsv").write_text("\n".join([*lines, f"{HERO}\twho-tb-steps\t4"]), encoding="utf-8")
    assert f"gold.tsv, line {len(lines) + 1}: its grade is '4'; give 0 (" in one_error_line(run(*words))


def test_evaluate_refuses_what_is_no_truth_of_this_index(newsroom_index: Path, tmp_path: Path) -> None:
    """A bad row, a file that is not there, and ids that are all unknown end with 1 and one line."""
    for text, said in (("id,story\n,s\n", "gold.csv, line 2: it has no id"), ("id,story\nx,s\n", "is in this index")):
        (tmp_path / "gold.csv").write_text(text, encoding="utf-8")
        done = run("evaluate", tmp_path / "gold.csv", "--quiet", "--index", newsroom_index)
        assert done.code == 1
        assert said in one_error_line(done)
    assert "no such file" in one_error_line(run("evaluate", tmp_path / "none.csv", "--index", newsroom_index))
    assert run("evaluate", GOLD, "--index", tmp_path).code == 4
    assert run("evaluate", GOLD, "--resamples", 0).code == 2


def test_articles_cannot_command_the_terminal(tmp_path: Path) -> None:
    """Characters that colour, move or turn the text are not printed for a person, in titles or ids; JSON keeps the id."""
    evil = "e\u202e\x9b31m"
    row = json.dumps({"id": evil, "title": "Bad \x1b]0;owned\x07 news", "body": TEXTS["a"][1], "published": "2025-05-01"})
    run("build", "-", "--index", tmp_path / "new", stdin=rows("a", "b", "c") + row + "\n")
    done = run("explain", evil, "a", "--index", tmp_path / "new")
    assert "owned" in done.out
    assert not re.search("[\x1b\x07\x9b\u202e]", done.out)
    assert json.loads(run("explain", evil, "a", "--json", "--index", tmp_path / "new").out)["ids"] == [evil, "a"]


def test_help_has_examples_for_every_command() -> None:
    """The program and each command end their help with examples of themselves."""
    top = run("--help")
    assert (top.code, top.err) == (0, "")
    names = re.findall(r"^  (\w+)  ", top.out.split("Commands:")[1].split("Examples:")[0], re.MULTILINE)
    assert names[:10] == ["build", "add", "sync", "remove", "related", "threads", "thread", "changes", "rebuild", "compare"]
    assert names[10:14] == ["explain", "evaluate", "tune", "info"]
    assert names[14:19] == ["check", "compact", "backup", "restore", "repair"]
    assert names[19:] == ["serve", "export", "desk", "demo", "rules"]
    within = re.findall(r"^  (\w+)  ", run("rules", "--help").out.split("Commands:")[1].split("Examples:")[0], re.MULTILINE)
    assert within == ["list", "pin", "never", "merge", "split", "rename", "lock", "drop", "export", "import"]
    for name in within:
        shown = run("rules", name, "--help").out
        assert f"recommender rules {name}" in shown.split("Examples:")[1]
        assert ("--index" in shown, "--quiet" in shown, "--debug" in shown) == (True, True, True)
    for name in names[:-1]:
        shown = run(name, "--help").out
        assert f"recommender {name}" in shown.split("Examples:")[1]
        assert ("--index" in shown, "--quiet" in shown, "--debug" in shown) == (True, True, True)


def test_formats_are_those_that_can_be_read() -> None:
    """--format takes every name that the reader knows, and no other."""
    assert set(get_args(Format)) == set(FORMATS)


def test_related_imports_nothing_heavy(newsroom_index: Path) -> None:
    """The read path needs SQLite alone: a fresh process has loaded no model, no FAISS, no numpy, and not even rich."""
    code = f"""
import sys
from recommender.cli import app
try:
    app(["related", {HERO!r}, "-k", "4", "--profile", "sidebar", *sys.argv[1:], "--index", {str(newsroom_index)!r}])
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    for form in ([], ["--json"], ["--ids"]):
        done = subprocess.run([sys.executable, "-c", code, *form], capture_output=True, text=True, check=True)
        assert done.stderr == "[]\n"
        assert done.stdout


def test_a_reader_that_goes_away_is_no_error(newsroom_index: Path) -> None:
    """`| head` ends the command in silence, with the code that a shell gives for SIGPIPE."""
    command = [*PROGRAM, "related", "--all", "-k", "50", "--index", str(newsroom_index)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


@pytest.mark.parametrize(
    ("sent", "said", "code"), [(signal.SIGINT, b"interrupted\n", 130), (signal.SIGTERM, b"terminated\n", 143)]
)
def test_a_build_that_is_stopped_is_one_line(sent: signal.Signals, said: bytes, code: int, tmp_path: Path) -> None:
    """A build that Ctrl-C or TERM ends says so, ends with the code of the signal, and leaves no index and no file of a store."""
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from recommender.cli import main; main()"
    command = [sys.executable, "-c", heeding, "build", "-", "--index", str(tmp_path / "new")]  # behind `&` a shell ignores SIGINT
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(rows("a").encode())
        process.stdin.flush()
        _wait_for(lambda: any((tmp_path / "new").glob("store-*")))
        process.send_signal(sent)
        assert process.stderr.read() == said
        assert process.wait(30) == code
    assert not list((tmp_path / "new").glob("store-*"))
    assert run("info", "--index", tmp_path / "new").code == 4


def test_output_survives_a_terminal_without_the_letters(newsroom_index: Path) -> None:
    """An ASCII stdout gets question marks in text, and escapes in JSON that mean the same."""
    some = "carney-snap-election"  # its title has a typographic apostrophe
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    words = ["explain", some, HERO, "--index", str(newsroom_index)]
    assert "Trump?s" in spawn(*words, env=ascii_only).stdout
    given = spawn("related", "--all", "--json", "--index", newsroom_index, env=ascii_only)
    assert given.stdout.isascii()
    full = run("related", "--all", "--json", "--index", newsroom_index).out
    assert [json.loads(line) for line in given.stdout.splitlines()] == [json.loads(line) for line in full.splitlines()]


def test_colour_needs_a_terminal_and_no_objection(newsroom_index: Path, longest: StoryThread) -> None:
    """Escapes appear on a terminal, and neither with NO_COLOR nor in a pipe."""
    words = ["related", longest.article_ids[0], "--index", str(newsroom_index)]
    assert "\x1b[" in _on_terminal(words, {})
    assert "\x1b[" not in _on_terminal(words, {"NO_COLOR": "1"})
    assert "\x1b[" not in spawn(*words).stdout


@pytest.mark.slow
def test_progress_is_for_terminals_that_are_not_quiet(tmp_path: Path) -> None:
    """A bar is drawn where stderr is a terminal, none with --quiet, and the summary is the last line."""
    (tmp_path / "in.jsonl").write_text(rows("a", "b", "c"), encoding="utf-8")
    words = ["build", str(tmp_path / "in.jsonl"), "--index", str(tmp_path / "new")]
    shown = _on_terminal(words, {})
    assert "━" in shown or "comparing" in shown
    assert "3 articles" in shown.strip().splitlines()[-1]
    assert _on_terminal([*words, "--quiet"], {}) == ""


def _wait_for(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline, "it took longer than 30 s"
        time.sleep(0.02)


def _on_terminal(words: list[str], environment: dict[str, str]) -> str:
    """What the command writes to a terminal, stdout and stderr alike."""
    ours, theirs = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    with subprocess.Popen(
        [*PROGRAM, *words], stdout=theirs, stderr=theirs, env=plain | {"TERM": "xterm", "COLUMNS": "100"} | environment
    ) as process:
        os.close(theirs)
        chunks = []
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux: the other side has gone
                break
            if not chunk:
                break
            chunks.append(chunk)
        os.close(ours)
        assert process.wait(60) == 0
    return b"".join(chunks).decode()
