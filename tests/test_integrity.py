"""`check`: a sound index has no finding, and each kind of damage, done by hand, has its own."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recommender import Recommender
from recommender.cli import app
from recommender.storage.file import PAGE
from recommender.storage.folder import CACHE, read_manifest
from tests.archives import newspaper, report
from tests.links import fold, unfold

ARTICLES = newspaper(4, 3, 3)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of four stories of three articles and three that stand alone; read it, copy it, do not write to it."""
    folder = tmp_path_factory.mktemp("built") / "index"
    Recommender.build(ARTICLES, folder).close()
    return folder


@pytest.fixture
def index(built: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(built, tmp_path / "index"))


def kinds(index: Path) -> set[str]:
    """What `check` finds."""
    return {found.kind for found in Recommender.open(index).check()}


def spoil(index: Path, sql: str) -> None:
    """Run statements on the file behind everyone's back; each must change something."""
    connection = sqlite3.connect(index / str(read_manifest(index)["store"]), isolation_level=None)
    of_links = " links " in sql
    if of_links:
        unfold(connection)
    for statement in sql.split(";"):
        assert connection.execute(statement).rowcount > 0
    if of_links:
        fold(connection)
    connection.close()


def test_what_build_add_update_and_remove_leave_is_sound(index: Path, newsroom_index: Path) -> None:
    """No finding in an index after any kind of write, nor in that of the sample newsroom."""
    engine = Recommender.open(index)
    assert engine.check() == []
    engine.add([report("s00a3", "story 0", 3.0), report("x1", "single 1", 1.0, edition=2), report("undated", "story 1", None)])
    assert engine.check() == []
    engine.remove(["s00a0", "s02a0", "s02a1"])
    assert engine.check() == []
    assert Recommender.open(newsroom_index).check() == []


