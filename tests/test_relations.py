"""The relations against a planted truth: twins as agencies and desks make them, and the truth of the sample newsroom."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from recommender import Article, Recommender
from recommender.pipeline.articles import article_from_row

pytestmark = pytest.mark.slow

SAMPLE = resources.files("recommender.sample")


def newsroom() -> list[Article]:
    """The articles of the sample newsroom."""
    lines = SAMPLE.joinpath("articles.jsonl").read_text(encoding="utf-8").splitlines()
    return [article_from_row(json.loads(line)) for line in lines]


def rewritten(article: Article, share: float, archive: list[Article]) -> Article:
    """Its twin of the same day: another headline, an agency's line before it, the end cut, and a share of its words replaced."""
    rng = random.Random(f"{article.id} {share}")
    others = " ".join(other.body for other in rng.sample(archive, 20)).split()
    words = article.body.split()
    words = words[: int(len(words) * (1 - share / 2))]
    words = [rng.choice(others) if rng.random() < share else word for word in words]
    title = " ".join(rng.sample(article.title.split(), len(article.title.split()) // 2)) + " - what we know"
    published = article.published and article.published + timedelta(hours=rng.uniform(0.5, 20))
    return Article(id=f"twin {article.id}", title=title, body=f"(Wire desk) {' '.join(words)}", published=published)


def planted(share: float) -> tuple[list[Article], set[frozenset[str]]]:
    """The newsroom with twins of 60 articles, and the pairs that are twins."""
    archive = newsroom()
    chosen = random.Random(7).sample([one for one in archive if one.published and len(one.body) > 200], 60)
    truth: dict[str, Any] = json.loads(SAMPLE.joinpath("truth.json").read_text(encoding="utf-8"))
    twins = {frozenset((one.id, f"twin {one.id}")) for one in chosen} | {frozenset(pair) for pair in truth["twins"]}
    for one, other in truth["twins"]:  # the copy of a copy is a copy
        twins |= {
            frozenset((f"twin {one}", other)),
            frozenset((f"twin {other}", one)),
            frozenset((f"twin {one}", f"twin {other}")),
        }
    return [*archive, *(rewritten(one, share, archive) for one in chosen)], twins


def called_duplicates(engine: Recommender, articles: list[Article]) -> set[frozenset[str]]:
    """The pairs that any list of the engine calls duplicate."""
    return {
        frozenset((article.id, item.id))
        for article in articles
        for item in engine.related(article.id, k=20, profile="similar")
        if item.relation == "duplicate"
    }


@pytest.mark.parametrize(("share", "recall"), [(0.0, 1.0), (0.05, 0.9), (0.1, 0.65)])
def test_rewritten_twins_are_duplicates(share: float, recall: float, tmp_path: Path) -> None:
    """Of sixty twins of which a share of the words were replaced at least so many are found; nothing else is called duplicate."""
    articles, twins = planted(share)
    engine = Recommender.build(articles, tmp_path / "index")
    found = called_duplicates(engine, articles)
    planted_twins = {pair for pair in twins if any(one.startswith("twin ") for one in pair) and pair <= {a.id for a in articles}}
    assert len(found & planted_twins) / len(planted_twins) >= recall
    assert len(found & twins) / len(found) == 1


def test_same_story_is_the_editors(newsroom_index: Path, newsroom_truth: dict[str, Any]) -> None:
    """Of the pairs that sidebars call same-story 85 in 100 are of one thread of the truth; 142 pairs are rightly called so, about
    half of those of one thread that sidebars show."""
    engine = Recommender.open(newsroom_index)
    thread = {article: name for name, members in newsroom_truth["threads"].items() for article in members}
    called, of_one_thread = set(), set()
    for article in newsroom():
        for item in engine.related(article.id):
            pair = frozenset((article.id, item.id))
            if item.relation == "same-story":
                called.add(pair)
            if thread.get(article.id, article.id) == thread.get(item.id, item.id):
                of_one_thread.add(pair)
    assert len(called & of_one_thread) / len(called) >= 0.85
    assert len(called & of_one_thread) >= 140
    assert len(called & of_one_thread) / len(of_one_thread) >= 0.49
