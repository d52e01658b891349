"""As many articles as are wanted, made of those there are: later by their whole span, with other names and other numbers.

A copy of an archive of its own kind: its stories are as large and as close as those of the first, and none of them is the same.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from recommender import Article

NAME = re.compile(r"\b[A-Z][a-z]{2,}\b")
NUMBER = re.compile(r"\b\d+\b")


def varied(articles: list[Article], n: int) -> Iterator[Article]:
    """The first n of the articles, then of their copies."""
    dates = [article.published for article in articles if article.published]
    span = max(dates) - min(dates) + timedelta(days=1) if dates else timedelta()
    often = Counter(word for article in articles for word in set(NAME.findall(article.body)))
    names = sorted(word for word, count in often.items() if 1 < count < len(articles) / 50)
    for number in range(n):
        round_, place = divmod(number, len(articles))
        if place == 0:
            others = names.copy()
            random.Random(round_).shuffle(others)
            swapped = dict(zip(names, others, strict=True)) if round_ else {}
        yield _copy(articles[place], round_, span, swapped) if round_ else articles[place]


def _copy(article: Article, number: int, span: timedelta, swapped: dict[str, str]) -> Article:
    def other(text: str) -> str:
        text = NAME.sub(lambda found: swapped.get(found[0], found[0]), text)
        return NUMBER.sub(lambda found: str(int(found[0]) + number) if len(found[0]) < 9 else found[0], text)

    published = article.published + number * span if article.published else None
    return replace(
        article, id=f"{article.id}+{number}", url=None, title=other(article.title), body=other(article.body), published=published
    )
