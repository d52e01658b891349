"""Whether adding articles gives the index that a build gives: B-cubed F1 between the threads, and quality against gold.

    python scripts/measure_stream.py ARTICLES.jsonl[.gz] [--batch 100] [--first 100] [--no-refit]

The articles are taken in the order of their dates. Gold (`story`) is used where the rows have it: B-cubed F1 of the threads,
nDCG@5 of the lists in order of relevance. `--no-refit` leaves the index as it was fitted, however much it grows.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import fmean

from recommender import Article, Recommender
from recommender.evaluation import bcubed, ndcg_at_k
from recommender.pipeline.articles import article_from_row
from recommender.writing import updating


def articles_in(path: Path) -> tuple[list[Article], dict[str, str]]:
    """The articles in order of time, and the gold story of each; empty where there is none."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    gold = {row["id"]: row.pop("story") for row in rows if "story" in row}
    articles = [article_from_row({name: value for name, value in row.items() if name != "topic"}) for row in rows]
    return sorted(articles, key=lambda a: (a.published is None, a.published.timestamp() if a.published else 0.0)), gold


def threads_in(engine: Recommender, articles: list[Article]) -> dict[str, str]:
    """Thread of each article; its own where it stands alone."""
    alone = {article.id: f"alone {article.id}" for article in articles}
    return alone | {article: thread.id for thread in engine.threads() for article in thread.article_ids}


def ndcg(engine: Recommender, gold: dict[str, str]) -> float:
    """Mean nDCG@5 of the lists in order of relevance over the articles whose story has others."""
    stories: dict[str, set[str]] = defaultdict(set)
    for article, story in gold.items():
        stories[story].add(article)
    lists = {one.id: [item.id for item in one.items] for one in engine.all_related(5, profile="similar")}
    several = [article for article, story in gold.items() if len(stories[story]) > 1 and article in lists]
    return fmean(ndcg_at_k(lists[one], dict.fromkeys(stories[gold[one]] - {one}, 1.0), 5) for one in several)


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("articles", type=Path)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--first", type=int, default=100, help="articles of the build that the adds begin with")
    parser.add_argument("--most", type=int, help="only the first so many articles")
    parser.add_argument("--no-refit", action="store_true")
    arguments = parser.parse_args()
    if arguments.no_refit:
        updating.OUTGROWN_AT_MOST = 0
    articles, gold = articles_in(arguments.articles)
    articles = articles[: arguments.most]
    with tempfile.TemporaryDirectory() as folder:
        built = Recommender.build(articles, Path(folder) / "whole")
        whole = threads_in(built, articles)
        grown = Recommender.build(articles[: arguments.first], Path(folder) / "grown")
        for start in range(arguments.first, len(articles), arguments.batch):
            grown.add(articles[start : start + arguments.batch])
        streamed, fitted = threads_in(grown, articles), grown.info()["articles_at_build"]
        gold = {article.id: gold[article.id] for article in articles if article.id in gold}
        lists = f"{ndcg(built, gold):.3f}, stream {ndcg(grown, gold):.3f}" if gold else ""
    agreement = bcubed(streamed, whole).f1
    line = f"{arguments.articles.name}: {len(articles)} articles, batches of {arguments.batch}, last fit at {fitted}"
    line += f"; threads agree {agreement:.3f}"
    if gold:
        line += f"; B-cubed against gold: build {bcubed(whole, gold).f1:.3f}, stream {bcubed(streamed, gold).f1:.3f}"
        line += f"; nDCG@5: build {lists}"
    print(line)


if __name__ == "__main__":
    main()
