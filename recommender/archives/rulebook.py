"""The rules of editors in the store: kept, entered, dropped, and what they ask of its archive."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.errors import InvalidRuleError, UnknownRuleError
from recommender.pipeline.rules import Rule, contradict, parse_rules
from recommender.storage.store import Store

if TYPE_CHECKING:
    from recommender.archives.archive import Archive
    from recommender.pipeline.overruling import Ruling


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRule:
    """A rule of an index."""

    number: int
    """The later rule has the higher one."""
    rule: Rule
    missing: tuple[str, ...]
    """Articles that it names and that are not in the index; it takes effect, or its full effect, when they come."""

    def to_json(self) -> dict[str, object]:
        """One rule as `rules list --json` prints it."""
        rule = self.rule
        return {
            "number": self.number, "rule": str(rule), "kind": rule.kind, "articles": list(rule.articles), "label": rule.label,
            "note": rule.note, "missing": list(self.missing),
        }  # fmt: skip


def kept_rules(store: Store) -> list[KeptRule]:
    """The rules of an index in the order they were made."""
    found = [(int(number), Rule.from_json(json.loads(rule))) for number, rule in _rows(store)]
    return [
        KeptRule(number=number, rule=rule, missing=tuple(a for a in rule.articles if store.row_of(a) is None))
        for number, rule in found
    ]


def _rows(store: Store) -> list[tuple[int, str]]:
    return store.query("SELECT number, rule FROM rules ORDER BY number")


def ruling_in(store: Store, archive: Archive) -> Ruling:
    """What the rules of an index ask of the articles of its archive."""
    import numpy as np

    from recommender.pipeline.overruling import ruling_of

    rules = [Rule.from_json(json.loads(rule)) for _, rule in _rows(store)]
    named = {article: store.row_of(article) for rule in rules for article in rule.articles}
    places = {article: int(archive.places_of(np.array(row))) for article, row in named.items() if row is not None}
    return ruling_of(rules, places, len(archive.rows))


def enter(store: Store, rules: Sequence[Rule]) -> set[str]:
    """Keep these rules, inside a transaction; returns the ids of the articles for which something changes by it.

    A rule that is kept already only gets the new comments; another label for the same article replaces the former.
    InvalidRuleError where one contradicts a rule that is kept.
    """
    named: set[str] = set()
    known = {kept.rule.key: kept for kept in kept_rules(store)}
    for rule in rules:
        for kept in known.values():
            if contradict(rule, kept.rule):
                raise InvalidRuleError(
                    f"{rule.brief} contradicts rule {kept.number} ({kept.rule.brief})",
                    f"drop that first with `recommender rules drop {kept.number}`",
                )
        same = known.get(rule.key)
        if same is not None and same.rule.label == rule.label:
            _write(store, same.number, rule)
            continue
        named.update(rule.articles)
        if same is not None:
            store.db.execute("DELETE FROM rules WHERE number = ?", (same.number,))
        known[rule.key] = KeptRule(number=_write(store, None, rule), rule=rule, missing=())
    return named


def _write(store: Store, number: int | None, rule: Rule) -> int:
    """Keep a rule under this number, or under a new one that is returned."""
    kept = json.dumps(rule.to_json())
    return int(store.db.execute("INSERT OR REPLACE INTO rules (number, rule) VALUES (?, ?)", (number, kept)).lastrowid or 0)


def drop(store: Store, number: int) -> set[str]:
    """Forget a rule, inside a transaction; returns the ids of its articles. UnknownRuleError where there is none."""
    found = next((kept for kept in kept_rules(store) if kept.number == number), None)
    if found is None:
        raise UnknownRuleError(number)
    store.db.execute("DELETE FROM rules WHERE number = ?", (number,))
    return set(found.rule.articles)


def take_in(store: Store, text: str, source: str, *, instead: bool) -> set[str]:
    """Keep the rules of a file, all or none, with those that are kept or `instead` of them; returns as `enter`.

    InvalidRulesError names every line that is wrong or contradicts a rule that is kept.
    """
    former = {} if not instead else {kept.rule.key: kept.rule for kept in kept_rules(store)}
    known = [] if instead else [(f"rule {kept.number}", kept.rule) for kept in kept_rules(store)]
    rules = parse_rules(text, source, known)
    if not instead:
        return enter(store, rules)
    store.db.execute("DELETE FROM rules")
    for rule in rules:
        _write(store, None, rule)
    if list(former.values()) == rules:
        return set()
    return {article for rule in (*former.values(), *rules) for article in rule.articles}


def waiting(kept: Iterable[KeptRule]) -> list[str]:
    """A line about each rule that names articles which are not there."""
    return [f"rule {one.number} ({one.rule.brief}) waits for {', '.join(map(repr, one.missing))}" for one in kept if one.missing]
