"""What the fault tests share: how much to do, what is counted, and a process that writes until it is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from recommender import Article, Recommender
from recommender.storage.store import Store
from recommender.writing.records import articles_of
from tests.archives import report

TIMES = int(os.environ.get("RECOMMENDER_FAULTS", "1"))
"""How many times the short form's number of faults; `make test-faults` sets 15."""

ROOT = Path(__file__).parents[2]

State = dict[str, int]
"""Article id -> its edition: all that is told of an index."""


def article(article_id: str, edition: int) -> Article:
    """The article that an id and an edition stand for: s00a1 is of story 0, a day after s00a0."""
    story, _, number = article_id[1:].partition("a")
    return report(article_id, f"story {int(story)}", float(number), edition=edition)


def state_of(index: Path) -> State:
    """The articles of an index, each of which must be one that was given, whole; the index must be sound."""
    damage = Recommender.open(index).check()
    assert damage == [], damage
    store = Store.open(index)
    found = {}
    for stored in articles_of(store):
        found[stored.id] = next(edition for edition in range(100) if article(stored.id, edition) == stored)
    store.close()
    return found


def report_totals(name: str, totals: Counter[str]) -> None:
    """Print what was done; pytest shows it with -s, and `make test-faults` does."""
    sys.stdout.write(f"\n{name}: " + ", ".join(f"{what} {count:,}" for what, count in sorted(totals.items())) + "\n")


WRITER = """
import json, sys, tempfile
from recommender import Recommender
from recommender.writing import updating
from tests.faults.harness import article

at_most = updating.OUTGROWN_AT_MOST

def apply(index, order):
    updating.OUTGROWN_AT_MOST = at_most if order["refit"] else 0
    articles = [article(*one) for one in order["articles"]]
    if order["does"] == "build":
        Recommender.build(articles, index).close()
    elif order["does"] in ("add", "update"):
        Recommender.open(index).add(articles)
    elif order["does"] == "remove":
        Recommender.open(index).remove(one.id for one in articles)
    else:
        getattr(Recommender.open(index), order["does"])()

with tempfile.TemporaryDirectory() as folder:
    engine = Recommender.build([article(f"s00a{n}", 0) for n in range(3)], folder)
    apply(folder, {"does": "add", "articles": [("s00a3", 0)], "refit": False})
    engine.close()
print("ready", flush=True)
for line in sys.stdin:
    apply(sys.argv[1], json.loads(line))
    print("done", flush=True)
"""


class Writer:
    """Another process that writes to an index what it is told to.

    An index as small as these is made anew by nearly every `add`; without `refit` one is brought up to date in its transaction,
    as a large index always is.
    """

    def __init__(self, index: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", WRITER, str(index)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def order(self, does: str, state: State, *, refit: bool = True) -> None:
        """Let it begin to do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"does": does, "articles": list(state.items()), "refit": refit}) + "\n")
        self.process.stdin.flush()

    def wait(self) -> None:
        """Until it has done what it was told to."""
        said = self._line()
        assert said == "done", self.process.communicate()[1]

    def kill(self) -> bool:
        """Kill it; whether it had said that it was done."""
        self.process.kill()
        out, err = self.process.communicate()
        assert "Error" not in err, err
        return "done" in out


def after(state: State, does: str, given: State) -> State:
    """The state that an order leads to."""
    if does == "build":
        return dict(given)
    if does == "remove":
        return {one: edition for one, edition in state.items() if one not in given}
    return state | given if does in ("add", "update") else dict(state)


def answers_of(index: Path) -> dict[str, Any]:
    """What readers get, by question."""
    engine = Recommender.open(index)
    found = {f"related {one.id}": one.to_json() for one in engine.all_related(20)}
    return found | {f"thread {one.id}": one.to_json() for one in engine.threads()}
