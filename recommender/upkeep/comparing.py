"""Two indexes of the same articles -> how far they agree: what a rebuild would change, before it does."""

from __future__ import annotations

from collections.abc import Sequence

from recommender.evaluation import bcubed
from recommender.reports import Comparison
from recommender.storage.store import Store

MOST_NAMED = 100
"""Articles that are named as moved."""

K = 5
"""Places of a sidebar that are compared."""


def compare(one: Store, other: Store) -> Comparison:
    """Of the articles that both hold; an article in no thread is a story of its own."""
    lists, others = _lists(one), _lists(other)
    shared = [article for article in lists if article in others]
    threads, other_threads = _threads(one), _threads(other)
    in_a_thread = [article for article in shared if article in threads or article in other_threads]
    overlaps = {
        article: len(lists[article] & others[article]) / max(len(lists[article]), len(others[article]))
        for article in shared
        if lists[article] or others[article]
    }
    gold = {article: other_threads.get(article, f"alone {article}") for article in shared}
    return Comparison(
        articles=len(shared),
        only_one=len(lists) - len(shared),
        only_other=len(others) - len(shared),
        threads_agree=round(bcubed({a: t for a, t in threads.items() if a in others}, gold).f1, 4) if shared else None,
        ids_kept=_mean([threads.get(article) == other_threads.get(article) for article in in_a_thread]),
        lists_agree=_mean(list(overlaps.values())),
        moved=tuple(article for article, overlap in overlaps.items() if overlap == 0)[:MOST_NAMED],
    )


def _lists(store: Store) -> dict[str, set[str]]:
    lists = (store.listed(article, K, "sidebar") for article in store.article_ids())
    return {str(found.id): {item.id for item in found.items} for found in lists if found}


def _threads(store: Store) -> dict[str, str]:
    return {article: thread.id for thread in store.threads() for article in thread.article_ids}


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
