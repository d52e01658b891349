"""Recommender: the library's front door. Reading needs SQLite alone; what is heavy is imported where it is needed."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recommender.answers import Explanation, Profile, Related, RelatedList, StoryThread, ThreadChange
from recommender.errors import UnknownArticleError, UnknownThreadError
from recommender.opening import Moment, Opening, read_list
from recommender.reports import Comparison, Evaluation, Finding, Repaired, Tuning
from recommender.storage.store import Store

if TYPE_CHECKING:
    from recommender.archives.rulebook import KeptRule
    from recommender.judging.gold import Gold
    from recommender.pipeline.articles import Article
    from recommender.pipeline.rules import Rule
    from recommender.writing.writer import WriteOptions, Written


class Recommender:
    """An index of articles: related lists and story threads, by id.

    Opening is cheap and reads nothing. An open Recommender sees what others write to the index as soon as it is committed,
    a rebuilt index too. It may be shared between threads.
    """

    def __init__(self, index: str | os.PathLike[str], *, device: str | None = None) -> None:
        self._index = Opening(Path(index), device)

    @classmethod
    def open(cls, index: str | os.PathLike[str] = "artifacts/index", *, device: str | None = None) -> Recommender:
        """An existing index; IndexUnusableError where there is none, it is damaged or of another format version."""
        engine = cls(index, device=device)
        engine._index.store()
        return engine

    @classmethod
    def build(
        cls,
        articles: Iterable[Article],
        index: str | os.PathLike[str] = "artifacts/index",
        *,
        model: str = "lsa",
        weights: str | os.PathLike[str] | None = None,
        evergreen: Iterable[str] = (),
        device: str | None = None,
        notice: Callable[[str], None] = lambda message: None,
        progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    ) -> Recommender:
        """A new index of these articles, in place of one that is there; readers see the old one until it is complete.

        `model` is `lsa`, fitted on the archive itself, or a sentence-transformers model: `minilm`, `multilingual`, another by hub
        name, or a folder. `weights` is a file that `tune` has written; without it the score has the shipped ones. `evergreen`
        names sections whose articles do not age (recipes, guides): time is no evidence for or against them. Of two articles with
        one id the later counts, and `notice` is told so. `progress` is called with a stage, the articles done in it, and their
        total (0 where it is not known).
        """
        from recommender.judging.tuning import read_weights
        from recommender.writing import building, writer

        known = None if weights is None else read_weights(weights)
        options = writer.WriteOptions(device=device, notice=notice, stage=progress)
        building.build(articles, Path(index), model, options, weights=known, evergreen=evergreen)
        return cls.open(index, device=device)

    def add(
        self,
        articles: Iterable[Article],
        *,
        notice: Callable[[str], None] = lambda message: None,
        progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    ) -> Written:
        """Add articles in one transaction; a known id with other text or fields is updated, else it costs a comparison."""
        from recommender.writing import updating

        return updating.add(articles, self._index.folder, self._options(notice=notice, stage=progress))

    def remove(self, ids: Iterable[str]) -> Written:
        """Forget articles everywhere, all or none; UnknownArticleError where one is not there."""
        from recommender.writing import updating

        return updating.remove(ids, self._index.folder, self._options())

    def related_ids(self, article_id: str, k: int = 5, *, profile: Profile = "sidebar") -> list[str]:
        """The ids of the related articles, best first; fewer than k, or none, where nothing more is related."""
        return [item.id for item in self.related(article_id, k, profile=profile)]

    def related(self, article_id: str, k: int = 5, *, profile: Profile = "sidebar") -> list[Related]:
        """The related articles, best first, with score, relation and reasons."""
        return list(self.related_list(article_id, k, profile=profile).items)

    def related_list(self, article_id: str, k: int = 5, *, profile: Profile = "sidebar") -> RelatedList:
        """The same with the thread of the article.

        Of the lists last asked for, `MOST_LISTS` are kept in memory until the index is another.
        """
        _check_length(k)
        return self._index.list_of(article_id, k, profile)

    def all_related(self, k: int = 5, *, profile: Profile = "sidebar") -> Iterator[RelatedList]:
        """The list of every article, oldest first, what was added later last; all as of the moment of the first."""
        _check_length(k)
        with self._index.apart() as store:
            for article_id in store.article_ids():
                yield read_list(store, article_id, k, profile)

    @contextlib.contextmanager
    def moment(self) -> Iterator[Recommender]:
        """This index as of now, for many questions whose answers must fit together; it ends with the block, and is read only."""
        with self._index.apart() as store:
            engine = Recommender(store.folder)
            engine._index = Moment(store)
            yield engine

    def related_to(self, draft: Article, k: int = 5, *, profile: Profile = "sidebar") -> list[Related]:
        """The related articles of one that is not in the index, and stays out of it."""
        from recommender.drafts import related_to

        _check_length(k)
        with self._index.remembered() as (store, archive):
            return related_to(store, archive, draft, k, profile)

    def explain(self, one: str, other: str) -> Explanation:
        """What the engine holds of a pair: score, relation, reasons and the evidence behind them."""
        from recommender.drafts import explain

        with self._index.remembered() as (store, archive):
            self._row(store, one)
            self._row(store, other)
            return explain(store, archive, one, other)

    def threads(self, *, min_size: int = 2) -> list[StoryThread]:
        """The story threads, the one with the latest article first."""
        with self._index.reading() as store:
            return store.threads(min_size=min_size)

    def thread(self, thread_id: str) -> StoryThread:
        """One thread, or the one that it was merged into; UnknownThreadError where there is none of that id."""
        with self._index.reading() as store:
            return self._thread(store, thread_id)

    def timeline(self, thread_id: str) -> tuple[StoryThread, tuple[Related, ...]]:
        """A thread, as from `thread`, with what lists show of its articles, oldest first; both as of one moment."""
        with self._index.reading() as store:
            found = self._thread(store, thread_id)
            return found, tuple(store.shown(self._row(store, article_id)) for article_id in found.article_ids)

    def merged(self) -> dict[str, str]:
        """The id of each thread that was merged into another, and of the one that goes on."""
        with self._index.reading() as store:
            return store.redirects()

    def changes(self, since: datetime | None = None) -> list[ThreadChange]:
        """What happened to threads at or after a moment (timezone-aware), oldest first."""
        moment = "" if since is None else since.astimezone(UTC).isoformat(timespec="seconds")
        with self._index.reading() as store:
            return list(store.changes(moment))

    def rebuild(
        self,
        *,
        model: str | None = None,
        to: str | os.PathLike[str] | None = None,
        notice: Callable[[str], None] = lambda message: None,
        progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    ) -> None:
        """Make the index anew of the articles that it holds, with its model or another; readers see the old one until it is done.

        Thread ids, weights and sections that do not age come along. `to` is another folder that gets the new index, while
        this one stays as it is.
        """
        from recommender.writing import building

        options = self._options(notice=notice, stage=progress)
        building.rebuild(self._index.folder, self._index.folder if to is None else Path(to), model, options)

    def compare(self, other: Recommender) -> Comparison:
        """How far this index and another agree on the articles that both hold."""
        from recommender.upkeep.comparing import compare

        with self._index.reading() as one, other._index.reading() as two:
            return compare(one, two)

    def thread_of(self, article_id: str) -> StoryThread | None:
        """The thread of an article; None where it stands alone."""
        with self._index.reading() as store:
            place = store.place(self._row(store, article_id))
            return store.threads(thread_id=place.id)[0] if place else None

    def article(self, article_id: str) -> Related:
        """What lists show of one article, as if it were in its own: score 1."""
        with self._index.reading() as store:
            return store.shown(self._row(store, article_id))

    def search(self, words: str, *, limit: int = 50) -> list[Related]:
        """The articles whose title or id holds every one of these words, the newest first; one of that very id before all."""
        with self._index.reading() as store:
            return store.search(words, limit)

    def leading(self, name: str) -> str:
        """The article that a name stands for in a rule: itself, the lead of the thread of that id, or one that may come."""
        if name in self or not re.fullmatch("t[0-9a-f]{10}", name):
            return name
        return self.thread(name).lead_id

    def latest(self, section: str | None, k: int = 5, *, until: str | None = None) -> list[Related]:
        """The last k articles of a section (None: of all), newest first: the list that this engine replaces.

        `until` leaves out what came later, ISO 8601 in UTC.
        """
        with self._index.reading() as store:
            return store.latest(section, k, until)

    def evaluate(
        self,
        gold: str | os.PathLike[str],
        *,
        resamples: int = 1000,
        format: str | None = None,
        notice: Callable[[str], None] = lambda message: None,
    ) -> Evaluation:
        """How this index answers a truth of the site's own, beside the latest, TF-IDF and chance on the same articles.

        `gold` is a CSV, TSV or JSON Lines file of story labels (`id`, `story`, `topic`), judged pairs (`one`, `other`, `grade`)
        or graded lists (`query`, `candidate`, `grade`). Graded lists are measured as a reader sees them, over the whole index.
        """
        from recommender.judging import graded, measuring
        from recommender.judging.gold import GradedLists, read_gold

        if resamples < 1:
            raise ValueError(f"resamples must be 1 or more, not {resamples}")
        source = os.fspath(gold)
        truth = read_gold(source, format=format)
        shown = "stdin" if source == "-" else source
        notice(f"{shown}: {truth.told()}")
        with self._index.apart() as store:
            archive = self._index.loaded(store)
            if isinstance(truth, GradedLists):
                found = graded.evaluate(store, archive, truth, source=shown, resamples=resamples)
            else:
                found = measuring.evaluate(store, archive, truth, source=shown, resamples=resamples)
        _say_missing(found.counts, truth, notice)
        return found

    def tune(
        self,
        gold: str | os.PathLike[str],
        *,
        apply: bool = False,
        output: str | os.PathLike[str] | None = None,
        format: str | None = None,
        notice: Callable[[str], None] = lambda message: None,
        progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    ) -> Tuning:
        """Weights of the site's own, learned from such a truth, and what they gain on articles they were not learned from.

        `apply` gives them to the index, in one transaction, where they are better than the shipped ones; else it is left as
        it is. `output` is a file that gets them for `build`. RecommenderError where there is too little to learn from.
        """
        from recommender.judging import tuning
        from recommender.judging.gold import read_gold
        from recommender.pipeline.scoring import Weights
        from recommender.writing import updating

        source = os.fspath(gold)
        truth = read_gold(source, format=format)
        shown = "stdin" if source == "-" else source
        notice(f"{shown}: {truth.told()}")
        with self._index.apart() as store:
            found = tuning.tune(store, self._index.loaded(store), truth, source=shown)
        _say_missing(found.counts, truth, notice)
        if output is not None:
            tuning.write_weights(output, found)
        if apply and found.better:
            options = self._options(notice=notice, stage=progress)
            updating.reweigh(Weights.from_json(found.weights), self._index.folder, options)
            found = replace(found, applied=True)
        return found

    def rules(self) -> list[KeptRule]:
        """What editors have decided, in the order they did."""
        from recommender.archives.rulebook import kept_rules

        with self._index.reading() as store:
            return kept_rules(store)

    def add_rule(self, rule: str | Rule) -> KeptRule:
        """Keep a rule, such as `pin a17 a03`, and obey it; InvalidRuleError where it is none or contradicts one that is kept.

        An article that is not in the index is no error: the rule waits for it, and `missing` says so.
        """
        from recommender.archives import rulebook
        from recommender.pipeline.rules import parse_rule
        from recommender.writing import updating

        made = parse_rule(rule) if isinstance(rule, str) else rule
        updating.overrule(lambda store: rulebook.enter(store, [made]), self._index.folder, self._options())
        return next(kept for kept in self.rules() if kept.rule == made)

    def drop_rule(self, number: int) -> None:
        """Forget a rule by its number and undo what it did; UnknownRuleError where there is none."""
        from recommender.archives import rulebook
        from recommender.writing import updating

        updating.overrule(lambda store: rulebook.drop(store, number), self._index.folder, self._options())

    def export_rules(self) -> str:
        """The rules as the text of a file, comments included."""
        from recommender.pipeline.rules import write_rules

        return "".join(f"{line}\n" for line in write_rules(kept.rule for kept in self.rules()))

    def import_rules(self, text: str, *, source: str = "rules", replace: bool = False) -> list[KeptRule]:
        """Keep the rules of such a text, all or none, beside those that are kept or in place of them; returns all rules.

        InvalidRulesError names every line of `source` that is no rule, or contradicts another.
        """
        from recommender.archives import rulebook
        from recommender.writing import updating

        options = self._options()
        updating.overrule(lambda store: rulebook.take_in(store, text, source, instead=replace), self._index.folder, options)
        return self.rules()

    def info(self) -> dict[str, Any]:
        """Counts, model, dimensions, sizes and versions."""
        with self._index.reading() as store:
            return store.info()

    def check(self) -> list[Finding]:
        """What does not fit together in this index, a kind at a time; empty where it is sound."""
        from recommender.upkeep.integrity import check

        with contextlib.closing(Store.open(self._index.folder)) as store:
            return check(store)

    def compact(self) -> tuple[int, int]:
        """Let no trace be left of what was removed, and give back its room; (bytes before, bytes after).

        An index of the last format before this one is brought up to date: `Recommender(index).compact()`.
        """
        from recommender.upkeep import compaction

        return compaction.compact(self._index.folder, self._options())

    def backup(self, file: str | os.PathLike[str]) -> int:
        """Write the index as of this moment to one file, whoever reads or writes meanwhile; its size in bytes."""
        from recommender.upkeep import backups

        return backups.backup(self._index.folder, Path(file))

    @classmethod
    def restore(
        cls, file: str | os.PathLike[str], index: str | os.PathLike[str] = "artifacts/index", *, device: str | None = None
    ) -> Recommender:
        """The index that a backup holds, in place of one that is there; BackupError, and no change, where it is not whole."""
        from recommender.upkeep import backups
        from recommender.writing import writer

        backups.restore(Path(file), Path(index), writer.WriteOptions(device=device))
        return cls.open(index, device=device)

    @classmethod
    def repair(
        cls,
        index: str | os.PathLike[str] = "artifacts/index",
        *,
        device: str | None = None,
        notice: Callable[[str], None] = lambda message: None,
        progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    ) -> Repaired:
        """Make a new index of what can be read of a damaged one, which is kept aside; a sound one is left as it is."""
        from recommender.upkeep import repairing
        from recommender.writing import writer

        return repairing.repair(Path(index), writer.WriteOptions(device=device, notice=notice, stage=progress))

    def __contains__(self, article_id: str) -> bool:
        return self._index.store().row_of(article_id) is not None

    def __len__(self) -> int:
        return self._index.store().count("articles")

    def edition(self) -> tuple[int, int]:
        """A value that is another one after each change of the index, by whoever; good as long as this object is.

        Whoever keeps answers asks for it first: what is read afterwards is of this edition or a later one.
        """
        return self._index.edition()

    def close(self) -> None:
        """Let go of the files; the next call opens them again."""
        self._index.close()

    def _options(self, **others: Any) -> WriteOptions:
        from recommender.writing import writer

        return writer.WriteOptions(device=self._index.device, memory=self._index.memory(), **others)

    @staticmethod
    def _thread(store: Store, thread_id: str) -> StoryThread:
        found = store.threads(thread_id=store.redirected(thread_id))
        if not found:
            raise UnknownThreadError(thread_id)
        return found[0]

    @staticmethod
    def _row(store: Store, article_id: str) -> int:
        row = store.row_of(article_id)
        if row is None:
            raise UnknownArticleError(article_id)
        return row


def _say_missing(counts: Mapping[str, int], truth: Gold, notice: Callable[[str], None]) -> None:
    if missing := counts["unknown_articles"]:
        notice(f"{missing:,} of its {len(truth.ids):,} articles are not in this index and are left out")


def _check_length(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be 1 or more, not {k}")
