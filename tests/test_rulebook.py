"""Editors have the last word: each kind of rule through adds, updates, removes, rebuilds and another model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from recommender import Article, Recommender
from recommender.archives import links
from recommender.cli import app
from recommender.errors import IndexUnusableError, InvalidRuleError, InvalidRulesError, UnknownRuleError
from recommender.pipeline.rules import Rule
from recommender.pipeline.scoring import Scores
from recommender.storage.schema import RELATIONS
from recommender.storage.store import Store
from tests.archives import newspaper, report
from tests.links import unfold
from tests.models import static_model
from tests.pipeline.test_rules import any_rule
from tests.test_engine import check_links, check_threads

ARTICLES = newspaper(3, 3, 4)
IDS = [article.id for article in ARTICLES]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stories of three articles and four that stand alone; copy it, do not write to it."""
    folder = tmp_path_factory.mktemp("built") / "index"
    Recommender.build(ARTICLES, folder).close()
    return folder


@pytest.fixture
def engine(built: Path, tmp_path: Path) -> Iterator[Recommender]:
    """A copy to write to."""
    opened = Recommender.open(shutil.copytree(built, tmp_path / "index"))
    yield opened
    opened.close()


def threads_of(engine: Recommender) -> list[list[str]]:
    return sorted(sorted(thread.article_ids) for thread in engine.threads())


def state(engine: Recommender) -> tuple[object, ...]:
    """All that a reader sees but ids of threads, and the links behind it."""
    lists = [
        [(one.id, [(i.id, i.score, i.relation, i.reasons) for i in one.items]) for one in engine.all_related(20, profile=profile)]
        for profile in ("sidebar", "similar")
    ]
    store = Store.open(engine._index.folder)
    unfold(store.db)
    links = store.query(
        "SELECT a.id, b.id, round(l.score, 4), round(l.same, 4) FROM links l JOIN articles a ON a.row = l.row"
        " JOIN articles b ON b.row = l.other ORDER BY 1, 2"
    )
    store.close()
    return threads_of(engine), *lists, links


def check(engine: Recommender) -> None:
    """Every rule is obeyed, and the tables hold together."""
    store = Store.open(engine._index.folder)
    check_threads(store)
    check_links(store, {row for (row,) in store.query("SELECT row FROM articles")})
    store.close()
    everybody = {one.id for one in engine.all_related()}
    threads = [set(group) for group in threads_of(engine)]
    lists = {profile: {one.id: [i.id for i in one.items] for one in engine.all_related(40, profile=profile)}
             for profile in ("sidebar", "similar")}  # fmt: skip
    pins: dict[str, list[str]] = {}
    for kept in engine.rules():
        mine = [article for article in kept.rule.articles if article in everybody]
        assert set(kept.missing) == set(kept.rule.articles) - set(mine)
        if kept.rule.kind == "pin" and len(mine) == 2:
            pins.setdefault(mine[0], []).append(mine[1])
        if kept.rule.kind == "never":
            for shown in lists.values():
                if len(kept.rule.articles) == 1:
                    assert all(kept.rule.articles[0] not in items for items in shown.values())
                elif len(mine) == 2:
                    assert mine[1] not in shown[mine[0]]
                    assert mine[0] not in shown[mine[1]]
        if kept.rule.kind == "merge" and len(mine) == 2:
            assert any(set(mine) <= thread for thread in threads)
        if kept.rule.kind == "split":
            assert all(thread <= set(mine) or not thread & set(mine) for thread in threads)
        if kept.rule.kind == "lock":
            assert all(thread == set(mine) or not thread & set(mine) for thread in threads)
            assert len(mine) < 2 or set(mine) in threads
    for article, others in pins.items():
        assert lists["sidebar"][article][: len(others)] == others


RULES = [
    "pin s00a0 x0", "pin s00a0 s00a2", "pin x1 x2", "never s00a0 s00a1", "never s01a0", "merge s00a1 s01a1", "merge x2 x3",
    "split s02a0 s02a1", 'rename x2 "Hand in hand"', "lock x0 x1",
]  # fmt: skip


