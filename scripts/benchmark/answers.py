"""Rows related-warm, related-cold, draft: what an answer costs."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from recommender import Recommender
from scripts.benchmark.children import environment
from scripts.benchmark.measures import Goal, Measure, in_turn, percentile, seconds
from scripts.benchmark.workshop import Workshop, articles_of

COMMAND = [sys.executable, "-c", "from recommender.cli import main; main()"]


def warm(shop: Workshop) -> list[Measure]:
    """Row related-warm."""
    count = shop.largest
    found = shop.once(ask, str(shop.built(count).index), shop.size.questions)
    what = f"`related(id)` in process, warm, {count:,} articles"
    against = "`SELECT title ... WHERE id = ?` in the same file"
    select, slow = found["select"][0], max(found[name][1] for name in ("first", "again"))
    return [
        Measure(
            row="related-warm", what=f"{what}, asked for before: p50", against=against, unit="ms", ours=found["again"][0],
            reference=select, goal=Goal(bound=2.0), note="kept in memory until the index changes",
        ),
        Measure(
            row="related-warm", what=f"{what}, never asked for: p50", against=against, unit="ms", ours=found["first"][0],
            reference=select, goal=Goal(bound=2.0), note="titles, threads and reasons of five articles",
        ),
        Measure(
            row="related-warm", what=f"{what}, either: p99", unit="ms", ours=slow, goal=Goal(bound=1.0),
            note=f"p99 of the SELECT {found['select'][1]:.3f} ms",
        ),
    ]  # fmt: skip


def ask(index: str, questions: int) -> dict[str, Any]:
    """In a child: p50 and p99 in milliseconds of lists of articles drawn at random, of the same again, and of a bare SELECT."""
    engine = Recommender.open(index)
    (file,) = Path(index).glob("store-*.sqlite")
    with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)) as db:
        db.execute("PRAGMA mmap_size = 268435456")
        ids = [article for (article,) in db.execute("SELECT id FROM articles ORDER BY row")]
        chosen = random.Random(2).sample(ids, min(len(ids), questions + 100))
        for article in chosen[questions:]:  # so that nothing is done for the first time
            engine.related(article)
            db.execute("SELECT title FROM articles WHERE id = ?", (article,)).fetchone()
        times: dict[str, list[float]] = {"first": [], "again": [], "select": []}
        for name in ("first", "again"):
            for article in chosen[:questions]:
                start = time.perf_counter()
                engine.related(article)
                middle = time.perf_counter()
                db.execute("SELECT title FROM articles WHERE id = ?", (article,)).fetchone()
                times["select"].append(1000 * (time.perf_counter() - middle))
                times[name].append(1000 * (middle - start))
    return {name: [percentile(found, 0.5), percentile(found, 0.99)] for name, found in times.items()}


def cold(shop: Workshop) -> list[Measure]:
    """Row related-cold: processes started in turn."""
    count = shop.largest
    index = shop.built(count).index
    article = str(next(Recommender.open(index).all_related()).id)
    ours = [*COMMAND, "related", article, "--index", str(index)]
    reference = [sys.executable, "-c", "import typer"]
    for command in (ours, reference):  # compiled, and in the cache of the disk
        _start(command)
    first, second = in_turn(shop.size.starts, lambda: 1000 * _start(ours), lambda: 1000 * _start(reference))
    bare = percentile([1000 * _start([sys.executable, "-c", ""]) for _ in range(shop.size.starts)], 0.5)
    return [
        Measure(
            row="related-cold", what=f"`recommender related ID`, whole process, {count:,} articles",
            against='`python -c "import typer"`', unit="ms", ours=first, reference=second, goal=Goal(bound=2.0),
            note=f'`python -c ""` {bare:.0f} ms; {_modules_of(ours)} modules imported',
        )
    ]  # fmt: skip


def _start(command: list[str]) -> float:
    return seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment()))


def _modules_of(command: list[str]) -> int:
    """Modules that a command of ours imports, the interpreter's own included."""
    timed = [command[0], "-X", "importtime", *command[1:]]
    told = subprocess.run(timed, check=True, capture_output=True, text=True, env=environment()).stderr
    return sum(line.startswith("import time:") for line in told.splitlines()) - 1


def draft(shop: Workshop) -> list[Measure]:
    """Row draft."""
    count = shop.largest
    found = shop.once(ask_for_drafts, str(shop.built(count).index), str(shop.texts(count).later))
    return [
        Measure(
            row="draft", what=f"a draft's list, warm, {count:,} articles: p50", against="its encoding alone", unit="ms",
            ours=found["ours"], reference=found["encoding"], goal=Goal(bound=3.0),
            note=f"the first, which reads the index into memory, {found['first']:.1f} s",
        )
    ]  # fmt: skip


def ask_for_drafts(index: str, file: str) -> dict[str, Any]:
    """In a child: the medians in milliseconds of lists of drafts and of their encoding, from text to vector, in turn."""
    from recommender.archives.loading import load
    from recommender.pipeline.content import content_of
    from recommender.pipeline.counting import count_terms
    from recommender.pipeline.embedding import reading
    from recommender.storage.store import Store

    engine, archive = Recommender.open(index), load(Store.open(index))
    drafts = articles_of(file)[:60]
    first = seconds(lambda: engine.related_to(drafts[0]))
    ours, encoding = [], []
    for article in drafts:
        ours.append(1000 * seconds(lambda article=article: engine.related_to(article)))  # type: ignore[misc]
        start = time.perf_counter()
        scratch = archive.vocabulary.scratch()
        content = content_of(article, archive.boilerplate)
        reading(archive.encoder, scratch).encode([content], count_terms([content], scratch, learn=False))
        encoding.append(1000 * (time.perf_counter() - start))
    return {"ours": percentile(ours[5:], 0.5), "encoding": percentile(encoding[5:], 0.5), "first": first}
