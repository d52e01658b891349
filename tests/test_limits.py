"""Articles, ids, dates and clocks at the edges of what there can be: each is taken as it is, or refused in one clear line."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recommender import Article, Recommender
from recommender.cli import app
from recommender.errors import InvalidArticleError
from recommender.pipeline.content import BoilerplateCounter, Content, content_of, plain_text, plain_title
from recommender.pipeline.counting import count_terms
from recommender.pipeline.rules import Rule
from recommender.pipeline.terms import Vocabulary
from recommender.storage.store import Store
from recommender.writing import following
from recommender.writing.records import articles_of
from tests.archives import FIRST_DAY, newspaper, report, word

NEWSPAPER = newspaper(2, 3, 1)
STORIES = [["s00a0", "s00a1", "s00a2"], ["s01a0", "s01a1", "s01a2"]]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def threads_of(engine: Recommender) -> list[list[str]]:
    return sorted(sorted(thread.article_ids) for thread in engine.threads())


def sound(engine: Recommender, articles: list[Article]) -> None:
    """Nothing is amiss, and every article reads back as it was given."""
    assert engine.check() == []
    store = Store.open(engine._index.folder)
    assert sorted(articles_of(store), key=lambda a: a.id) == sorted(articles, key=lambda a: a.id)
    store.close()


def run(engine: Recommender, *words: str, stdin: str | None = None) -> Result:
    return CliRunner(env={"RECOMMENDER_INDEX": str(engine._index.folder)}).invoke(app, list(words), input=stdin)


# How long


def cleaned(body: str) -> None:
    """Step 2 for one article of an archive."""
    counter = BoilerplateCounter()
    counter.add(plain_text(body))
    content_of(Article(id="a", body=body), counter.find())


@pytest.mark.parametrize(
    "unit", ["<b x=1", "<b x = ", "<b x='1' y='", "Abcd. Efgh ijk lmn. ", "abcd. Efgh", "&lt;b&gt;", "READ MORE - ", "(a b c) "]
)
def test_no_text_is_slow_to_clean(unit: str) -> None:
    """A million characters of what looks like the beginning of a tag, or like the end of a sentence, take under four seconds.

    Where each of them is looked at to the end of the text they take minutes.
    """
    assert seconds(lambda: cleaned(unit * (1_000_000 // len(unit)))) < 4


def test_no_word_is_slow_to_read() -> None:
    """A word of 20,000 characters, half of them hyphens, takes under a second."""
    content = Content(title="", lead="", text="A-" * 10_000)
    assert seconds(lambda: count_terms([content], Vocabulary(), learn=True)) < 1


@pytest.mark.slow
def test_an_article_of_ten_megabytes_is_an_article(tmp_path: Path) -> None:
    """Of 1.2 million words on one line; it reads back, is updated, found by what it shares, and disturbs no story."""
    rng = random.Random(1)
    words = [word(rng) for _ in range(5_000)]
    body = ". ".join(" ".join(rng.choices(words, k=8)).capitalize() for _ in range(96_000))
    assert len(body) > 10_000_000
    articles = [*NEWSPAPER, Article(id="huge", title="Everything", body=body)]
    engine = Recommender.build(articles, tmp_path / "index")
    sound(engine, articles)
    articles[-1] = replace(articles[-1], title="Everything, again")
    engine.add(articles)
    sound(engine, articles)
    assert threads_of(engine) == STORIES
    assert engine.article("huge").title == "Everything, again"


@pytest.mark.slow
def test_a_word_of_ten_megabytes_is_a_word(tmp_path: Path) -> None:
    """It reads back, and of two articles that hold nothing else each is a copy of the other."""
    articles = [*NEWSPAPER, *(Article(id=one, body="a" * 10_000_000) for one in ("one", "two"))]
    engine = Recommender.build(articles, tmp_path / "index")
    sound(engine, articles)
    assert [item.relation for item in engine.related("one", profile="similar")] == ["duplicate"]
    assert engine.related("one") == []
    assert STORIES[0] in threads_of(engine)


def test_what_a_reader_sees_is_short(tmp_path: Path) -> None:
    """However long the words of the articles, no keyword or reason is longer than a line."""
    texts = ["x" * 100_000 + " harbour", "x" * 100_000 + " harbour ferry"]
    articles = [*NEWSPAPER, *(Article(id=f"long{n}", title="Harbour", body=text) for n, text in enumerate(texts))]
    engine = Recommender.build(articles, tmp_path / "index")
    items = engine.related("long0", profile="similar")
    assert [item.id for item in items] == ["long1"]
    shown = [*items[0].reasons, *(keyword for thread in engine.threads() for keyword in thread.keywords)]
    assert max(map(len, shown)) < 100


# How many of one


def copies(number: int) -> list[Article]:
    return [replace(report("x", "story", 1), id=f"copy{n}", url=None) for n in range(number)]


@pytest.mark.slow
def test_thousands_of_copies_are_read_in_seconds(tmp_path: Path) -> None:
    """1,500 articles of one text take under thirty seconds (4 on two cores), and less to check; none is shown beside another."""
    articles = copies(1_500)
    build = seconds(lambda: Recommender.build(articles, tmp_path / "index").close())
    assert build < 30
    engine = Recommender.open(tmp_path / "index")
    sound(engine, articles)
    assert seconds(engine.check) < build
    assert all(one.items == () for one in engine.all_related())
    assert {len(one.items) for one in engine.all_related(50, profile="similar")} == {20}


def test_copies_are_one_thread_up_to_some_hundreds(tmp_path: Path) -> None:
    """Three hundred articles of one text are one thread. Of five hundred, a few stand alone: each looks at the nearest sixty,
    and equals are near alike. None is in another thread, or shown beside another."""
    assert [len(group) for group in threads_of(Recommender.build(copies(300), tmp_path / "fewer"))] == [300]
    more = Recommender.build(copies(500), tmp_path / "more")
    (group,) = threads_of(more)
    assert len(group) >= 400
    assert all(one.items == () for one in more.all_related())


# Ids

ODD_IDS = [
    "a b", "/2024/06/../x?y=1&z#top", "\U0001f525", "\"'`$(x)\\", "i" * 10_000, "--help", "--", "-k", "*", "%s", "0", "#1",
    "a,b", "a;b", "t0123456789", "S00A0", "e\u0301", "\u0645\u0642\u0627\u0644", "a\u2028b", "a\x85b", "\u202ex", "null", "pin",
]  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of an article for each odd id, three to a story, and a newspaper."""
    folder = tmp_path_factory.mktemp("odd") / "index"
    articles = [replace(report(f"s07a{n}", f"story {7 + n // 3}", n % 3), id=one) for n, one in enumerate(ODD_IDS)]
    engine = Recommender.build([*NEWSPAPER, *articles], folder)
    sound(engine, [*NEWSPAPER, *articles])
    engine.close()
    return folder


