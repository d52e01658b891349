"""The whole engine beside a model of a few dictionaries: whatever is done in whatever order, both hold the same."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import faiss
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from recommender import Article, Recommender, RecommenderError, RelatedList
from recommender.answers import ThreadChange
from recommender.errors import (
    IndexUnusableError,
    InvalidRuleError,
    InvalidRulesError,
    UnknownArticleError,
    UnknownRuleError,
    UnknownThreadError,
)
from recommender.pipeline.index import VectorIndex
from recommender.pipeline.rules import Kind, Rule
from recommender.storage.store import Store
from recommender.writing import updating
from recommender.writing.records import articles_of
from tests.archives import report

EXAMPLES = int(os.environ.get("RECOMMENDER_EXAMPLES", "0"))
"""Histories to try, drawn at random; without it the same few each time."""

IDS = [*(f"s{story:02}a{number}" for story in range(3) for number in range(4)), "x0", "x1", "copy"]
LABELS = ["The summit", "A long label \u2013 \u201cquoted\u201d, 100%", "#1"]
LONGEST = 20
"""Articles of a list without pins, as docs/rules.md and the help say."""

ids = st.sampled_from(IDS)
days = st.one_of(st.none(), st.integers(0, 4).map(float), st.sampled_from([0.5, 40.0, 900.0]))
editions = st.integers(0, 3)


def written(article_id: str, day: float | None, edition: int) -> Article:
    """The article of an id: s01a2 is of story 1, x0 stands alone, and copy has the words of s00a0."""
    if article_id == "copy":
        return replace(report("s00a0", "story 0", day, edition=edition), id="copy", url=None)
    story = f"story {int(article_id[1:3])}" if article_id.startswith("s") else f"single {article_id}"
    return report(article_id, story, day, edition=edition, section="World" if edition else "Home")


articles_drawn = st.builds(written, ids, days, editions)
WHOLE = [written(one, float(number % 4), 0) for number, one in enumerate(IDS)]
papers = st.lists(articles_drawn, min_size=1, max_size=14) | st.just(WHOLE)


@st.composite
def rules_drawn(draw: st.DrawFn, known: Iterable[str]) -> Rule:
    """A rule about any of the ids, mostly about those that are there."""
    kinds: list[Kind] = ["pin", "never", "merge", "split", "rename", "lock"]
    kind = draw(st.sampled_from(kinds))
    there = sorted(known)
    ids = st.sampled_from(IDS if len(there) < 4 or draw(st.integers(0, 4)) == 4 else there)
    least, most = {"pin": (2, 2), "never": (1, 2), "merge": (2, 2), "split": (1, 3), "rename": (1, 1), "lock": (2, 4)}[kind]
    named = tuple(draw(st.lists(ids, min_size=least, max_size=most, unique=True)))
    return Rule(kind=kind, articles=named, label=draw(st.sampled_from(LABELS)) if kind == "rename" else None)


def cannot_both_be(one: Rule, other: Rule) -> bool:
    """What docs/rules.md says of contradictions, from either side."""
    for a, b in ((one, other), (other, one)):
        mine, theirs = set(a.articles), set(b.articles)
        if a.kind == "pin" and b.kind == "never" and (mine == theirs or b.articles == a.articles[1:]):
            return True
        if a.kind == "merge" and b.kind in ("split", "lock") and len(mine & theirs) == 1:
            return True
        if a.kind == "lock" and b.kind == "split" and mine & theirs and mine - theirs:
            return True
        if a.kind == b.kind == "lock" and mine & theirs and mine != theirs:
            return True
    return False


def says_the_same(one: Rule, other: Rule) -> bool:
    """Whether the later of two rules stands in place of the earlier."""
    if one.kind != other.kind or one.kind == "pin":
        return one.kind == other.kind and one.articles == other.articles
    return set(one.articles) == set(other.articles)


@dataclass
class Model:
    """All that an index should hold."""

    articles: dict[str, Article] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    log: list[ThreadChange] = field(default_factory=list)
    threads: dict[str, str] = field(default_factory=dict)
    """Article -> thread, as last seen."""
    leads: dict[str, str] = field(default_factory=dict)
    """Thread -> the article under whose headline it was last seen."""
    goes_on: dict[str, str] = field(default_factory=dict)
    """Thread that was merged -> the one that it was merged into."""
    lists: dict[str, list[RelatedList]] = field(default_factory=dict)
    """Profile -> the lists, as last seen."""

    def kept(self) -> Model:
        """The model as it is now."""
        return Model(**{name: copy(value) for name, value in vars(self).items()})

    def there(self, rule: Rule) -> list[str]:
        """The articles of a rule that are in the index."""
        return [article for article in rule.articles if article in self.articles]

    def heir(self, thread: str) -> str:
        """The thread that answers for this one."""
        while thread in self.goes_on:
            thread = self.goes_on[thread]
        return thread


def members_of(threads: dict[str, str]) -> dict[str, set[str]]:
    members: dict[str, set[str]] = {}
    for article, thread in threads.items():
        members.setdefault(thread, set()).add(article)
    return members


def without(log: list[ThreadChange], gone: set[str]) -> list[ThreadChange]:
    return [replace(one, article_ids=tuple(a for a in one.article_ids if a not in gone)) for one in log]


class Newsroom(RuleBasedStateMachine):
    """Two open engines over one index, either of which writes, and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.index = self.folder / "index"
        self.model = Model()
        self.engines = [Recommender(self.index), Recommender(self.index)]
        self.saved: Model | None = None
        self.held: tuple[Iterator[RelatedList], list[RelatedList]] | None = None
        self.limit = patch.object(VectorIndex.__init__, "__kwdefaults__", {"exact_limit": 50_000})
        self.outgrown = patch.object(updating, "OUTGROWN_AT_MOST", 0)
        self.sync = patch.object(os, "fsync")  # no machine fails here, and a sync takes as long as a write
        self.sync.start()
        self.threads = faiss.omp_get_max_threads()

    def teardown(self) -> None:
        faiss.omp_set_num_threads(self.threads)
        self.sync.stop()
        self.limit.stop()
        self.outgrown.stop()
        for engine in self.engines:
            engine.close()
        shutil.rmtree(self.folder)

    @initialize(limit=st.sampled_from([6, 50_000]), refit=st.booleans(), paper=papers)
    def first(self, limit: int, refit: bool, paper: list[Article]) -> None:
        """Where there is no index every question and every write is refused; the first build makes one.

        Without `refit` no add makes the index anew: each is a transaction in it, as in a large one.
        """
        self.outgrown = patch.object(updating, "OUTGROWN_AT_MOST", updating.OUTGROWN_AT_MOST if refit else 0)
        self.outgrown.start()
        self.limit = patch.object(VectorIndex.__init__, "__kwdefaults__", {"exact_limit": limit})
        self.limit.start()
        faiss.omp_set_num_threads(1)  # a search among ten vectors waits long for a second thread
        for question in (self.engines[0].threads, self.engines[0].compact, lambda: self.engines[0].add(paper)):
            with pytest.raises(IndexUnusableError):
                question()
        assert not self.index.exists()
        self.build(paper)

    @rule(paper=papers)
    def build(self, paper: list[Article]) -> None:
        """The articles are those that came in, the later of two of one id; rules, log and thread ids stay."""
        Recommender.build(paper, self.index).close()
        self.model.articles = {article.id: article for article in paper}
        self.settle()
        self.in_order_of_time()

    def in_order_of_time(self) -> None:
        """What all lists begin with: the oldest, then by id; what has no date last."""
        dates = {one.id: one.published for one in self.model.articles.values()}
        dated = sorted((date, one) for one, date in dates.items() if date)
        listed = [one.id for one in self.model.lists["sidebar"]]
        assert listed == [one for _, one in dated] + sorted(one for one, date in dates.items() if not date)

    @rule(engine=st.integers(0, 1), paper=st.lists(articles_drawn, max_size=4))
    def add(self, engine: int, paper: list[Article]) -> None:
        """Of two with one id the later counts; how many are new, other and the same is told."""
        latest = {article.id: article for article in paper}
        known = self.model.articles
        added = [one for one in latest if one not in known]
        updated = [one for one in latest if one in known and latest[one] != known[one]]
        done = self.engines[engine].add(paper)
        assert (done.added, done.updated, done.unchanged) == (len(added), len(updated), len(latest) - len(added) - len(updated))
        if not added and not updated:
            self.nothing_changed()
        known.update(latest)
        self.settle()

    @rule(engine=st.integers(0, 1), part=st.sampled_from(["title", "body", "published", "section"]), drawn=st.data())
    def update(self, engine: int, part: str, drawn: st.DataObject) -> None:
        """One field of one article is another; where it is the same nothing is written."""
        one = drawn.draw(st.sampled_from(sorted(self.model.articles)))
        other = written(one, drawn.draw(days), drawn.draw(editions))
        old = self.model.articles[one]
        new = replace(old, **{part: getattr(other, part)})
        done = self.engines[engine].add([new])
        assert (done.updated, done.unchanged) == ((0, 1) if new == old else (1, 0))
        self.model.articles[one] = new
        self.settle()

    @rule(engine=st.integers(0, 1), one=ids, other=ids, edition=editions)
    def change_of_story(self, engine: int, one: str, other: str, edition: int) -> None:
        """An article of the text of another story, new or not."""
        article = replace(written(other, 1.0, edition), id=one)
        self.engines[engine].add([article])
        self.model.articles[one] = article
        self.settle()

    @rule(engine=st.integers(0, 1), gone=st.lists(ids, unique=True, max_size=4))
    def remove(self, engine: int, gone: list[str]) -> None:
        """All or none: of an unknown one, or of all there are, nothing is removed."""
        known = self.model.articles
        if not set(gone) <= set(known):
            with pytest.raises(UnknownArticleError):
                self.engines[engine].remove(gone)
            self.nothing_changed()
        elif len(gone) == len(known):
            with pytest.raises(RecommenderError, match="all articles of the index"):
                self.engines[engine].remove(gone)
            self.nothing_changed()
        else:
            assert self.engines[engine].remove(gone).removed == len(gone)
            titles = {known.pop(one).title for one in gone} - {article.title for article in known.values()}
            self.model.log = without(self.model.log, set(gone))
            self.settle(removed=True)
            for change in self.model.log:
                assert not set(gone) & set(change.article_ids)
                assert change.label not in titles

    @rule(drawn=st.data(), engine=st.integers(0, 1))
    def remove_known(self, engine: int, drawn: st.DataObject) -> None:
        """Most draws of the above name one that is not there."""
        self.remove(engine, drawn.draw(st.lists(st.sampled_from(sorted(self.model.articles)), unique=True, max_size=3)))

    @rule()
    def build_of_nothing(self) -> None:
        """Nothing in place of an index is refused."""
        with pytest.raises(RecommenderError, match="no articles came in"):
            Recommender.build([], self.index)
        self.nothing_changed()

    @rule(engine=st.integers(0, 1), elsewhere=st.booleans())
    def rebuild(self, engine: int, elsewhere: bool) -> None:
        """It is what a build of the same articles under the same rules is; one in another folder leaves this one alone."""
        folder = self.folder / "other"
        if elsewhere:
            before = self.model.kept()
            self.engines[engine].rebuild(to=folder)
            self.nothing_changed()
            other = Recommender.open(folder)
            Recommender.build(self.model.articles.values(), self.index).close()
            self.settle()
            assert {a: thread.id for thread in other.threads() for a in thread.article_ids} == self.model.threads
            assert before.rules == [kept.rule for kept in other.rules()]
        else:
            self.engines[engine].rebuild()
            self.settle()
            self.in_order_of_time()
            other = Recommender.build(self.model.articles.values(), folder)
            other.import_rules(self.engines[engine].export_rules())
        assert [shown(one) for one in other.all_related(50)] == [shown(one) for one in self.model.lists["sidebar"]]
        groups = [sorted(one.article_ids for one in one_of.threads()) for one_of in (other, self.engines[engine])]
        assert groups[0] == groups[1]
        other.close()
        shutil.rmtree(folder)

    def keep(self, made: Rule) -> None:
        """In place of a rule that says the same, or last."""
        rules = self.model.rules
        same = next((place for place, other in enumerate(rules) if says_the_same(made, other)), None)
        if same is None:
            rules.append(made)
        elif rules[same].label == made.label:
            rules[same] = made
        else:
            rules[same : same + 1] = []
            rules.append(made)

    @rule(engine=st.integers(0, 1), drawn=st.data())
    def decide(self, engine: int, drawn: st.DataObject) -> None:
        """A rule is kept, or refused where it contradicts one."""
        self.decided(engine, drawn.draw(rules_drawn(self.model.articles)))

    @precondition(lambda self: len(set(self.model.threads.values())) > 1)
    @rule(engine=st.integers(0, 1), drawn=st.data())
    def merge_threads(self, engine: int, drawn: st.DataObject) -> None:
        """Two whole threads are one, then perhaps that and another."""
        threads = members_of(self.model.threads)
        one, other = drawn.draw(st.permutations(sorted(threads)))[:2]
        self.decided(engine, Rule(kind="merge", articles=(min(threads[one]), min(threads[other]))))

    @precondition(lambda self: self.model.rules and len(self.model.articles) > 1)
    @rule(engine=st.integers(0, 1), drawn=st.data())
    def come_and_go(self, engine: int, drawn: st.DataObject) -> None:
        """An article that a rule may name goes and comes back."""
        named = sorted({one for made in self.model.rules for one in made.articles} & set(self.model.articles))
        one = drawn.draw(st.sampled_from(named or sorted(self.model.articles)))
        article = self.model.articles[one]
        self.remove(engine, [one])
        self.obeyed()
        self.sound()
        self.add(1 - engine, [article])

    def decided(self, engine: int, made: Rule) -> None:
        if any(cannot_both_be(made, other) for other in self.model.rules):
            with pytest.raises(InvalidRuleError, match="contradicts rule"):
                self.engines[engine].add_rule(made)
            self.nothing_changed()
            return
        assert self.engines[engine].add_rule(made).rule == made
        self.keep(made)
        self.settle()

    @rule(engine=st.integers(0, 1), drawn=st.data())
    def import_more(self, engine: int, drawn: st.DataObject) -> None:
        """Several rules beside those that are kept, all or none."""
        made = drawn.draw(st.lists(rules_drawn(self.model.articles), max_size=4))
        text = "".join(f"{one}\n" for one in made)
        among = [(one, other) for place, one in enumerate(made) for other in made[:place]]
        if any(cannot_both_be(one, other) or says_the_same(one, other) for one, other in among) or any(
            cannot_both_be(one, other) for one in made for other in self.model.rules
        ):
            with pytest.raises(InvalidRulesError):
                self.engines[engine].import_rules(text)
            self.nothing_changed()
            return
        self.engines[engine].import_rules(text)
        for one in made:
            self.keep(one)
        self.settle()

    @precondition(lambda self: self.model.rules)
    @rule(engine=st.integers(0, 1), drawn=st.data())
    def drop(self, engine: int, drawn: st.DataObject) -> None:
        """By its number, once."""
        kept = drawn.draw(st.sampled_from(self.engines[engine].rules()))
        self.engines[engine].drop_rule(kept.number)
        self.model.rules.remove(kept.rule)
        with pytest.raises(UnknownRuleError):
            self.engines[1 - engine].drop_rule(kept.number)
        self.settle()

    @precondition(lambda self: self.model.rules)
    @rule(engine=st.integers(0, 1), drawn=st.data())
    def import_some(self, engine: int, drawn: st.DataObject) -> None:
        """Some of the exported lines in another order, in place of all."""
        order = drawn.draw(st.permutations(range(len(self.model.rules))))[: drawn.draw(st.integers(0, len(self.model.rules)))]
        lines = self.engines[engine].export_rules().splitlines(keepends=True)
        self.engines[engine].import_rules("".join(lines[place] for place in order), replace=True)
        self.model.rules = [self.model.rules[place] for place in order]
        self.settle()

    @rule(engine=st.integers(0, 1))
    def compact(self, engine: int) -> None:
        """Nothing that a reader sees differs but the log, which names nobody who is not there."""
        lists, threads = self.model.lists, self.model.threads
        self.engines[engine].compact()
        named = {article for change in self.model.log for article in change.article_ids}
        self.model.log = without(self.model.log, named - set(self.model.articles))
        self.settle(removed=True)
        assert (self.model.lists, self.model.threads) == (lists, threads)
        assert {change.label for change in self.model.log} <= {None, *(one.label for one in self.engines[0].threads())}

    @rule(engine=st.integers(0, 1))
    def backup(self, engine: int) -> None:
        """Changes nothing; replaces the former file."""
        self.engines[engine].backup(self.folder / "file")
        self.saved = self.model.kept()
        self.nothing_changed()

    @precondition(lambda self: self.saved)
    @rule()
    def restore(self) -> None:
        """All is as it was when the backup was made, log and thread ids included."""
        assert self.saved is not None
        Recommender.restore(self.folder / "file", self.index).close()
        self.model = self.saved.kept()
        self.nothing_changed()

    @rule(engine=st.integers(0, 1))
    def reopen(self, engine: int) -> None:
        """Closed and opened it is the same, and closed it opens itself."""
        self.engines[engine].close()
        self.engines[1 - engine] = Recommender.open(self.index)

    @precondition(lambda self: self.held is None)
    @rule(engine=st.integers(0, 1))
    def begin_to_read(self, engine: int) -> None:
        """A long answer begins."""
        iterator = self.engines[engine].all_related(50)
        expected = self.model.lists["sidebar"]
        assert next(iterator) == expected[0]
        self.held = iterator, expected[1:]

    @precondition(lambda self: self.held)
    @rule()
    def read_to_the_end(self) -> None:
        """It is of the moment it began, whatever was written since."""
        assert self.held is not None
        iterator, expected = self.held
        assert list(iterator) == expected
        self.held = None

    @rule(draft=articles_drawn)
    def ask_for_a_draft(self, draft: Article) -> None:
        """Engines that have been open for long, and have an archive in memory, answer as one that is just opened."""
        answers = [engine.related_to(draft, 20) for engine in (*self.engines, Recommender.open(self.index))]
        assert answers[0] == answers[1] == answers[2]
        nowhere = {one.articles[0] for one in self.model.rules if one.kind == "never" and len(one.articles) == 1}
        found = [item.id for item in answers[0]]
        assert len(set(found)) == len(found)
        assert not nowhere & set(found)
        assert set(found) <= set(self.model.articles)
        self.nothing_changed()

    def nothing_changed(self) -> None:
        """Threads, log, rules and both lists are those of the model."""
        engine = self.engines[1]
        assert {a: one.id for one in engine.threads() for a in one.article_ids} == self.model.threads
        assert engine.changes() == self.model.log
        assert {profile: list(engine.all_related(50, profile=profile)) for profile in ("sidebar", "similar")} == self.model.lists

    def settle(self, *, removed: bool = False) -> None:
        """Take what is seen after a write into the model; ids of threads must have changed as the log says and no other way."""
        engine, model = self.engines[1], self.model
        before = {article: thread for article, thread in model.threads.items() if article in model.articles}
        log = engine.changes()
        known = log[: len(model.log)]
        if removed:  # headlines of what is gone may be too
            both = zip(known, model.log, strict=True)
            known = [replace(one, label=old.label) if one.label is None else one for one, old in both]
        assert known == model.log
        new = log[len(model.log) :]
        after = {article: thread.id for thread in engine.threads() for article in thread.article_ids}
        for article in model.articles:
            if before.get(article) != after.get(article):
                assert any(explains(change, article, before.get(article), after.get(article)) for change in new), article
        for change in new:
            if change.kind in ("founded", "split", "joined"):
                assert {after[article] for article in change.article_ids} == {change.thread_id}
            if change.kind == "merged":
                assert change.thread_id not in after.values()
                assert change.other_id in after.values()
                model.goes_on[change.thread_id] = str(change.other_id)
        was, now = members_of(before), members_of(after)
        for thread, members in now.items():
            whole = Counter({old: len(them) for old, them in was.items() if them <= members})
            if len(whole) == 1 and members == was[next(iter(whole))]:
                assert thread in whole  # the same articles
            sizes = sorted(whole.values(), reverse=True)
            if len(sizes) > 1 and sizes[0] > sizes[1] and members == set().union(*(was[old] for old in whole)):
                assert thread == whole.most_common(1)[0][0]  # the larger of those that turn out to be one
        for thread, members in was.items():
            parts = {new: them for new, them in now.items() if them & members}
            sizes = sorted(map(len, parts.values()), reverse=True)
            if len(parts) > 1 and sizes[0] > sizes[1] and all(them <= members for them in parts.values()):
                assert thread == max(parts, key=lambda new: len(parts[new]))  # the larger of the parts that it falls into
        leads = {thread.id: thread.lead_id for thread in engine.threads()}
        for thread, lead in model.leads.items():
            if thread in leads and after.get(lead) == thread:
                assert leads[thread] == lead  # it goes on under its headline
        model.threads, model.log, model.leads = after, log, leads
        model.lists = {profile: list(engine.all_related(50, profile=profile)) for profile in ("sidebar", "similar")}
        for profile, k in (("sidebar", 3), ("similar", 1)):
            shorter = [one.items for one in self.engines[0].all_related(k, profile=profile)]  # type: ignore[arg-type]
            assert shorter == [one.items[:k] for one in model.lists[profile]]

    @invariant()
    def sound(self) -> None:
        """Everything fits together, and every article reads back as it was given."""
        if not self.model.articles:
            return
        assert self.engines[0].check() == []
        store = Store.open(self.index)
        stored = list(articles_of(store))
        assert {article.id: article for article in stored} == self.model.articles
        assert len(stored) == len(self.model.articles)
        store.close()
        assert len(self.engines[0]) == len(self.model.articles)
        assert all((one in self.engines[1]) == (one in self.model.articles) for one in IDS)
        assert len(list(self.index.glob("store-*.sqlite"))) == 1

    @invariant()
    def listed(self) -> None:
        """Lists are of those who are there, each once, with what is known of them now."""
        model = self.model
        for profile in model.lists:
            assert sorted(str(one.id) for one in model.lists[profile]) == sorted(model.articles)
            scores: dict[tuple[str | None, str | None], float] = {}
            for one in model.lists[profile]:
                items = [item.id for item in one.items]
                assert len(set(items)) == len(items)
                assert one.id not in items
                pins = [made for made in model.rules if made.kind == "pin" and made.articles[0] == one.id]
                assert len(items) <= LONGEST + (len(pins) if profile == "sidebar" else 0)
                for item in one.items:
                    given = model.articles[item.id]
                    assert (item.title, item.url, item.thread_id) == (given.title, given.url, model.threads.get(item.id))
                    assert (item.published is None) == (given.published is None)
                    scores[one.id, item.id] = item.score
                if profile == "sidebar" and not pins:
                    assert [item.score for item in one.items] == sorted((item.score for item in one.items), reverse=True)
                assert (one.thread.id if one.thread else None) == model.threads.get(str(one.id))
            assert all(0 <= score <= 1 and scores.get((b, a), score) == score for (a, b), score in scores.items())

    @invariant()
    def threaded(self) -> None:
        """Threads are of two and more, oldest first, under the headline of their lead; merged ones answer with their heir."""
        if not self.model.articles:
            return
        model, engine = self.model, self.engines[0]
        threads = {thread.id: thread for thread in engine.threads()}
        assert sum(thread.size for thread in threads.values()) == len(model.threads)
        for thread in threads.values():
            members = [model.articles[one] for one in thread.article_ids]
            assert thread.size == len(set(thread.article_ids)) >= 2
            dates = [one.published for one in members]
            dated = [date for date in dates if date]
            assert dates == [*sorted(dated), *[None] * (len(dates) - len(dated))]
            named = [one.label for one in model.rules if one.kind == "rename" and one.articles[0] in thread.article_ids]
            assert thread.lead_id in thread.article_ids
            assert thread.label == (named[-1] if named else model.articles[thread.lead_id].title)
            assert engine.thread(thread.id) == thread
        for former in model.goes_on:
            if model.heir(former) in threads:
                assert engine.thread(former).id == model.heir(former)
            else:
                with pytest.raises(UnknownThreadError):
                    engine.thread(former)

    @invariant()
    def obeyed(self) -> None:
        """What docs/rules.md says that each rule does."""
        if not self.model.articles:
            return
        model, engine = self.model, self.engines[0]
        kept = engine.rules()
        assert [one.rule for one in kept] == model.rules
        assert [one.number for one in kept] == sorted({one.number for one in kept})
        threads = list(members_of(model.threads).values())
        lists = {profile: {one.id: [item.id for item in one.items] for one in model.lists[profile]} for profile in model.lists}
        pins: dict[str, list[str]] = {}
        for one in kept:
            there = model.there(one.rule)
            assert set(one.missing) == set(one.rule.articles) - set(there)
            for shown_items in lists.values():
                if one.rule.kind == "never" and len(one.rule.articles) == 1:
                    assert not any(one.rule.articles[0] in items for items in shown_items.values())
                elif one.rule.kind == "never" and len(there) == 2:
                    assert there[1] not in shown_items[there[0]]
                    assert there[0] not in shown_items[there[1]]
            if one.rule.kind == "pin" and len(there) == 2:
                pins.setdefault(there[0], []).append(there[1])
            if one.rule.kind == "merge" and len(there) == 2:
                assert any(set(there) <= thread for thread in threads)
            if one.rule.kind == "split":
                assert all(thread <= set(there) or not thread & set(there) for thread in threads)
            if one.rule.kind == "lock":
                assert all(thread == set(there) or not thread & set(there) for thread in threads)
                assert len(there) < 2 or set(there) in threads
        for article, chosen in pins.items():
            assert lists["sidebar"][article][: len(chosen)] == chosen


def shown(one: RelatedList) -> tuple[object, ...]:
    """What does not depend on what was there before."""
    return one.id, [(item.id, item.score, item.relation, item.reasons) for item in one.items]


def explains(change: ThreadChange, article: str, old: str | None, new: str | None) -> bool:
    """Whether a change says that an article went from a thread to another, None where it stood or stands alone."""
    if article not in change.article_ids:
        return False
    if change.kind in ("founded", "joined", "split"):
        return change.thread_id == new
    if change.kind == "merged":
        return change.thread_id == old and new in (change.other_id, None)
    return change.kind in ("left", "closed") and change.thread_id == old and new is None


@pytest.mark.slow
def test_whatever_is_done_the_engine_holds_what_the_model_holds() -> None:
    """Builds, adds, updates, removes, rules, rebuilds, backups and readers in any order: every promise holds after each."""
    run_state_machine_as_test(
        Newsroom,
        settings=settings(
            max_examples=EXAMPLES or 45,
            stateful_step_count=30,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
