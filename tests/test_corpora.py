"""Floors on labelled news that does not ship with the project: measured where it lies beside it, else skipped."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from recommender import Recommender
from recommender.evaluation import bcubed, ndcg_at_k
from recommender.pipeline.articles import article_from_row

pytestmark = pytest.mark.slow

CORPORA = Path(os.environ.get("RECOMMENDER_CORPORA", Path(__file__).parents[2] / "shared/data"))
"""Gzipped JSON Lines with `story`, and `topic` where there are two levels."""


@pytest.mark.parametrize(
    ("name", "least_ndcg", "least_bcubed"), [("ecbplus", 0.988, 0.91), ("fnc1", 0.98, 0.93), ("wikinews", 0.817, 0.795)]
)
def test_quality_does_not_fall(name: str, least_ndcg: float, least_bcubed: float, tmp_path: Path) -> None:
    """nDCG@5 of `similar` over the articles that have a mate, and B-cubed F1 of the threads; measured a little above."""
    path = CORPORA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not here; name its folder in RECOMMENDER_CORPORA")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    story = {row["id"]: row.pop("story") for row in rows}
    topic = {row["id"]: row.pop("topic", None) or story[row["id"]] for row in rows}
    engine = Recommender.build((article_from_row(row) for row in rows), tmp_path / "index")
    values = []
    for article, own in story.items():
        gains = {
            other: 2.0 if story[other] == own else 1.0 for other in story if other != article and topic[other] == topic[article]
        }
        if 2.0 in gains.values():
            values.append(ndcg_at_k(engine.related_ids(article, profile="similar"), gains, 5))
    threads = {article: thread.id for thread in engine.threads() for article in thread.article_ids}
    assert np.mean(values) >= least_ndcg
    assert bcubed(threads, story).f1 >= least_bcubed