@pytest.mark.parametrize("odd_id", ODD_IDS, ids=ascii)
def test_any_id_is_an_id(odd: Path, odd_id: str) -> None:
    """In the library, in every answer of the command line behind `--`, and in a file of rules."""
    engine = Recommender.open(odd)
    assert odd_id in engine
    assert {odd_id} < {one for thread in engine.threads() if thread == engine.thread_of(odd_id) for one in thread.article_ids}
    answer = run(engine, "related", "--json", "--", odd_id)
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout)["id"] == odd_id
    assert run(engine, "related", "--ids", "--", odd_id).stdout == "".join(f"{one}\n" for one in engine.related_ids(odd_id))
    assert json.loads(run(engine, "explain", "--json", "--", odd_id, "s00a0").stdout)["ids"] == [odd_id, "s00a0"]
    kept = engine.add_rule(Rule(kind="pin", articles=("x0", odd_id)))
    assert engine.related_ids("x0") == [odd_id]
    assert run(engine, "rules", "export").stdout == engine.export_rules()
    assert engine.import_rules(engine.export_rules(), replace=True) == [kept]
    engine.drop_rule(kept.number)
    engine.close()


def test_an_id_goes_the_way_it_came(odd: Path, tmp_path: Path) -> None:
    """Every odd id that a file can carry is removed by its line on stdin."""
    Recommender.open(odd).backup(tmp_path / "file")
    engine = Recommender.restore(tmp_path / "file", tmp_path / "index")
    done = run(engine, "remove", "-", stdin="".join(f"{one}\r\n" for one in ODD_IDS))
    assert done.exit_code == 0, done.stderr
    assert len(engine) == len(NEWSPAPER)
    assert threads_of(engine) == STORIES


# Headlines

