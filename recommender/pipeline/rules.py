"""Step 7d of 8: what editors have decided, a line of text each -> Rule, and which rules contradict each other.

docs/rules.md describes the file for a person. `overruling` applies the rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from recommender.errors import InvalidRuleError, InvalidRulesError

Kind = Literal["pin", "never", "merge", "split", "rename", "lock"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FORMS: dict[Kind, str] = {
    "pin": "pin A B",
    "never": "never A [B]",
    "merge": "merge A B",
    "split": "split A [B ...]",
    "rename": 'rename A "label"',
    "lock": "lock A B [C ...]",
}
"""How each rule is written; the letters are ids of articles."""

_COUNTS: dict[Kind, tuple[int, int]] = {
    "pin": (2, 2), "never": (1, 2), "merge": (2, 2), "split": (1, 10_000), "rename": (1, 1), "lock": (2, 10_000),
}  # fmt: skip
"""Fewest and most articles."""

BRIEF = 100
"""Longest rule, in characters, that an error shows whole."""

_BARE = re.compile(r"[\w.:/@%+=~,;-]+")
"""What is written without quotes."""

_TOKEN = re.compile(r'\s*(?:(?P<note>#.*)|(?P<quoted>"(?:[^"\\]|\\.)*")(?=\s|$)|(?P<bare>[^\s"]+)(?=\s|$))')


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One decision of an editor; InvalidRuleError where it is none."""

    kind: Kind
    articles: tuple[str, ...]
    """Ids, each once: as written for a pin (beside which, what); any order elsewhere."""
    label: str | None = None
    """Of a renamed thread, on one line."""
    note: str = field(default="", compare=False)
    """What stands behind the `#` on its line."""
    above: tuple[str, ...] = field(default=(), compare=False)
    """The lines of comment before it, without their `#`."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidRuleError(f"{self.kind!r} is no rule", f"write one of {', '.join(KINDS)}")
        least, most = _COUNTS[self.kind]
        form = f"write {FORMS[self.kind]}"
        if not least <= len(self.articles) <= most:
            raise InvalidRuleError(f"{self.kind} is given {len(self.articles)} articles", form)
        if not all(article.strip() for article in self.articles):
            raise InvalidRuleError("an id is blank", form)
        if len(set(self.articles)) < len(self.articles):
            raise InvalidRuleError(f"{self.kind} names an article twice", form)
        if (self.kind == "rename") != bool(self.label and self.label == " ".join(self.label.split())):
            raise InvalidRuleError("a label must be text on one line, and belongs to rename alone", f"write {FORMS['rename']}")

    @property
    def key(self) -> tuple[object, ...]:
        """What the rule is about: two rules of one key say the same, or the later is in place of the earlier."""
        if self.kind == "pin" or self.kind == "rename":
            return (self.kind, *self.articles)
        return (self.kind, *sorted(self.articles))

    def __str__(self) -> str:
        """The rule on one line, without its comments."""
        words = [self.kind, *map(_written, self.articles)]
        return " ".join([*words, json.dumps(self.label, ensure_ascii=not str(self.label).isprintable())] if self.label else words)

    @property
    def brief(self) -> str:
        """The same, cut where it is long."""
        return text if len(text := str(self)) <= BRIEF else f"{text[: BRIEF - 2]} …"

    def to_json(self) -> dict[str, object]:
        """The rule as the store keeps it."""
        return {"kind": self.kind, "articles": self.articles, "label": self.label, "note": self.note, "above": self.above}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Rule:
        """What `to_json` has made."""
        return cls(**{**given, "articles": tuple(given["articles"]), "above": tuple(given["above"])})


def _written(article: str) -> str:
    return article if _BARE.fullmatch(article) else json.dumps(article, ensure_ascii=not article.isprintable())


def parse_rule(line: str) -> Rule:
    """The rule of one line with its comment; InvalidRuleError says what is wrong and how it is written."""
    words: list[str] = []
    note, at, end = "", 0, len(line.rstrip())
    while at < end:
        found = _TOKEN.match(line, at)
        if found is None:
            raise InvalidRuleError(f"a quote is not closed at {line[at:].strip()[:40]!r}", 'write ids with spaces as "a 17"')
        at = found.end()
        if found["note"] is not None:
            note = found["note"][1:].strip()
            break
        words.append(_word(found["bare"], found["quoted"]))
    if not words:
        raise InvalidRuleError("the line holds no rule", f"write {', '.join(FORMS.values())}")
    kind, *given = words
    if kind == "rename":
        if len(given) != 2:
            raise InvalidRuleError(f"rename is given {len(given)} words", f"write {FORMS['rename']}")
        return Rule(kind="rename", articles=(given[0],), label=" ".join(given[1].split()), note=note)
    return Rule(kind=kind, articles=tuple(given), note=note)  # type: ignore[arg-type]  # checked there


def _word(bare: str | None, quoted: str | None) -> str:
    if bare is not None:
        return bare
    try:
        return str(json.loads(quoted or ""))
    except ValueError:
        raise InvalidRuleError(f"{quoted} is not quoted as in JSON", r"write \" and \\ for a quote and a backslash") from None


def parse_rules(text: str, source: str, known: Sequence[tuple[str, Rule]] = ()) -> list[Rule]:
    """The rules of a file in its order, with their comments; InvalidRulesError names every line that is wrong.

    A line that says what an earlier one says, or contradicts one or a `known` rule (its name, the rule), is wrong too.
    """
    rules: list[tuple[str, Rule]] = []
    wrong: list[str] = []
    above: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        bare = line.strip()
        if bare.startswith("#"):
            above.append(bare[1:].strip())
        elif bare:
            try:
                rule = replace(parse_rule(bare), above=tuple(above))
                _refuse_beside(rule, rules, known)
                rules.append((f"line {number}", rule))
            except InvalidRuleError as error:
                wrong.append(f"line {number}: {error}")
            above = []
    if wrong:
        raise InvalidRulesError(source, wrong)
    return [rule for _, rule in rules]


def _refuse_beside(rule: Rule, earlier: Sequence[tuple[str, Rule]], known: Sequence[tuple[str, Rule]]) -> None:
    for place, other in earlier:
        if other.key == rule.key:
            raise InvalidRuleError(f"{place} has decided that already", "keep one of the two")
    for place, other in (*earlier, *known):
        if contradict(rule, other):
            raise InvalidRuleError(f"it contradicts {place} ({other.brief})", "keep one of the two")


def write_rules(rules: Iterable[Rule]) -> Iterator[str]:
    """The lines of a file that holds these rules and their comments."""
    for rule in rules:
        yield from (f"# {_one_line(line)}".rstrip() for line in rule.above)
        yield f"{rule}  # {_one_line(rule.note)}" if rule.note else str(rule)


def _one_line(comment: str) -> str:
    return " ".join(comment.splitlines())


def contradict(one: Rule, two: Rule) -> bool:
    """Whether no index can obey both rules."""
    return _contradicts(one, two) or _contradicts(two, one)


def _contradicts(one: Rule, two: Rule) -> bool:
    mine, theirs = set(one.articles), set(two.articles)
    if one.kind == "pin" and two.kind == "never":
        return theirs == mine if len(theirs) == 2 else two.articles[0] == one.articles[1]
    if one.kind == "merge" and two.kind in ("split", "lock"):
        return len(mine & theirs) == 1
    if one.kind == "lock" and two.kind == "split":
        return bool(mine & theirs) and not mine <= theirs
    return one.kind == two.kind == "lock" and bool(mine & theirs) and mine != theirs
