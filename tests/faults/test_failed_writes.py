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
from unittest.mock import patch

import pytest

from recommender import Recommender
from recommender.errors import RecommenderError
from recommender.pipeline.index import VectorIndex
from recommender.writing import updating
from tests.faults.harness import ROOT, TIMES, State, answers_of, article, report_totals, state_of
from tests.faults.refusing import FAILURES, POSSIBLE

BASE: State = {f"s{story:02}a{number}": 0 for story in range(8) for number in range(5)}
ARTICLES = [article(*one) for one in BASE.items()]


def come_in(index: Path) -> None:
    """Add to a small index in the transaction of a large one: it is not made anew."""
    with patch.object(updating, "OUTGROWN_AT_MOST", 0):
        Recommender.open(index).add([article(f"s{n:02}a5", 0) for n in range(8)])


WRITES: dict[str, Callable[[Path], object]] = {
    "build": lambda index: Recommender.build(ARTICLES[:30], index),
    "add": lambda index: Recommender.open(index).add([article("s00a5", 0)]),
    "add many": lambda index: Recommender.open(index).add([article(f"s{n:02}a5", 0) for n in range(8)]),
    "add without a new fit": come_in,
    "update": lambda index: Recommender.open(index).add([article("s00a1", 1)]),
    "remove": lambda index: Recommender.open(index).remove(["s00a1", "s05a2"]),
    "rebuild": lambda index: Recommender.open(index).rebuild(),
    "compact": lambda index: Recommender.open(index).compact(),
    "backup": lambda index: Recommender.open(index).backup(index.with_name("file")),
    "restore": lambda index: Recommender.restore(index.with_name("good"), index),
}

LIMITED = """
import resource, sys
from pathlib import Path
from recommender import Recommender, RecommenderError
from tests.faults.test_failed_writes import WRITES
import recommender.upkeep.backups, recommender.writing.building, recommender.upkeep.compaction, recommender.writing.updating
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
@pytest.mark.parametrize("does", ["build", "add many", "rebuild", "compact", "backup", "restore"])
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


FAILING = """
import shutil, sys, threading, time
from pathlib import Path
from recommender import RecommenderError
from tests.faults.refusing import FAILURES
from tests.faults.test_failed_writes import WRITES
folder, failure, does, when = Path(sys.argv[1]), FAILURES[sys.argv[2]], WRITES[sys.argv[3]], float(sys.argv[4])
for copy in ("warm", "timed"):
    shutil.copytree(folder, folder.with_name(folder.name + copy))
    started = time.perf_counter()
    does(folder.with_name(folder.name + copy) / "index")
    usual = time.perf_counter() - started
threading.Timer(when * usual, failure).start()
try:
    does(folder / "index")
    print("done")
except RecommenderError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.skipif(not POSSIBLE, reason="the kernel is asked to refuse")
@pytest.mark.parametrize("failure", FAILURES)
def test_a_disk_that_fails_from_some_moment_on_loses_nothing(failure: str, built: Path, tmp_path: Path) -> None:
    """All writes, or all syncs, those of SQLite too, fail from a random moment of each write on: it is done or says that it
    failed; then the state is that before, or, where the disk failed only after the last word was written, that after."""
    rng, totals = random.Random(5), Counter[str]()
    before = answers_of(built / "index")
    for number in range(len(WRITES) * TIMES):
        does = list(WRITES)[number % len(WRITES)]
        folder = Path(shutil.copytree(built, tmp_path / str(number) / "at "))
        command = [sys.executable, "-c", FAILING, str(folder), failure, does, str(rng.uniform(0.0, 1.0))]
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, timeout=120
        )
        assert done.returncode == 0, (does, done.stderr)
        assert done.stdout.count("\n") == 1
        state, answers = state_of(folder / "index"), answers_of(folder / "index")
        if done.stdout == "done\n":
            totals["done all the same"] += 1
        else:
            refused_to_read = "cannot be read" in done.stdout  # what had been written: SQLite makes small files even to read
            assert "cannot be written" in done.stdout or refused_to_read, (does, done.stdout)
            totals["failed clearly"] += 1
            if answers != before:
                assert failure == "sync" or refused_to_read, (does, done.stdout)
                assert "nothing was changed" not in done.stdout, (does, done.stdout)
                assert state == state_of(folder.with_name("at timed") / "index"), does
                totals["said to have failed, and done"] += 1
        shutil.rmtree(folder.parent)
    report_totals(f"disks that fail, {failure}", totals)
    assert totals["failed clearly"] > 0


READ_ONLY = """
import os, sys
from pathlib import Path
from recommender import RecommenderError
from tests.faults.harness import answers_of
from tests.faults.refusing import be_like_others
from tests.faults.test_failed_writes import WRITES
index = Path(sys.argv[1])
if os.geteuid() == 0:
    be_like_others()
expected = answers_of(index)
for does, write in WRITES.items():
    try:
        write(index)
        print(does, "was done")
    except RecommenderError as error:
        if "cannot be written" not in str(error):
            print(does, error)
    if answers_of(index) != expected:
        print(does, "changed answers")
print("asked", len(WRITES))
"""


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.skipif(not POSSIBLE and os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_without_the_right_to_write_is_one_clear_error(index: Path) -> None:
    """Nor in its files: nothing can be written, all can be read, whichever write it is."""
    for file in index.iterdir():
        file.chmod(0o400)
    for folder in (index, index.parent):
        folder.chmod(0o500)
    try:
        command = [sys.executable, "-c", READ_ONLY, str(index)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    finally:
        for folder in (index, index.parent):
            folder.chmod(0o700)
    assert done.stdout == f"asked {len(WRITES)}\n", done.stderr