TITLES = {
    "json": ('{"a": [1, "x"]}', '{"a": [1, "x"]}'),
    "sql": ("'; DROP TABLE articles; --", "'; DROP TABLE articles; --"),
    "html": ("<b>Bold</b> &amp; <script>alert(1)</script>plain", "Bold & plain"),
    "right to left": ("\u0634\u0631\u06a9\u062a \u0645\u0644\u06cc", "\u0634\u0631\u06a9\u062a \u0645\u0644\u06cc"),
    "override": ("\u202egnp.exe", "gnp.exe"),
    "nul": ("a\x00b", "ab"),
    "entity": ("&#0;&#x110000;", "\ufffd\ufffd"),
    "format": ("%s {0} \\n", "%s {0} \\n"),
    "lines": ("a\u2028b\x85c\r\nd", "a b c d"),
    "escape": ("\x1b[31mred\x07", "[31mred"),
    "long": ("so " * 10_000, " ".join(["so"] * 10_000)),
    "none": ("\u200b\ufeff", ""),
    "blank": ("   ", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", TITLES)
def test_any_headline_is_a_headline(name: str, tmp_path: Path) -> None:
    """Over every article it is shown as plain text, labels the threads, and the stories are what they were."""
    given, shown = TITLES[name]
    articles = [replace(one, title=given) for one in NEWSPAPER]
    engine = Recommender.build(articles, tmp_path / "index")
    sound(engine, articles)
    assert threads_of(engine) == STORIES
    assert {engine.article(one.id).title for one in articles} == {shown}
    for thread in engine.threads():
        assert thread.label.rstrip("…").rstrip() in shown or not shown
        assert 0 < len(thread.label) <= 80
    answer = run(engine, "threads")
    assert len(answer.stdout.splitlines()) == len(STORIES)
    assert not {"\x00", "\x1b", "\x07", "\u202e"} & set(answer.stdout)


@pytest.mark.parametrize("nothing", ["\u200b", "<br>", "&nbsp;", "<!-- so -->"])
def test_an_article_that_says_nothing_stands_alone(nothing: str, tmp_path: Path) -> None:
    """It is in no list, not even of another that says nothing."""
    silent = [Article(id=f"n{number}", title=nothing, published=FIRST_DAY) for number in range(3)]
    engine = Recommender.build([*NEWSPAPER, *silent], tmp_path / "index")
    sound(engine, [*NEWSPAPER, *silent])
    assert threads_of(engine) == STORIES
    for one in engine.all_related(50, profile="similar"):
        assert not {item.id for item in one.items} & {"n0", "n1", "n2"}


@pytest.mark.parametrize("title", ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\U0001f468\u200d\U0001f469"])
def test_a_joiner_stays_in_a_headline(title: str) -> None:
    """Persian is misspelled without its non-joiner, and a couple of one picture is two pictures."""
    assert plain_title(title) == title


# Dates


@pytest.mark.parametrize("year", [1, 1600, 1969, 2200, 9999])
def test_any_year_is_a_year(year: int, tmp_path: Path) -> None:
    """A newspaper of that year has the stories of one of 2024, and its last articles are its latest."""
    begin = datetime(year, 6, 1, 9, tzinfo=timezone(timedelta(hours=-5)))
    articles = [replace(one, published=begin + (one.published - FIRST_DAY)) for one in NEWSPAPER if one.published]
    engine = Recommender.build(articles, tmp_path / "index")
    sound(engine, articles)
    assert threads_of(engine) == STORIES
    assert all(list(thread.article_ids) in STORIES for thread in engine.threads())
    assert {item.id for item in engine.latest(None, 2)} == {"s00a2", "s01a2"}
    assert engine.info()["first_published"] == f"{year:04}-06-01T14:00:00+00:00"


def test_years_far_apart_are_no_story(tmp_path: Path) -> None:
    """The same stories told once in two thousand years each are told anew: every order of time holds."""
    years = [1, 1600, 1969, 2024, 2200, 9999]
    articles = [replace(one, published=datetime(year, 1, 2, tzinfo=UTC)) for one, year in zip(NEWSPAPER, years, strict=False)]
    engine = Recommender.build(articles, tmp_path / "index")
    sound(engine, articles)
    assert threads_of(engine) == []
    assert [item.id for item in engine.latest(None, 9)] == [one.id for one in reversed(articles)]


@pytest.mark.parametrize("field", ["published", "updated"])
@pytest.mark.parametrize(("year", "hours"), [(1, 14), (9999, -12)])
def test_a_moment_outside_the_calendar_is_refused(field: str, year: int, hours: int) -> None:
    """New Year of the year 1 in Kiribati was still the year 0 in UTC, which no date can say."""
    moment = datetime(year, 1, 1, tzinfo=timezone(timedelta(hours=hours)))
    if year == 9999:
        moment = moment.replace(month=12, day=31, hour=23)
    with pytest.raises(InvalidArticleError, match=f"{field} .* is outside the years 1 to 9999 in UTC"):
        Article(id="a", title="so", **{field: moment})  # type: ignore[arg-type]


@pytest.mark.parametrize("year", [1, 2024, 2160, 9999])
def test_moments_a_millionth_of_a_second_apart_are_no_damage(year: int, tmp_path: Path) -> None:
    """Twenty reports of a story, in the other order: the thread has all, and `check` finds its order right."""
    noon = datetime(year, 6, 1, 12, tzinfo=UTC)
    burst = [replace(report(f"s00a{n}", "story 0", 0), published=noon + timedelta(microseconds=20 - n)) for n in range(20)]
    others = [replace(one, published=noon) for one in newspaper(9, 3, 9) if not one.id.startswith("s00")]
    engine = Recommender.build([*burst, *others], tmp_path / "index")
    sound(engine, [*burst, *others])
    found = engine.thread_of("s00a0")
    assert found is not None
    assert found.size == 20


@pytest.mark.parametrize("moment", [FIRST_DAY, None])
def test_one_date_for_all_is_as_none(moment: datetime | None, tmp_path: Path) -> None:
    """Where time tells nothing the words do: the stories are found, in the order they came in."""
    articles = [replace(one, published=moment) for one in NEWSPAPER]
    engine = Recommender.build(articles, tmp_path / "index")
    sound(engine, articles)
    assert threads_of(engine) == STORIES
    assert all(list(thread.article_ids) in STORIES for thread in engine.threads())
    assert all("day" not in reason for one in engine.all_related() for item in one.items for reason in item.reasons)


# Clocks


class Clock(datetime):
    """A clock that the test sets."""

    shows = FIRST_DAY

    @classmethod
    def now(cls, tz: object = None) -> Clock:
        """What it shows."""
        return cls.fromtimestamp(cls.shows.timestamp(), UTC)


@pytest.fixture
def written_backwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recommender:
    """Built on the first day, added to the day before, and added to again on the second day."""
    monkeypatch.setattr(following, "datetime", Clock)
    monkeypatch.setattr(Clock, "shows", FIRST_DAY)
    engine = Recommender.build(NEWSPAPER, tmp_path / "index")
    for story, days in ((0, -1), (1, 1)):
        monkeypatch.setattr(Clock, "shows", FIRST_DAY + timedelta(days=days))
        engine.add([report(f"s0{story}a9", f"story {story}", 3)])
    return engine


def test_the_log_is_in_the_order_of_what_happened(written_backwards: Recommender) -> None:
    """Whatever the clock said: founded, joined, joined."""
    assert written_backwards.check() == []
    told = [(change.kind, change.article_ids) for change in written_backwards.changes()]
    assert [kind for kind, _ in told] == ["founded", "founded", "joined", "joined"]
    assert told[2:] == [("joined", ("s00a9",)), ("joined", ("s01a9",))]


def test_who_asks_since_the_last_change_misses_none(written_backwards: Recommender) -> None:
    """What was written after the build is told to whoever has seen the build, though the clock went back in between."""
    log = written_backwards.changes()
    assert written_backwards.changes(datetime.fromisoformat(log[0].at)) == log


def test_a_former_headline_goes_with_its_article(tmp_path: Path) -> None:
    """The lead of a thread is given another headline and is removed: the log has neither."""
    engine = Recommender.build(NEWSPAPER, tmp_path / "index")
    lead = engine.threads()[0].lead_id
    old = next(one for one in NEWSPAPER if one.id == lead)
    engine.add([replace(old, title="Quite another headline")])
    engine.remove([lead])
    assert not {old.title, "Quite another headline"} & {change.label for change in engine.changes()}


# Comments of editors


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\u2028", "\x85", "\x0b"])
def test_a_comment_of_two_lines_is_exported_as_a_comment(line_break: str, odd: Path, tmp_path: Path) -> None:
    """What `rules export` writes is what `rules import` reads, wherever a comment breaks."""
    Recommender.open(odd).backup(tmp_path / "file")
    engine = Recommender.restore(tmp_path / "file", tmp_path / "index")
    text = f"one{line_break}two"
    engine.add_rule(Rule(kind="pin", articles=("x0", "s00a0"), note=text, above=(text,)))
    exported = run(engine, "rules", "export").stdout
    done = run(engine, "rules", "import", "-", "--replace", stdin=exported)
    assert done.exit_code == 0, done.stderr
    assert [kept.rule for kept in engine.rules()] == [Rule(kind="pin", articles=("x0", "s00a0"))]
    assert "two" in engine.rules()[0].rule.note
