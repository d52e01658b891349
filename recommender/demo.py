"""The demo: one page of the sample newsroom, its sidebar as the site had it and as the engine has it."""

from __future__ import annotations

import contextlib
import shlex
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from itertools import zip_longest
from pathlib import Path

from recommender.answers import Related, StoryThread
from recommender.drawing import Ink, clean, titled
from recommender.engine import Recommender
from recommender.errors import IndexUnusableError, RecommenderError
from recommender.progress import Progress

ARTICLE = "putin-arrives-north-korea"
"""The page this project was born from, in our own telling."""
SECTION = "Top News"
SEEN = "2025-03-24T23:59:59+00:00"
"""When a reader saw that page: the end of the day."""
SIDE_BY_SIDE = 100
"""Columns from which on two lists stand beside each other."""
WIDEST = 120
"""Columns beyond which lines get too long to read."""
SHOWN = 5

_STAND_INS = str.maketrans("─●○·–’‘“”", "-*o--''\"\"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything the demo shows."""

    article: Related
    articles: int
    """In the archive."""
    before: tuple[Related, ...]
    chances: tuple[float, ...]
    """Of each of `before`: the engine's score beside the article."""
    after: tuple[Related, ...]
    thread: StoryThread | None
    timeline: tuple[Related, ...]
    commands: tuple[tuple[str, str], ...]
    """What to type next, and what it shows."""


@contextlib.contextmanager
def newsroom(index: Path | None) -> Iterator[Path]:
    """The folder for the index: that one, or a temporary one. Refuses one that holds somebody's own articles."""
    if index is None:
        with tempfile.TemporaryDirectory(prefix="recommender-demo-") as folder:
            yield Path(folder)
        return
    with contextlib.suppress(IndexUnusableError):
        if ARTICLE not in Recommender.open(index):
            raise RecommenderError(f"index {index}: it holds other articles than the sample newsroom; name another folder")
    yield index


def page_of(folder: Path, *, kept: bool, program: str, progress: Progress) -> Page:
    """Build the sample newsroom in a folder and ask it for the page."""
    from recommender.pipeline.reading import read_articles

    sample = resources.files("recommender").joinpath("sample", "articles.jsonl")
    with resources.as_file(sample) as file:
        engine = Recommender.build(read_articles([file]), folder, progress=progress)
    before = engine.latest(SECTION, SHOWN, until=SEEN)
    after = engine.related(ARTICLE, SHOWN)
    thread = engine.thread_of(ARTICLE)
    companions = [item.id for item in after] + [member for member in (thread.article_ids if thread else ()) if member != ARTICLE]
    page = Page(
        article=engine.article(ARTICLE),
        articles=len(engine),
        before=tuple(before),
        chances=tuple(engine.explain(ARTICLE, item.id).score for item in before),
        after=tuple(after),
        thread=thread,
        timeline=tuple(engine.article(member) for member in thread.article_ids) if thread else (),
        commands=tuple(_commands(program, folder if kept else None, before[0].id, companions, thread)),
    )
    engine.close()
    return page


def page_lines(page: Page, columns: int, ink: Ink) -> Iterator[str]:
    """The page for a terminal so many columns wide: the two lists side by side, or one above the other where it is narrow."""
    wide = max(36, min(columns, WIDEST) - 2)
    beside = columns >= SIDE_BY_SIDE
    half = (wide - 4) // 2 if beside else wide
    before = [_heading("BEFORE", f"Latest from {SECTION}: whatever came last", half, ink.bad), *_latest(page, half, ink)]
    after = [_heading("AFTER", "Related: what belongs here, from the archive", half, ink.good), *_related(page, half, ink)]
    yield ""
    yield from map(ink.bold, textwrap.wrap(titled(page.article), wide))
    about = f"{SECTION} · {_day(page.article.published)} · one of {page.articles} articles of the sample newsroom"
    yield from (line.drawn() for line in _wrapped(about, wide, ink.dim))
    yield ""
    if beside:
        yield from _beside(before, after, half)
    else:
        yield from (line.drawn() for block in [*before, [_BLANK], *after] for line in block)
    yield ""
    yield from (line.drawn() for line in _wrapped(_LEGEND, wide, ink.dim))
    yield ""
    yield from (line.drawn() for line in _story(page, wide, ink))
    yield ""
    yield ink.bold("WHAT TO TYPE NEXT")
    for command, shows in page.commands:
        yield ink.dim(f"  {shows}")
        yield f"    {command}"
    yield ""


def stand_ins(lines: Iterable[str], encoding: str) -> Iterator[str]:
    """The lines as they are, or with plain letters for lines and dots where the encoding has none."""
    plain = not encoding.lower().startswith("utf")
    return (line.translate(_STAND_INS) if plain else line for line in lines)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line and how to emphasise it: padding needs its width without the emphasis."""

    text: str
    ink: Callable[[str], str] = str

    def drawn(self, width: int = 0) -> str:
        return self.ink(self.text) + " " * (width - len(self.text))


_BLANK = _Line("")
_LEGEND = "%: the engine's probability that an editor would call the two articles related."


def _beside(left: Sequence[list[_Line]], right: Sequence[list[_Line]], half: int) -> Iterator[str]:
    """Blocks in two columns, each pair beginning on one line."""
    none: list[_Line] = []
    for place, (one, two) in enumerate(zip_longest(left, right, fillvalue=none)):
        if place > 1:
            yield ""
        for a, b in zip_longest(one, two, fillvalue=_BLANK):
            yield f"{a.drawn(half)}    {b.drawn()}".rstrip()


def _heading(word: str, what: str, width: int, colour: Callable[[str], str]) -> list[_Line]:
    return [_Line(word, colour), _Line(what[:width]), _Line("─" * width, colour)]


def _latest(page: Page, width: int, ink: Ink) -> Iterator[list[_Line]]:
    for number, (item, chance) in enumerate(zip(page.before, page.chances, strict=True), 1):
        about = f"{_day(item.published)} · {_percent(chance)} related"
        yield [*_headline(number, item, width, str), *_wrapped(about, width, ink.bad, indent="   ")]


def _related(page: Page, width: int, ink: Ink) -> Iterator[list[_Line]]:
    for number, item in enumerate(page.after, 1):
        story = "" if item.relation == "related" else f" · {item.relation.replace('-', ' ')}"
        about = f"{_day(item.published)} · {_percent(item.score)} related{story}"
        why = ", ".join(clean(reason) for reason in item.reasons if not _is_time(reason))
        below = [*_wrapped(about, width, ink.good, indent="   "), *_wrapped(why, width, ink.dim, indent="   ")]
        yield [*_headline(number, item, width, ink.bold), *below]
    if not page.after:
        yield list(_wrapped("Nothing in the archive is related, so nothing is shown.", width, ink.dim, indent="   "))


def _headline(number: int, item: Related, width: int, ink: Callable[[str], str]) -> Iterator[_Line]:
    for place, line in enumerate(textwrap.wrap(titled(item), width - 3)):
        yield _Line(f"{'' if place else number:2} {line}", ink)


def _wrapped(text: str, width: int, ink: Callable[[str], str], *, indent: str = "") -> Iterator[_Line]:
    for line in textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent):
        yield _Line(line, ink)


def _percent(score: float) -> str:
    """Whole percents; never 0 or 100, which a probability is not."""
    return "under 1%" if score < 0.01 else "over 99%" if score > 0.99 else f"{score:.0%}"


def _is_time(reason: str) -> bool:
    """Whether a reason tells the days between the two, which the date beside it tells already."""
    return reason.endswith("apart") or reason == "within a day"


def _story(page: Page, width: int, ink: Ink) -> Iterator[_Line]:
    if page.thread is None:
        yield _Line("This article stands alone: no thread.", ink.dim)
        return
    yield _Line("ITS STORY THREAD", ink.good)
    yield from _wrapped(f"{page.thread.size} articles on {', '.join(map(clean, page.thread.keywords))}", width, str)
    yield _Line("─" * width, ink.good)
    for item in page.timeline:
        here = item.id == page.article.id
        for place, line in enumerate(textwrap.wrap(titled(item) + (" (this page)" if here else ""), width - 16)):
            head = "" if place else f"{'●' if here else '○'} {_day(item.published)}"
            yield _Line(f"{head:15} {line}", ink.bold if here else str)


def _day(published: str | None) -> str:
    if published is None:
        return "no date"
    moment = datetime.fromisoformat(published)
    return f"{moment.day} {moment:%b %Y}"


def _commands(
    program: str, folder: Path | None, other: str, companions: Sequence[str], thread: StoryThread | None
) -> Iterator[tuple[str, str]]:
    """Commands that work with this index, in this order; where it is a temporary one, the first of them makes it again."""
    kept = folder or Path("artifacts/demo")
    call, where = shlex.quote(program), f"--index {shlex.quote(str(kept))}"
    if folder is None:
        yield f"{call} demo {where}", "keep this index, to play with"
    yield f"{call} related {other} {where}", "the sidebar of another article"
    if thread is not None:
        yield f"{call} thread {thread.id} {where}", "this thread, with ids"
    yield f"{call} threads --min-size 4 {where}", "the running stories, the latest first"
    for companion in companions[:1]:
        yield f"{call} explain {ARTICLE} {companion} {where}", "why these two belong together"
    yield f'{call} related --text "Kim sees off Putin at Pyongyang airport" {where}', "the sidebar of a draft"