def obeyed(engine: Recommender) -> None:
    """What RULES ask for, by hand."""
    check(engine)
    assert engine.related_ids("s00a0")[:2] == ["x0", "s00a2"]
    assert "s00a1" not in engine.related_ids("s00a0", 20)
    first = engine.related("s00a0")[0]
    assert first.reasons[0] == "chosen by an editor"
    assert first.relation in RELATIONS
    assert engine.thread_of("x2").label == "Hand in hand"  # type: ignore[union-attr]
    whole = {article for thread in engine.threads() for article in thread.article_ids if thread == engine.thread_of("s00a1")}
    assert {"s00a1", "s01a1"} <= whole


@pytest.fixture
def ruled(engine: Recommender) -> Recommender:
    """The copy with RULES."""
    for rule in RULES:
        engine.add_rule(rule)
    return engine


def test_every_kind_is_obeyed_at_once(ruled: Recommender) -> None:
    """A rule takes effect as soon as it is made; the two whole stories are one thread, and the split one is not whole."""
    obeyed(ruled)
    stories = [[f"s0{story}a{n}" for n in range(3)] for story in range(3)]
    assert threads_of(ruled) == sorted([stories[0] + stories[1], ["s02a0", "s02a1"], ["x0", "x1"], ["x2", "x3"]])


def test_rules_outlive_adds_and_updates(ruled: Recommender) -> None:
    """New articles on every story, and new texts of the articles that the rules name."""
    ruled.add([report(f"s0{story}a9", f"story {story}", 3) for story in range(3)])
    obeyed(ruled)
    assert "s02a9" not in next(group for group in threads_of(ruled) if "s02a0" in group)
    ruled.add([report(a.id, f"story {int(a.id[1:3])}", 4, edition=1) for a in ARTICLES if a.id.startswith("s")])
    obeyed(ruled)
    ruled.add([report("x0", "story 1", 1, edition=1)])  # as the machine holds, of another story now
    obeyed(ruled)
    assert ruled.thread_of("x0").article_ids == ("x0", "x1")  # type: ignore[union-attr]


def test_rules_wait_for_what_is_removed(ruled: Recommender) -> None:
    """A removed article leaves locks, pins and merges; when it comes again so do they."""
    before = state(ruled)
    gone = ["x0", "s00a1", "x2"]
    ruled.remove(gone)
    check(ruled)
    assert ruled.related_ids("s00a0")[0] == "s00a2"
    assert ruled.thread_of("x1") is None
    assert ["s01a0", "s01a1", "s01a2"] in threads_of(ruled)
    assert {article for kept in ruled.rules() for article in kept.missing} == set(gone)
    ruled.add([article for article in ARTICLES if article.id in gone])
    obeyed(ruled)
    assert state(ruled)[0] == before[0]


def test_rules_outlive_a_rebuild(ruled: Recommender) -> None:
    """The same articles built anew have the same threads, lists and links: a rule made later is a rule that was always there."""
    before = state(ruled)
    Recommender.build(ARTICLES, ruled._index.folder)
    obeyed(ruled)
    assert state(ruled) == before


def test_rules_outlive_an_index_that_is_outgrown(ruled: Recommender) -> None:
    """An add that makes the index anew keeps them too."""
    built_of = ruled.info()["articles_at_build"]
    ruled.add(newspaper(6, 3))
    assert ruled.info()["articles_at_build"] > built_of
    obeyed(ruled)


@pytest.mark.slow
def test_rules_outlive_a_change_of_model(ruled: Recommender, tmp_path: Path) -> None:
    """Scores of another model, the same decisions."""
    Recommender.build(ARTICLES, ruled._index.folder, model=str(static_model(tmp_path / "model")))
    assert ruled.info()["model"] != "lsa"
    obeyed(ruled)


def test_dropping_all_rules_undoes_them(ruled: Recommender, built: Path) -> None:
    """Threads, lists and links are those that were there before."""
    for kept in ruled.rules():
        ruled.drop_rule(kept.number)
        check(ruled)
    assert ruled.rules() == []
    assert state(ruled) == state(Recommender.open(built))


def test_a_rule_that_is_dropped_is_forgotten(ruled: Recommender) -> None:
    """By its number, once."""
    ruled.drop_rule(4)
    assert "s00a1" in ruled.related_ids("s00a0", 20)
    with pytest.raises(UnknownRuleError, match="no rule 4 in this index; `recommender rules list`") as error:
        ruled.drop_rule(4)
    assert error.value.exit_code == 3


