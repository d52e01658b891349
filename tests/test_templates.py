"""Archives that tempt: forms filled in again must not become a story, and a large or sleeping story must not fall apart."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recommender import Article, Recommender
from tests.archives import FIRST_DAY, word

pytestmark = pytest.mark.slow

COMMON = [word(random.Random(f"common {number}")) for number in range(250)]


def name(rng: random.Random) -> str:
    """A name that no other text has."""
    return word(rng).capitalize()


def at(day: float) -> datetime:
    """So many days after the first."""
    return FIRST_DAY + timedelta(days=day)


def others() -> list[Article]:
    """Three hundred articles of ninety days, each on a subject of its own."""
    made = []
    for number in range(300):
        rng = random.Random(f"other {number}")
        own, names = [word(rng) for _ in range(25)], [name(rng) for _ in range(4)]
        words = [*own, *own, *rng.choices(COMMON, k=60)]
        rng.shuffle(words)
        text = ". ".join(f"the {' '.join(words[at : at + 11])} {rng.choice(names)} said" for at in range(0, len(words), 11))
        made.append(Article(id=f"o{number}", title=f"{names[0]} {own[0]} {own[1]}", body=text, published=at(rng.random() * 90)))
    return made


def match_report(number: int, day: float) -> Article:
    """Two clubs, four players and a score; the rest is what every match report says."""
    rng = random.Random(f"match {number}")
    home, away, scorer, second, coach, captain = (name(rng) for _ in range(6))
    body = (
        f"{home} beat {away} {rng.randint(2, 6)}-1 in the league on Saturday after a first-half goal by {scorer} and a late "
        f"penalty from {second}. The home side dominated possession from the kick-off and the visitors {away} rarely threatened "
        f"the goalkeeper. The header by {scorer} from a corner opened the scoring before {second} doubled the lead from the "
        f"spot. Their coach {coach} said the defence lacked concentration. The captain {captain} praised the supporters after "
        f"the final whistle. The result lifts {home} in the table while {away} remain in the relegation places."
    )
    return Article(
        id=f"form{number}", title=f"{home} beat {away} as {scorer} strikes", body=body, published=at(day), section="Sports"
    )


def weekly_figures(number: int, day: float) -> Article:
    """The same survey with other numbers."""
    rng = random.Random(f"figures {number}")
    moved = rng.choice(["rose", "fell", "eased", "climbed"])
    share = [f"{rng.randint(1, 9)}.{rng.randint(0, 9)} percent" for _ in range(4)]
    body = (
        f"Mortgage applications {moved} last week as refinancing demand changed, an industry group said on Wednesday. The "
        f"seasonally adjusted index of application activity, which includes refinancing and home purchase demand, {moved} "
        f"{share[0]}. The refinancing index {moved} {share[1]} while the gauge of loan requests for home purchases moved "
        f"{share[2]}. Fixed rates averaged {share[3]}. The survey covers three quarters of retail residential applications."
    )
    return Article(
        id=f"form{number}", title=f"Mortgage applications {moved} last week", body=body, published=at(day), section="Business"
    )


def daily_column(number: int, day: float) -> Article:
    """The close of the exchange, each day with other companies."""
    rng = random.Random(f"column {number}")
    winner, loser, broker = (name(rng) for _ in range(3))
    moved = rng.choice(["rose", "fell", "slipped", "gained"])
    body = (
        f"Stocks {moved} {rng.randint(1, 3)} percent on the main exchange as investors weighed earnings and interest rates. The "
        f"benchmark index closed at {rng.randint(7000, 9000)} points, with banks and energy shares leading the move. Shares of "
        f"{winner} jumped after results while those of {loser} lost ground. Oil settled at {rng.randint(60, 90)} dollars a "
        f"barrel and gold traded higher. Analysts at {broker} said traders would watch the central bank."
    )
    return Article(id=f"form{number}", title=f"Closing bell: stocks {moved} as {winner} moves", body=body, published=at(day))


@pytest.mark.parametrize(
    ("form", "every", "largest"),
    [
        (match_report, 0.01, 1),
        (match_report, 7.0, 1),
        (weekly_figures, 7.0, 1),
        (weekly_figures, 30.0, 1),
        (daily_column, 1.0, 6),
    ],
)
def test_a_form_filled_in_again_is_no_story(
    form: Callable[[int, float], Article], every: float, largest: int, tmp_path: Path
) -> None:
    """Twelve issues of one form share most of their words; but for neighbouring days of a daily column no two are one thread."""
    engine = Recommender.build([*others(), *(form(number, 1 + every * number) for number in range(12))], tmp_path / "index")
    together = [sum(article.startswith("form") for article in thread.article_ids) for thread in engine.threads()]
    assert max(together, default=1) <= max(largest, 1)


def test_a_large_event_in_bare_headlines_is_one_thread(tmp_path: Path) -> None:
    """A hundred and fifty headlines of two days on one event, of which any two share two or three words, stay together."""
    told = random.Random("event")
    core, names = [word(told) for _ in range(4)], [name(told) for _ in range(4)]
    sides = [[word(told) for _ in range(4)] for _ in range(8)]
    headlines = []
    for number in range(150):
        rng = random.Random(f"headline {number}")
        words = [rng.choice(names), *rng.sample(core, 2), *rng.sample(rng.choice(sides), 2), *rng.choices(COMMON, k=2)]
        rng.shuffle(words)
        headlines.append(Article(id=f"h{number}", title=" ".join(words), published=at(30 + 2 * rng.random())))
    engine = Recommender.build([*others(), *headlines], tmp_path / "index")
    thread = engine.thread_of("h0")
    assert thread is not None
    assert sum(article.startswith("h") for article in thread.article_ids) >= 140
    assert all(article.startswith("h") for article in thread.article_ids)


def test_a_story_wakes_after_two_months(tmp_path: Path) -> None:
    """A verdict sixty days after five reports of a trial, with its names and half of its words, joins their thread."""
    told = random.Random("trial")
    names, own = [name(told) for _ in range(5)], [word(told) for _ in range(30)]

    def report(number: int, day: float) -> Article:
        rng = random.Random(f"report {number}")
        words = [*rng.sample(own, 18), *rng.choices(COMMON, k=25)]
        rng.shuffle(words)
        text = ". ".join(f"so {' '.join(words[at : at + 8])} {rng.choice(names)} said" for at in range(0, len(words), 8))
        title = f"{names[0]} {rng.choice(own)} {names[1]} {rng.choice(COMMON)}"
        return Article(id=f"t{number}", title=title, body=text, published=at(day))

    engine = Recommender.build([*others(), *(report(n, 5 + n) for n in range(5)), report(5, 70)], tmp_path / "index")
    thread = engine.thread_of("t5")
    assert thread is not None
    assert set(thread.article_ids) == {f"t{number}" for number in range(6)}
