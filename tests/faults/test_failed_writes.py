"""Writes that the machine refuses: one clear error, and the state before."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from recommender import Recommender
from recommender.errors import RecommenderError
from recommender.pipeline.index import VectorIndex
from tests.faults.harness import ROOT, TIMES, State, answers_of, article, report_totals, state_of

BASE: State = {f"s{story:02}a{number}": 0 for story in range(8) for number in range(5)}
ARTICLES = [article(*one) for one in BASE.items()]

WRITES: dict[str, Callable[[Path], object]] = {
    "build": lambda index: Recommender.build(ARTICLES[:30], index),
    "add": lambda index: Recommender.open(index).add([article("s00a5", 0)]),
    "add many": lambda index: Recommender.open(index).add([article(f"s{n:02}a5", 0) for n in range(8)]),
    "update": lambda index: Recommender.open(index).add([article("s00a1", 1)]),
    "remove": lambda index: Recommender.open(index).remove(["s00a1", "s05a2"]),
    "compact": lambda index: Recommender.open(index).compact(),
    "backup": lambda index: Recommender.open(index).backup(index.with_name("file")),
    "restore": lambda index: Recommender.restore(index.with_name("good"), index),
}

LIMITED = """
import resource, sys
from pathlib import Path
from recommender import Recommender, RecommenderError
from tests.faults.test_failed_writes import WRITES
import recommender.backups, recommender.compaction, recommender.writing
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    WRITES[sys.argv[2]](Path(sys.argv[1]))
    print("done")
except RecommenderError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of forty articles and a backup of it, `good`."""
    folder = tmp_path_factory.mktemp("built")
    Recommender.build(ARTICLES, folder / "index").backup(folder / "good")
    return folder


@pytest.fixture
def index(built: Path, tmp_path: Path) -> Path:
    """A copy to write to, with the backup beside it."""
    return Path(shutil.copytree(built, tmp_path / "copy")) / "index"


@pytest.mark.slow
@pytest.mark.faults
def test_a_disk_that_is_full_changes_nothing(built: Path, tmp_path: Path) -> None:
    """With a limit on the size of files each write is done or fails in one clear line; then the state is the old one."""
    rng, totals = random.Random(3), Counter[str]()
    size = max(path.stat().st_size for path in (built / "index").iterdir())
    expected = answers_of(built / "index")
    for number in range(len(WRITES) * TIMES):
        does = list(WRITES)[number % len(WRITES)]
        index = Path(shutil.copytree(built, tmp_path / str(number))) / "index"
        limit = rng.randrange(100, size)
        command = [sys.executable, "-c", LIMITED, str(index), does, str(limit)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        state_of(index)
        if done.stdout != "done\n":
            assert "cannot be written" in done.stdout or "cannot be read" in done.stdout, done.stdout
            assert answers_of(index) == expected
            assert len(list(index.glob("store-*.sqlite"))) == 1
        totals["done all the same" if done.stdout == "done\n" else "failed clearly"] += 1
        shutil.rmtree(index.parent)
    report_totals("full disks", totals)
    assert totals["failed clearly"] > 0


def refusal(does: str, index: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """What a write says whose call of fsync of this number, 0 is the first, fails; None where it does not come so far."""
    calls = iter(range(1000))

    def failing(descriptor: int) -> None:
        if next(calls) == number:
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing)
        try:
            WRITES[does](index)
        except RecommenderError as error:
            return str(error)
    return None


@pytest.mark.faults
@pytest.mark.parametrize("does", ["build", "add many", "compact", "backup", "restore"])
def test_a_sync_that_fails_at_any_moment_changes_nothing(does: str, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first, the second, … call of fsync fails, until none is left to fail: each time one error, and the old answers."""
    expected, before = answers_of(index), state_of(index)
    monkeypatch.setattr(VectorIndex.__init__, "__kwdefaults__", {"exact_limit": 20})
    failures = 0
    while told := refusal(does, index, failures, monkeypatch):
        assert "Input/output error" in told
        assert state_of(index) == before
        assert answers_of(index) == expected
        failures += 1
    assert failures >= 1
    assert Recommender.open(index).check() == []


@pytest.mark.faults
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="nothing is read-only to root")
@pytest.mark.parametrize("does", WRITES)
def test_a_folder_without_the_right_to_write_is_one_clear_error(does: str, index: Path) -> None:
    """Nothing can be written, all can be read."""
    expected = answers_of(index)
    for folder in (index, index.parent):
        folder.chmod(0o500)
    try:
        with pytest.raises(RecommenderError, match="cannot be written"):
            WRITES[does](index)
        assert answers_of(index) == expected
    finally:
        for folder in (index, index.parent):
            folder.chmod(0o700)