@pytest.mark.slow
@given(rules=st.lists(any_rule([*IDS, "late"]), max_size=6), drawn=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_decided_is_obeyed(built: Path, tmp_path: Path, rules: list[Rule], drawn: st.DataObject) -> None:
    """Random rules in a random archive: through drops, removes and adds each is obeyed, and a rebuild finds the same."""
    folder = tmp_path / "drawn"
    shutil.rmtree(folder, ignore_errors=True)
    engine = Recommender.open(shutil.copytree(built, folder))
    for rule in rules:
        try:
            engine.add_rule(rule)
        except InvalidRuleError as error:
            assert "contradicts rule" in str(error)  # noqa: PT017
    check(engine)
    for kept in drawn.draw(st.lists(st.sampled_from(engine.rules()), unique=True, max_size=2) if engine.rules() else st.just([])):
        engine.drop_rule(kept.number)
    check(engine)
    before = state(engine)
    Recommender.build(ARTICLES, folder)
    assert state(engine) == before
    gone = drawn.draw(st.lists(st.sampled_from(IDS), unique=True, max_size=3))
    engine.remove(gone)
    check(engine)
    told = drawn.draw(st.sampled_from(["story 0", "story 1", "single 0", "story 8"]))
    engine.add([report("late", told, 2), *(article for article in ARTICLES if article.id in gone)])
    check(engine)
    engine.close()


def test_a_pin_changes_one_sidebar_alone(engine: Recommender) -> None:
    """Neither the other's list nor the order of pure relevance, nor any thread."""
    before = {one.id: one for one in engine.all_related(20)}, list(engine.all_related(20, profile="similar")), threads_of(engine)
    engine.add_rule("pin x0 s00a1")
    after = {one.id: one for one in engine.all_related(20)}, list(engine.all_related(20, profile="similar")), threads_of(engine)
    assert [i.id for i in after[0].pop("x0").items] == ["s00a1"]
    before[0].pop("x0")
    assert after == before


def test_a_pin_that_nobody_nominated_is_in_one_list_alone(engine: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """However high the score that its evidence gives, neither the other's sidebar nor the order of relevance shows it."""
    high = np.full(1, 0.9, np.float32)
    monkeypatch.setattr(links, "score", lambda evidence, weights: Scores(related=high, same_story=high, nearness=high))
    engine.add_rule("pin x0 x1")
    assert [(item.id, item.score) for item in engine.related("x0")] == [("x1", 0.9)]
    assert engine.related("x1") == engine.related("x0", profile="similar") == engine.related("x1", profile="similar") == []


def test_pins_follow_what_comes_and_goes(engine: Recommender) -> None:
    """Beside an article that nothing else links, from either side; a list has no gap where a pinned article was removed."""
    for rule in ("pin x0 late", "pin x0 x1", "pin late x2"):
        engine.add_rule(rule)
    for _ in range(2):
        assert engine.related_ids("x0") == ["x1"]
        engine.add([report("late", "single 99", 0)])
        check(engine)
        assert engine.related_ids("x0") == ["late", "x1"]
        assert engine.related_ids("late") == ["x2"]
        engine.remove(["late"])
        check(engine)


def test_a_pin_shows_no_copy_of_itself_again(engine: Recommender) -> None:
    """Of two copies of one text in the story the pinned one stands there, and the other does not."""
    twin = report("s00a1", "story 0", 1)
    engine.add([Article(id="twin", title=twin.title, body=twin.body, published=twin.published)])
    one = next(i for i in engine.related_ids("s00a0", 20) if i in ("twin", "s00a1"))
    other = {"twin": "s00a1", "s00a1": "twin"}[one]
    engine.add_rule(f"pin s00a0 {other}")
    found = engine.related_ids("s00a0", 20)
    assert found[0] == other
    assert one not in found
    engine.add_rule("pin twin s00a1")  # the article's own copy, which no list shows without a pin
    assert engine.related_ids("twin")[0] == "s00a1"


def test_an_article_shown_nowhere_is_not_shown_to_a_draft(engine: Recommender) -> None:
    """Its own list and its thread stay as they are."""
    draft = report("draft", "story 0", 2)
    own = engine.related("s00a1")
    assert "s00a1" in [item.id for item in engine.related_to(draft)]
    engine.add_rule("never s00a1")
    assert "s00a1" not in [item.id for item in engine.related_to(draft)]
    assert engine.related("s00a1") == own
    assert ["s00a0", "s00a1", "s00a2"] in threads_of(engine)


def test_a_label_goes_with_its_anchor(engine: Recommender) -> None:
    """A later label of the same article replaces the first; a split takes it along, and with the rule it goes."""
    assert engine.add_rule('rename s00a0 "One"').number == 1
    assert engine.add_rule('rename s00a0 "Two"').rule.label == "Two"
    assert [kept.rule.label for kept in engine.rules()] == ["Two"]
    assert engine.thread_of("s00a2").label == "Two"  # type: ignore[union-attr]
    engine.add_rule("split s00a0 s00a1")
    assert engine.thread_of("s00a1").label == "Two"  # type: ignore[union-attr]
    for kept in engine.rules():
        engine.drop_rule(kept.number)
    found = engine.thread_of("s00a1")
    assert found is not None
    assert found.label == engine.article(found.lead_id).title


def test_a_rule_that_contradicts_another_is_refused(engine: Recommender) -> None:
    """One line that names the other rule and how to drop it; nothing is changed."""
    engine.add_rule("never s00a0 s00a1")
    before = state(engine)
    with pytest.raises(InvalidRuleError) as error:
        engine.add_rule("pin s00a1 s00a0")
    assert str(error.value) == (
        "pin s00a1 s00a0 contradicts rule 1 (never s00a0 s00a1); drop that first with `recommender rules drop 1`"
    )
    assert (state(engine), len(engine.rules())) == (before, 1)


def test_the_same_rule_twice_is_one(engine: Recommender) -> None:
    """The later comment counts; a pair that is kept apart has no order."""
    engine.add_rule("never s00a0 s00a1  # first")
    engine.add_rule("never s00a1 s00a0  # second")
    (kept,) = engine.rules()
    assert (kept.number, kept.rule.note) == (1, "second")


FILE = """# the June summit
# agreed with the desk
pin s00a0 x0  # why

split s02a0
pin s00a0 nobody
"""


def test_an_import_is_what_an_export_has_written(engine: Recommender, built: Path) -> None:
    """Comments included, blank lines not; a second import changes nothing, and --replace leaves only the file's rules."""
    engine.add_rule("merge x0 x1")
    kept = engine.import_rules(FILE, replace=True)
    assert engine.export_rules() == FILE.replace("\n\n", "\n")
    assert [one.missing for one in kept] == [(), (), ("nobody",)]
    assert engine.related_ids("s00a0")[0] == "x0"
    assert engine.thread_of("x0") is None
    edition = Store.open(engine._index.folder).query("SELECT value FROM meta WHERE key = 'edition'")
    assert engine.import_rules(engine.export_rules()) == kept
    assert engine.import_rules(engine.export_rules(), replace=True) == kept
    assert Store.open(engine._index.folder).query("SELECT value FROM meta WHERE key = 'edition'") == edition
    assert engine.import_rules("", replace=True) == []
    assert state(engine) == state(Recommender.open(built))


@pytest.mark.parametrize("replace", [False, True])
def test_an_import_is_all_or_nothing(engine: Recommender, replace: bool) -> None:
    """One bad line, and neither rules nor lists are touched; a rule that is kept is no hindrance to --replace."""
    engine.add_rule("never s00a0 s00a1")
    before = state(engine), engine.rules()
    with pytest.raises(InvalidRulesError, match=r"rules\.txt: 1 line is not valid; nothing was changed:\n  line 2: "):
        engine.import_rules("pin x0 x1\npin x0\n", source="rules.txt", replace=replace)
    assert (state(engine), engine.rules()) == before
    if replace:
        assert len(engine.import_rules("pin s00a0 s00a1", replace=True)) == 1
    else:
        with pytest.raises(InvalidRulesError, match=r"line 1: it contradicts rule 1 \(never s00a0 s00a1\)"):
            engine.import_rules("pin s00a0 s00a1")


def test_rules_that_cannot_be_carried_over_are_told_of(ruled: Recommender) -> None:
    """A build in place of a damaged index says that its rules are lost."""
    store = next(ruled._index.folder.glob("store-*.sqlite"))
    ruled.close()
    store.write_bytes(b"no database")
    with pytest.raises(IndexUnusableError):
        Recommender.open(ruled._index.folder)
    told: list[str] = []
    Recommender.build(ARTICLES, ruled._index.folder, notice=told.append)
    assert any("rules of the index could not be carried over" in line for line in told)


def run(engine: Recommender, *words: str, stdin: str | None = None) -> tuple[int, str, str]:
    done = CliRunner(env={"RECOMMENDER_INDEX": str(engine._index.folder)}).invoke(app, ["rules", *words], input=stdin)
    return done.exit_code, done.stdout, done.stderr


def test_the_command_line_makes_every_kind(engine: Recommender) -> None:
    """A thread's id stands for its lead, or, where it is locked, for its articles; results go to stdout and words to stderr."""
    one, two = engine.thread_of("s00a0"), engine.thread_of("s01a0")
    assert one is not None
    assert two is not None
    for words in (
        ["pin", "x0", "nobody", "--note", "later"], ["never", "x1"], ["never", "x1", "x2"], ["split", "x2", "x3"],
        ["rename", one.id, " The   summit "], ["lock", "s02a1"], ["merge", one.id, two.id],
    ):  # fmt: skip
        code, out, err = run(engine, *words)
        assert (code, out) == (0, "")
        assert err.startswith("rule ")
    listed = [json.loads(line) for line in run(engine, "list", "--json")[1].splitlines()]
    assert [rule["rule"] for rule in listed] == [
        "pin x0 nobody", "never x1", "never x1 x2", "split x2 x3", f'rename {one.lead_id} "The summit"',
        "lock s02a0 s02a1 s02a2", f"merge {one.lead_id} {two.lead_id}",
    ]  # fmt: skip
    assert (listed[0]["number"], listed[0]["note"], listed[0]["missing"]) == (1, "later", ["nobody"])
    assert run(engine, "list")[1].splitlines()[0] == "1  pin x0 nobody  # later  (waits for 'nobody')"
    check(engine)
    assert run(engine, "drop", "1", "--quiet") == (0, "", "")
    assert run(engine, "drop", "1")[0] == 3
    assert run(engine, "lock", "x3") == (3, "", "error: 'x3' stands alone, in no thread\n")
    assert run(engine, "lock", "t0")[0] == 3
    assert run(engine, "rename", "t0123456789", "gone")[0] == 3


def test_ten_rules_stand_in_one_column(engine: Recommender) -> None:
    """The numbers are as wide as the widest, the rules one below the other."""
    for number in range(10):
        engine.add_rule(f"pin x0 later{number}")
    lines = run(engine, "list")[1].splitlines()
    assert [line.index("pin") for line in lines] == [4] * 10
    assert (lines[0][:3], lines[9][:3]) == (" 1 ", "10 ")


def test_a_rule_of_many_articles_is_said_in_one_short_line(engine: Recommender) -> None:
    """A lock names every article of its thread: all are kept, and stderr gets the first."""
    many = [f"an-article-that-is-yet-to-come-{number}" for number in range(40)]
    said = run(engine, "split", *many)[2].splitlines()[0]
    assert said.startswith(f"rule 1: split {many[0]} ")
    assert len(said) < 200
    assert run(engine, "list")[1].startswith(f"1  split {' '.join(many)}")


def test_the_command_line_reads_and_writes_files(engine: Recommender, tmp_path: Path) -> None:
    """export to a file or stdout, import from a file or stdin; a bad file is exit 1 with its lines, a notice tells what waits."""
    file = tmp_path / "rules.txt"
    assert run(engine, "import", "-", stdin=FILE)[0] == 0
    assert run(engine, "export", str(file)) == (0, "", "")
    assert file.read_text(encoding="utf-8") == run(engine, "export")[1] == engine.export_rules()
    code, out, err = run(engine, "import", str(file), "--replace")
    assert (code, out) == (0, "")
    assert "has 3 rules\n" in err
    assert "waits for 'nobody'" in err
    file.write_text("pin a\n", encoding="utf-8")
    assert run(engine, "import", str(file))[:2] == (1, "")
    assert f"{file}: 1 line is not valid" in run(engine, "import", str(file))[2]
    assert run(engine, "import", str(tmp_path / "none"))[0] == 1
