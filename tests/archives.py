"""Archives with planted stories, made of invented words: two articles share words only where they share a story."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from recommender import Article

FIRST_DAY = datetime(2024, 6, 1, 9, tzinfo=UTC)
SYLLABLES = ("ba", "do", "fi", "gu", "ka", "le", "mo", "nu", "pa", "ri", "so", "tu", "va", "wi", "xo", "ze")


def word(rng: random.Random) -> str:
    """A word of six syllables; of 16 million no two are the same."""
    return "".join(rng.choices(SYLLABLES, k=6))


def report(article_id: str, story: str, day: float | None, *, section: str = "World", edition: int = 0) -> Article:
    """An article on a story: a headline of the story's own, most of its words, a name, and some words of its own.

    Another `edition` is another text on the same story.
    """
    told = random.Random(story)
    name = f"{word(told).capitalize()} {word(told).capitalize()}"
    words = [word(told) for _ in range(30)]
    own = random.Random(f"{article_id} {edition}")
    text = [*own.sample(words, 22), *(word(own) for _ in range(12))]
    own.shuffle(text)
    return Article(
        id=article_id,
        title=f"{words[0].capitalize()} {words[1]} for {name} {word(own)}",
        body=f"so {name} {' '.join(text[:17])}. then {name} {' '.join(text[17:])}.",
        published=None if day is None else FIRST_DAY + timedelta(days=day),
        section=section,
        url=f"https://news.example/{article_id}",
    )


def newspaper(stories: int, articles: int, singles: int = 0) -> list[Article]:
    """That many stories of so many articles each, a day apart, and articles that stand alone; ids are like s02a1 and x5."""
    told = [report(f"s{story:02}a{number}", f"story {story}", number) for story in range(stories) for number in range(articles)]
    return [*told, *(report(f"x{number}", f"single {number}", number) for number in range(singles))]


def planted(articles: Sequence[Article]) -> list[list[str]]:
    """The stories of two articles and more of a newspaper, by the ids."""
    stories: dict[str, list[str]] = {}
    for article in articles:
        if article.id.startswith("s"):
            stories.setdefault(article.id[:3], []).append(article.id)
    return sorted(ids for ids in stories.values() if len(ids) > 1)
