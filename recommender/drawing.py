"""Answers and reports -> lines of text for a person. Pure: what is known comes in, lines go out; imports these two alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recommender.answers import Explanation, Related, RelatedList, StoryThread, ThreadChange
from recommender.reports import Evaluation, Figure, Finding, HeldOut, Outcome, Tuned, Tuning

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")
"""What could move the cursor, colour the screen or turn the reading direction: articles are outside text."""


@dataclass(frozen=True, slots=True)
class Ink:
    """Emphasis, where the output is a terminal that may have it; plain text elsewhere."""

    on: bool = False

    def bold(self, text: str) -> str:
        """What the eye should find first."""
        return self._set(text, "1")

    def dim(self, text: str) -> str:
        """What the eye may pass over."""
        return self._set(text, "2")

    def good(self, text: str) -> str:
        """What is as it should be."""
        return self._set(text, "32")

    def bad(self, text: str) -> str:
        """What is not."""
        return self._set(text, "31")

    def _set(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


def clean(text: str | None) -> str:
    """Text of an article on one line, without characters that a terminal would obey."""
    return _CONTROL.sub(" ", text or "").strip()


def counted(number: int, things: str) -> str:
    """A number of things, which are named in the plural."""
    return f"{number:,} {things[:-1] if number == 1 else things}"


def titled(item: Related) -> str:
    """The headline, or a word for its absence."""
    return clean(item.title) or "(no title)"


def day(published: str | None) -> str:
    """The day of a moment, always ten characters wide."""
    return published[:10] if published else "no date   "


def list_lines(found: RelatedList, title: str, ink: Ink) -> Iterator[str]:
    """A related list: its article and thread, then two lines an item. Nothing where the list is empty."""
    if not found.items:
        return
    if title:
        yield ink.bold(clean(title))
    if place := found.thread:
        yield f"{place.position} of {place.size} in the thread {place.id}: {clean(place.label)}"
    if title or place:
        yield ""
    for number, item in enumerate(found.items, 1):
        yield f"{number:2}. {item.score:.2f}  {item.relation:10}  {day(item.published)}  {ink.bold(titled(item))}"
        yield ink.dim(f"    {clean(item.id)}" + "".join(f" · {clean(reason)}" for reason in item.reasons))


def thread_table(threads: Sequence[StoryThread], ink: Ink) -> Iterator[str]:
    """One line a thread: id, articles, first and last day, label."""
    if not threads:
        return
    wide = max(len(thread.id) for thread in threads)
    digits = max(len(str(thread.size)) for thread in threads)
    for thread in threads:
        first, last = day(thread.first_published), day(thread.last_published)
        days = first if first == last else f"{first} – {last}"
        yield f"{thread.id:{wide}}  {thread.size:{digits}}  {ink.dim(f'{days:23}')}  {clean(thread.label)}"


def timeline(thread: StoryThread, articles: Iterable[Related], ink: Ink) -> Iterator[str]:
    """A thread: its label and keywords, then one line an article, oldest first."""
    shown = list(articles)
    wide = max((len(clean(article.id)) for article in shown), default=0)
    yield ink.bold(clean(thread.label))
    yield ink.dim(f"{thread.id} · {thread.size} articles · {', '.join(map(clean, thread.keywords))}")
    yield ""
    for article in shown:
        moment = (article.published or "no date")[:16].replace("T", " ")
        yield f"{moment:16}  {ink.dim(f'{clean(article.id):{wide}}')}  {titled(article)}"


def explanation_lines(known: Explanation, articles: Sequence[Related], ink: Ink) -> Iterator[str]:
    """What the engine holds of a pair, the two headlines first."""
    for article in articles:
        yield f"{ink.bold(titled(article))}  {ink.dim(f'{clean(article.id)} · {day(article.published).strip()}')}"
    yield ""
    yield f"score     {known.score:.4f}"
    yield f"relation  {known.relation or 'none: too far apart for any list'}"
    yield f"reasons   {', '.join(map(clean, known.reasons)) or 'none'}"
    wide = max((len(name) for name in known.evidence), default=0)
    for number, (name, value) in enumerate(known.evidence.items()):
        yield f"{'' if number else 'evidence':8}  {name:{wide}}  {'unknown' if value is None else format(value, '.4f')}"


def evaluation_table(found: Evaluation, ink: Ink) -> Iterator[str]:
    """A line a measure, a column a system, each value with its 95 % interval; then what was judged, then the gain."""
    systems = list(next(iter(found.measures.values()), {}))
    rows = [[_measure_name(name), *map(_figure, row.values())] for name, row in found.measures.items()]
    yield from _columns([["", *systems], *rows], ink)
    yield ""
    yield ink.dim(", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in found.counts.items()))
    yield found.gain


def _measure_name(name: str) -> str:
    plain = {
        "ndcg@5": "nDCG@5",
        "p@1": "P@1",
        "auc_related": "AUC related",
        "auc_same_story": "AUC same story",
        "ece": "ECE of the score",
    }
    if name == "f1":
        return "F1 of pairs"
    return plain.get(name, name.replace("_", " ").replace("bcubed", "B-cubed").replace("f1", "F1"))


def _figure(figure: Figure | None) -> str:
    return f"{_short(figure.value)} ({_short(figure.low)}–{_short(figure.high)})" if figure else "–"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def tuning_lines(found: Tuning, ink: Ink) -> Iterator[str]:
    """What shipped and tuned weights reach on held-out articles, fold by fold; the weights; then what follows, a line each."""
    rows = [
        [f"P({name.replace('_', ' ')})" if not number else "", _measure_name(measure), *_folds(held_out)]
        for name, one in found.relations.items()
        for number, (measure, held_out) in enumerate(one.measures.items())
    ]
    yield from _columns([["on held-out articles", "", "shipped", "tuned"], *rows], ink)
    yield ""
    names = list(next(iter(found.relations.values())).tuned)
    weights = [
        [f"P({name.replace('_', ' ')})" if kind == "shipped" else "", kind, *(f"{of[weight]:.3f}" for weight in names)]
        for name, one in found.relations.items()
        for kind, of in (("shipped", one.shipped), ("tuned", one.tuned))
    ]
    yield from _columns([["weights", "", *names], *weights], ink)
    yield ""
    kinds = (f"{one.positive:,} of {one.pairs:,} pairs {name.replace('_', ' ')}" for name, one in found.relations.items())
    counted = (f"{name.replace('_', ' ')} {number:,}" for name, number in found.counts.items() if name != "pairs")
    yield ink.dim(", ".join([*counted, *kinds]))
    for name, one in found.relations.items():
        yield f"P({name.replace('_', ' ')}): {_verdict(one)}"


def _verdict(one: Tuned) -> str:
    said: dict[Outcome, str] = {
        "better": "the tuned weights are better on articles that they were not learned from",
        "unsure": "no sure gain, keep the shipped weights",
        "worse": "the shipped weights are better here, keep them",
        "unrelated": "these judgments hardly follow the evidence, keep the shipped weights and look at the judgments again",
    }
    measured = {name: one.measures[name].means() for name in ("log_loss", "bcubed_f1") if name in one.measures}
    changes = (f"{_measure_name(name)} {_brief(shipped)} → {_brief(tuned)}" for name, (shipped, tuned) in measured.items())
    return f"{said[one.outcome]} ({', '.join(changes)})."


def _folds(held_out: HeldOut) -> Iterator[str]:
    for mean, values in zip(held_out.means(), (held_out.shipped, held_out.tuned), strict=True):
        yield f"{_brief(mean)} ({' '.join(map(_brief, values))})"


def _brief(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".removeprefix("0")


def _columns(rows: Sequence[Sequence[str]], ink: Ink) -> Iterator[str]:
    """Rows of cells as a table, the first of them its head."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = "  ".join(f"{cell:{width}}" for cell, width in zip(row, wide, strict=True)).rstrip()
        yield line if number else ink.bold(line)


def change_line(change: ThreadChange) -> str:
    """When, what, and which thread and articles."""
    beside = {"merged": " into ", "split": " from "}.get(change.kind, "") + (change.other_id or "")
    shown = ", ".join(change.article_ids[:5]) + (
        f" and {len(change.article_ids) - 5} more" if len(change.article_ids) > 5 else ""
    )
    told = "  ".join(part for part in (clean(change.label or ""), clean(shown)) if part)
    return f"{change.at}  {change.kind:7} {change.thread_id}{beside}  {told}"


def fact_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Names and values in two columns."""
    wide = max(map(len, facts), default=0)
    for name, value in facts.items():
        yield f"{name.replace('_', ' '):{wide}}  {_readable(name, value)}"


def finding_line(found: Finding) -> str:
    """What is wrong, how often, and the first example."""
    return f"{found.kind}: {found.count:,}, first {clean(found.example)}"


def _readable(name: str, value: object) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list):
        return clean(", ".join(map(str, value)))
    return f"{value / 1e6:.1f} MB" if name == "bytes" and isinstance(value, int) else clean(str(value))
