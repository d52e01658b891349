"""Row bertopic-threads: its topics as story threads, beside ours."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from recommender import Article, Recommender
from recommender.evaluation import bcubed
from scripts.benchmark.builds import topics_of, vectors_of
from scripts.benchmark.children import in_child
from scripts.benchmark.measures import Goal, Measure
from scripts.benchmark.workshop import Workshop
from scripts.measure_stream import articles_in, threads_in


def against_bertopic(shop: Workshop, gold: Path) -> list[Measure]:
    """Row bertopic-threads."""
    judged, index = labelled(gold, shop.folder), shop.folder / "index-gold"
    ours = in_child(threads_of_ours, str(judged), str(index))["f1"]
    theirs = in_child(threads_of_bertopic, str(judged), str(index))["f1"]
    return [
        Measure(
            row="bertopic-threads", what=f"threads of {gold.name}: B-cubed F1", against="BERTopic on the same vectors", ours=ours,
            reference=max(theirs.values()), goal=Goal(bound=1.0, least=True),
            note="BERTopic with " + ", ".join(f"min_topic_size={least}: {f1:.3f}" for least, f1 in theirs.items()),
        )
    ]  # fmt: skip


def threads_of_ours(file: str, index: str) -> dict[str, Any]:
    """In a child: B-cubed F1 of the threads that a build finds."""
    articles, gold = judged_articles(file)
    return {"f1": bcubed(threads_in(Recommender.build(articles, index), articles), gold).f1}


def threads_of_bertopic(file: str, index: str) -> dict[str, Any]:
    """In a child: B-cubed F1 of its topics on the vectors of the same build, by the size of the smallest; an article in none
    stands alone.
    """
    articles, gold = judged_articles(file)
    vectors, texts = vectors_of(index), [f"{article.title}\n{article.body}" for article in articles]
    f1 = {}
    for least in (10, 2):
        topics = zip(articles, topics_of(texts, vectors, least), strict=True)
        f1[str(least)] = bcubed({article.id: str(topic) for article, topic in topics if topic != -1}, gold).f1
    return {"f1": f1}


def judged_articles(file: str) -> tuple[list[Article], dict[str, str]]:
    """The articles, one of each id and in the order of an index of them, and the story of each."""
    articles, gold = articles_in(Path(file))
    return list({article.id: article for article in articles}.values()), gold


def labelled(gold: Path, folder: Path) -> Path:
    """Articles with the field `story`: the file itself, or for a CSV of id and story the articles that lie beside it."""
    if gold.suffix != ".csv":
        return gold
    with gold.open(encoding="utf-8", newline="") as file:
        stories = {row["id"]: row["story"] or f"alone {row['id']}" for row in csv.DictReader(file)}
    rows = [json.loads(line) for line in gold.with_name("articles.jsonl").read_text(encoding="utf-8").splitlines()]
    made = folder / "gold.jsonl"
    lines = [json.dumps(row | {"story": stories[row["id"]]}, ensure_ascii=False) for row in rows if row["id"] in stories]
    made.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return made
