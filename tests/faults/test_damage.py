"""Bytes of an index are flipped and its files cut short: each command answers or ends with 4, and `repair` saves what it says."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recommender import Recommender
from recommender.cli import app
from recommender.errors import IndexUnusableError
from recommender.pipeline.index import VectorIndex
from tests.faults.harness import TIMES, State, article, report_totals, state_of

BASE: State = {f"s{story:02}a{number}": 0 for story in range(8) for number in range(5)}
DAMAGES = 60 * TIMES
QUESTIONS = (
    ("related", "s00a0", "--json", "-k", "20"),
    ("related", "--all", "-k", "20"),
    ("related", "--text", article("s03a2", 3).body),
    ("threads", "--json"),
    ("explain", "s00a0", "s00a1", "--json"),
    ("info",),
)


def run(index: Path, *arguments: str) -> Result:
    """A command; where it does not answer it says why in one line."""
    done = CliRunner().invoke(app, [*arguments, "--index", str(index), "--debug"])
    if done.exit_code not in (0, 3) and "check" not in arguments:
        lines = done.stderr.splitlines()
        assert lines[-1].startswith("error: index "), (arguments, done.stderr)
        assert done.exit_code == 4, (arguments, done.stderr)
    return done


def damage(index: Path, rng: random.Random) -> str:
    """Change some bytes of one of the files, or cut it short; says what was done."""
    files = sorted(path for path in index.iterdir() if path.stat().st_size)
    weights = [8 if path.name.endswith(".sqlite") else 1 for path in files]
    (file,) = rng.choices(files, weights)
    content = bytearray(file.read_bytes())
    if rng.random() < 0.2:
        file.write_bytes(content[: rng.randrange(len(content))])
        return "cut short"
    for _ in range(rng.choice((1, 1, 8, 64))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    return "flipped"


@pytest.mark.slow
@pytest.mark.faults
def test_no_damage_brings_a_traceback_and_repair_saves_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command ends with 0, 3 or 4; of wrong answers `check` knows; what `repair` saves is whole and counted right."""
    monkeypatch.setattr(VectorIndex.__init__, "__kwdefaults__", {"exact_limit": 20})
    built, rng, totals = tmp_path / "built", random.Random(11), Counter[str]()
    Recommender.build([article(*one) for one in BASE.items()], built).close()
    expected = [run(built, *question).stdout for question in QUESTIONS[:-1]]
    for number in range(DAMAGES):
        index = Path(shutil.copytree(built, tmp_path / str(number)))
        totals[damage(index, rng)] += 1
        found = [run(index, *question) for question in QUESTIONS]
        wrong = [done for done, right in zip(found, expected, strict=False) if done.exit_code != 4 and done.stdout != right]
        totals["answers refused"] += sum(done.exit_code == 4 for done in found)
        totals["answers right"] += len(found) - len(wrong) - sum(done.exit_code == 4 for done in found)
        totals["answers wrong"] += len(wrong)
        sound = run(index, "check").exit_code == 0
        totals["damage found by check"] += not sound
        totals["answers wrong and check sound"] += len(wrong) if sound else 0
        writes(index, tmp_path / f"{number}w", rng)
        saved(index, totals)
        shutil.rmtree(index)
    report_totals("damage", totals)
    assert totals["answers wrong and check sound"] <= totals["answers right"] // 100


def writes(index: Path, copy: Path, rng: random.Random) -> None:
    """Add to and remove from a copy: done, or refused clearly."""
    shutil.copytree(index, copy)
    rows = copy / "rows.jsonl"
    new = article("s01a5", 0)
    rows.write_text(f'{{"id": "{new.id}", "title": "{new.title}", "body": "{new.body}"}}\n', encoding="utf-8")
    run(copy, *rng.choice((("add", str(rows)), ("remove", "s02a1"), ("compact",), ("backup", str(copy / "file")))))
    shutil.rmtree(copy)


def saved(index: Path, totals: Counter[str]) -> None:
    """Repair it; what is there then is sound and whole, and with what is lost it is all there was."""
    try:
        done = Recommender.repair(index)
    except IndexUnusableError:
        totals["repair refused"] += 1
        return
    state = state_of(index)
    assert state.items() <= BASE.items()
    assert done.saved == len(state)
    assert done.saved + done.lost >= len(BASE)
    assert not set(done.lost_ids) & set(state)
    totals["repaired" if done.kept else "sound already"] += 1
    totals["articles saved"] += done.saved
    totals["articles lost"] += done.lost
