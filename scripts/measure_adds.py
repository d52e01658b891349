"""What it costs to add to a large index: one article at a time and a thousand at once, each in a durable transaction.

    python -m scripts.measure_adds ARTICLES.jsonl[.gz] [--sizes 5000,20000,100000] [--ones 100] [--batch 1000]

Of each size: an index is built of all but the articles that are added, drawn at random; the first add, which reads the index
into memory, is told apart. An archive that is too small is varied (`scripts/varied.py`). Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path
from statistics import median

from recommender import Article, Recommender
from recommender.writing import updating
from scripts.measure_stream import articles_in
from scripts.varied import varied


def seconds(engine: Recommender, articles: list[Article]) -> float:
    """What one call takes."""
    start = time.perf_counter()
    engine.add(articles)
    return time.perf_counter() - start


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("articles", type=Path)
    parser.add_argument("--sizes", default="5000,20000,100000")
    parser.add_argument("--ones", type=int, default=100)
    parser.add_argument("--batch", type=int, default=1000)
    arguments = parser.parse_args()
    updating.OUTGROWN_AT_MOST = 0  # a new fit is a build
    given = articles_in(arguments.articles)[0]
    print("| articles | build, s | first add, s | one: median, ms | p90, ms | of a batch: each, ms |\n|---|---|---|---|---|---|")
    for size in map(int, arguments.sizes.split(",")):
        articles = list(varied(given, size))
        later = random.Random(1).sample(range(size), 1 + arguments.ones + arguments.batch)
        chosen = set(later)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            there = [article for number, article in enumerate(articles) if number not in chosen]
            engine = Recommender.build(there, Path(folder) / "index")
            built = time.perf_counter() - start
            first = seconds(engine, [articles[later[0]]])
            ones = sorted(seconds(engine, [articles[number]]) for number in later[1 : 1 + arguments.ones])
            batch = seconds(engine, [articles[number] for number in later[1 + arguments.ones :]]) / arguments.batch
            engine.close()
        p90 = ones[int(0.9 * len(ones))]
        row = (f"{built:.0f}", f"{first:.1f}", f"{1e3 * median(ones):.0f}", f"{1e3 * p90:.0f}", f"{1e3 * batch:.1f}")
        print(f"| {size:,} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