LINK = "(SELECT row FROM links LIMIT 1)"
DAMAGE = {
    "DELETE FROM bodies WHERE row = 3": "article without a row in bodies",
    "DELETE FROM vectors WHERE row = 3": "article without a row in vectors",
    "DELETE FROM terms WHERE row = 3": "article without a row in terms",
    "INSERT INTO bodies SELECT 99, body FROM bodies WHERE row = 1": "row in bodies without an article",
    "UPDATE articles SET url = 'https://news.example/elsewhere' WHERE row = 2": "article that is not what came in",
    "UPDATE articles SET title = 'Another' WHERE row = 2": "title or instant that is not that of the text",
    "UPDATE articles SET instant = instant + 1 WHERE row = 15": "title or instant that is not that of the text",
    "UPDATE bodies SET body = x'00' WHERE row = 2": "cannot be read: texts",
    "UPDATE vectors SET vector = x'00' WHERE row = 2": "vector of another length",
    "UPDATE vectors SET vector = CAST(zeroblob(length(vector) - 2) || x'3c3c' AS BLOB) WHERE row = 2":
        "vector that is not of length 1",
    "UPDATE terms SET counts = x'0102' WHERE row = 2": "cannot be read: terms",
    "UPDATE vocabulary SET articles = articles + 1 WHERE number = 5": "term counted in another number of articles than hold it",
    "UPDATE vocabulary SET number = 9999 WHERE number = 5": "gap in the numbers of the vocabulary",
    "UPDATE vocabulary SET term = (SELECT term FROM vocabulary WHERE number = 6) WHERE number = 5": "term that stands twice",
    f"DELETE FROM links WHERE row = {LINK}": "link that stands on one side alone",
    f"UPDATE links SET score = score / 2 WHERE row = {LINK}": "link with other values on its other side",
    f"UPDATE links SET relation = 0 WHERE row = {LINK}": "duplicate on one side alone",
    "INSERT INTO links SELECT 99, other, score, same, nearness, 2, NULL, NULL, NULL FROM links LIMIT 1":
        "link of an article that is not there",
    "UPDATE links SET score = 1.5, same = 1.5": "link with a value that cannot be",
    "UPDATE links SET relation = 9": "link with a value that cannot be",
    "UPDATE links SET relation = 2": "relation that the threads do not bear out",
    "UPDATE links SET similar = NULL WHERE similar = 0": "list with a gap, similar",
    "UPDATE links SET sidebar = 7 WHERE sidebar = 1": "list with a gap, sidebar",
    "UPDATE main.links SET packed = substr(packed, 1, 40)": "links that are not what was written",
    "UPDATE main.links SET packed = CAST(substr(packed, 1, 20) || x'01' || substr(packed, 22) AS BLOB)":
        "links that are not what was written",
    "UPDATE links SET similar = 1 - similar WHERE similar < 2": "list out of order",
    "UPDATE threads SET size = 4 WHERE number = 1": "thread of another size than it says",
    "UPDATE threads SET lead = 15 WHERE number = 1": "thread whose lead is not in it",
    "UPDATE threads SET first_instant = first_instant + 9 WHERE number = 1":
        "thread whose first or last instant is not that of its articles",
    "UPDATE threads SET last_instant = NULL WHERE number = 1": "thread whose first or last instant is not that of its articles",
    "UPDATE threads SET keywords = '[' WHERE number = 1": "thread whose words cannot be read",
    "UPDATE threads SET label = 'Another' WHERE number = 1": "label that is neither its lead's headline nor an editor's",
    "DELETE FROM threads WHERE number = 1": "thread of articles that is not there",
    "UPDATE articles SET position = 4 WHERE thread = 1 AND position = 2": "thread with a gap in its positions",
    "UPDATE articles SET position = 4 - position WHERE thread = 1": "thread that is not in the order of time",
    "UPDATE articles SET thread = NULL WHERE thread = 1 AND position = 1": "article with a place in no thread",
    "UPDATE articles SET thread = NULL, position = NULL WHERE thread = 1": "thread of fewer than two articles",
    "INSERT INTO redirects VALUES ('tformer', 'tnever')": "redirect to a thread that never was",
    "INSERT INTO redirects VALUES ('tone', 'ttwo');INSERT INTO redirects VALUES ('ttwo', 'tone')":
        "redirect that goes in a circle",
    "INSERT INTO changes VALUES (9001, '2024', 'founded', 't', NULL, '[', NULL)": "change that cannot be read",
    "UPDATE meta SET value = 14 WHERE key = 'articles'": "number of articles that is not right",
    "UPDATE meta SET value = 'other' WHERE key = 'model'": "fact of the manifest that is not that of the store",
    "DELETE FROM blobs WHERE name = 'boilerplate'": "lack of",
    "DELETE FROM meta WHERE key = 'dimensions'": "cannot be read: vectors",
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_every_kind_of_damage_is_found(damage: str, index: Path) -> None:
    """What one statement breaks is told by its own kind of finding."""
    spoil(index, damage)
    assert DAMAGE[damage] in kinds(index)


def test_redirects_to_threads_that_exist_or_existed_are_sound(index: Path) -> None:
    """Directly, by way of another redirect, or to one that only the log of changes still knows."""
    living = Recommender.open(index).threads()[0].id
    spoil(index, f"INSERT INTO redirects VALUES ('tone', '{living}');INSERT INTO redirects VALUES ('ttwo', 'tone')")
    spoil(index, "INSERT INTO changes VALUES (9001, '2024', 'closed', 'tgone', NULL, '[]', NULL)")
    spoil(index, "INSERT INTO redirects VALUES ('tthree', 'tgone')")
    assert kinds(index) == set()


PAIR = "row = (SELECT row FROM articles WHERE id = 's00a0') AND other = (SELECT row FROM articles WHERE id = 's00a1')"
DISOBEYED = {
    "pin x0 s00a0": "UPDATE links SET sidebar = NULL WHERE reasons LIKE '%chosen by an editor%'",
    "never s00a0 s00a1": f"UPDATE links SET similar = 5 WHERE {PAIR}",
    "never s00a1": f"UPDATE links SET sidebar = 5 WHERE {PAIR}",
    "merge s00a0 x0": "UPDATE articles SET thread = NULL, position = NULL WHERE id = 'x0'",
    "split s00a0 s00a1": "UPDATE articles SET thread = (SELECT thread FROM articles WHERE id = 's00a0') WHERE id = 's01a0'",
    "lock s00a0 s00a1": "UPDATE articles SET thread = (SELECT thread FROM articles WHERE id = 's00a0') WHERE id = 's01a0'",
    "lock s00a0 s00a1 x0": "UPDATE articles SET thread = NULL, position = NULL WHERE id = 'x0'",
}


@pytest.mark.parametrize("rule", DISOBEYED)
def test_a_rule_that_is_not_obeyed_is_found(rule: str, index: Path) -> None:
    """Kept it is sound; where threads or lists are changed behind its back, or the rule itself cannot be read, it is told."""
    Recommender.open(index).add_rule(rule)
    assert kinds(index) == set()
    spoil(index, DISOBEYED[rule])
    assert "rule that is not obeyed" in kinds(index)
    spoil(index, "UPDATE rules SET rule = '['")
    assert "cannot be read: rules" in kinds(index)


def test_a_label_is_its_leads_headline_or_the_editors(index: Path) -> None:
    """The last of two that editors gave is right; neither the former nor the headline is."""
    engine = Recommender.open(index)
    for rule in ("rename s00a1 First", "rename s00a0 Another"):
        engine.add_rule(rule)
        assert kinds(index) == set()
    for label in ("First", engine.article("s00a0").title):
        spoil(index, f"UPDATE threads SET label = '{label}' WHERE number = (SELECT thread FROM articles WHERE id = 's00a0')")
        assert kinds(index) == {"label that is neither its lead's headline nor an editor's"}


def test_an_encoder_that_was_changed_is_found(newsroom_index: Path, tmp_path: Path) -> None:
    """The matrix of the embedding is known by its digest."""
    index = Path(shutil.copytree(newsroom_index, tmp_path / "index"))
    spoil(index, "UPDATE blobs SET value = CAST(value || x'00' AS BLOB) WHERE name = 'encoder'")
    assert kinds(index) == {"encoder of another revision"}


def test_a_cache_of_another_index_is_found(index: Path) -> None:
    """A cache that the store names by another digest is told; one that is missing is no damage."""
    spoil(index, "UPDATE meta SET value = 'abc' WHERE key = 'cache'")
    assert kinds(index) == set()
    (index / CACHE).write_bytes(b"of another")
    assert kinds(index) == {"cache of the neighbour search that is not this index's"}


def test_a_broken_page_is_found_by_its_table_and_the_rest_is_still_compared(index: Path) -> None:
    """Damage in one place does not hide what is wrong in another."""
    file = index / str(read_manifest(index)["store"])
    spoil(index, "UPDATE threads SET size = 4 WHERE number = 1")
    connection = sqlite3.connect(file)
    ((page,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'links'")
    connection.close()
    content = bytearray(file.read_bytes())
    content[(page - 1) * PAGE : (page - 1) * PAGE + 200] = b"\xff" * 200
    file.write_bytes(content)
    found = kinds(index)
    assert {"cannot be read: file", "cannot be read: links", "thread of another size than it says"} <= found


def test_the_command_ends_with_what_it_found(index: Path) -> None:
    """0 and nothing on stdout for a sound index, 4 and one line for each kind otherwise, JSON on demand."""
    runner, named = CliRunner(), ["check", "--index", str(index)]
    sound = runner.invoke(app, named)
    assert (sound.exit_code, sound.stdout, sound.stderr) == (0, "", f"{index} is sound\n")
    spoil(index, "DELETE FROM bodies WHERE row IN (SELECT row FROM articles WHERE id IN ('s00a1', 's00a2'))")
    damaged = runner.invoke(app, named)
    assert (damaged.exit_code, damaged.stdout) == (4, "article without a row in bodies: 2, first s00a1\n")
    as_json = runner.invoke(app, [*named, "--json"])
    assert as_json.exit_code == 4
    assert json.loads(as_json.stdout) == {"kind": "article without a row in bodies", "count": 2, "example": "s00a1"}
