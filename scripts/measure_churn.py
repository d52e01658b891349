"""How thread ids last while a day comes in: the articles in order of time, in batches, with a rebuild in the middle.

    python scripts/measure_churn.py ARTICLES.jsonl[.gz] [--batch 20] [--first 500] [--most N]

An article whose thread id is another one than before the batch counts as *moved*; as *unlogged* if no merge or split of the
log names it. Prints the shares, the changes by kind, and how far the threads agree with a build at once (B-cubed F1).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from recommender import Recommender
from recommender.evaluation import bcubed
from scripts.measure_stream import articles_in, threads_in


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("articles", type=Path)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--most", type=int)
    arguments = parser.parse_args()
    articles = articles_in(arguments.articles)[0][: arguments.most]
    moved = unlogged = steps = known = 0
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        engine = Recommender.build(articles[: arguments.first], Path(folder) / "index")
        batches = range(arguments.first, len(articles), arguments.batch)
        seen = len(engine.changes())
        before = {article: thread.id for thread in engine.threads() for article in thread.article_ids}
        for number, start in enumerate(batches):
            engine.add(articles[start : start + arguments.batch])
            if number == len(batches) // 2:
                engine.rebuild()
            changes = engine.changes()[seen:]
            seen += len(changes)
            kinds.update(one.kind for one in changes)
            named = {article for one in changes if one.kind in ("merged", "split") for article in one.article_ids}
            after = {article: thread.id for thread in engine.threads() for article in thread.article_ids}
            changed = {article for article, thread in before.items() if after.get(article, thread) != thread}
            moved, unlogged, steps, known = moved + len(changed), unlogged + len(changed - named), steps + 1, known + len(before)
            before = after
        streamed = threads_in(engine, articles)
        whole = threads_in(Recommender.build(articles, Path(folder) / "whole"), articles)
    print(f"{steps} batches; of {known:,} articles in threads at their beginnings {moved} moved, {unlogged} of them unlogged")
    print(f"changes: {dict(sorted(kinds.items()))}; threads agree with a build at once {bcubed(streamed, whole).f1:.3f}")


if __name__ == "__main__":
    main()
