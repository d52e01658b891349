"""Arguments, the rows one after another, and what is written of them.

    python -m scripts.benchmark [--size small|medium|full] [--only ROW,...] [--articles FILE] [--gold FILE]
        [--json FILE] [--markdown FILE] [--page FILE] [--plots DIR] [--work DIR] [--with FILE]

The texts are those of the sample newsroom unless a file of articles is given, and varied (scripts/varied.py) where more are
wanted. `--gold`: articles with the field `story`, or the CSV of the sample. A row that fails says why; the others go on. What
takes very long may be run before (`--only million --json FILE`) and come beside the others (`--with FILE`); it says so then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

from recommender import RecommenderError
from scripts.benchmark import adds, answers, builds, encoding, machine, plots, quality, report, search
from scripts.benchmark.children import NotMeasuredError
from scripts.benchmark.curves import curves
from scripts.benchmark.measures import Measure
from scripts.benchmark.sizes import SIZES
from scripts.benchmark.workshop import Workshop, articles_of

SAMPLE = Path(str(resources.files("recommender") / "sample"))

Row = Callable[[Workshop], list[Measure]]


def rows(gold: Path) -> dict[str, Row]:
    """What can be measured, in the order of the table."""
    return {
        "build": builds.against_floor,
        "bertopic": builds.against_bertopic,
        "bertopic-threads": partial(quality.against_bertopic, gold=gold),
        "growth": builds.growth,
        "memory": builds.memory,
        "million": builds.million,
        "related-warm": answers.warm,
        "related-cold": answers.cold,
        "draft": answers.draft,
        "add": adds.add,
        "search": search.search,
        "usearch": search.beside_usearch,
        "txtai": search.beside_txtai,
        "encoding": encoding.encoding,
        "disk": builds.disk,
    }


def measured(wanted: Mapping[str, Row], shop: Workshop) -> list[Measure]:
    """Row after row."""
    found: list[Measure] = []
    for name, row in wanted.items():
        start = time.perf_counter()
        try:
            new = row(shop)
        except (NotMeasuredError, RecommenderError, OSError, subprocess.SubprocessError) as error:
            new = [Measure(row=name, what="not measured", note=str(error))]
        found += new
        print(f"{name}: {time.perf_counter() - start:.0f} s", *map(report.line, new), sep="\n", file=sys.stderr, flush=True)
    return found


def arguments() -> argparse.Namespace:
    """Those of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--only", default="", help=", ".join(rows(SAMPLE)))
    parser.add_argument("--articles", type=Path, default=SAMPLE / "articles.jsonl")
    parser.add_argument("--gold", type=Path, default=SAMPLE / "gold.csv")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--page", type=Path, help="a page, such as docs/performance.md, whose table is replaced")
    parser.add_argument("--plots", type=Path)
    parser.add_argument("--with", type=Path, dest="earlier", help="the JSON of a run of other rows, which come beside these")
    parser.add_argument("--work", type=Path, help="where articles and indexes are made; else a folder that is deleted")
    given = parser.parse_args()
    given.only = [name for name in given.only.split(",") if name]
    if unknown := set(given.only) - set(rows(SAMPLE)):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(rows(SAMPLE))}")
    return given


def main() -> None:
    """Print the table, and write what is asked for."""
    given = arguments()
    start = time.perf_counter()
    facts: dict[str, Any] = {"size": given.size, "articles": given.articles.name, "environment": machine.environment()}
    wanted = {name: row for name, row in rows(given.gold).items() if name in given.only or not given.only}
    earlier = report.from_json(json.loads(given.earlier.read_text(encoding="utf-8"))) if given.earlier else {}
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        shop = Workshop(Path(folder), articles_of(given.articles), SIZES[given.size])
        measures = measured({name: row for name, row in wanted.items() if name not in earlier}, shop)
        measures = [one for name in wanted for one in [*measures, *earlier.get(name, [])] if one.row == name]
        drawn = curves(shop, set(wanted) - set(earlier)) if given.plots or given.json else {}
    facts |= {"seconds": round(time.perf_counter() - start, 1), "load_after": round(os.getloadavg()[0], 2)}
    table = report.as_markdown(measures, facts)
    print(table)
    if given.markdown:
        given.markdown.write_text(table, encoding="utf-8")
    run = report.as_json(measures, facts | {"curves": drawn})
    if given.page:
        given.page.write_text(report.placed(given.page.read_text(encoding="utf-8"), table), encoding="utf-8")
    if given.json:
        given.json.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if given.plots:
        plots.draw(run, given.plots)


if __name__ == "__main__":
    main()
