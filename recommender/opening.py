"""An index that is kept open between one question and the next: the store that counts now, and what is in memory of it."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from recommender.answers import Profile, RelatedList
from recommender.errors import UnknownArticleError
from recommender.storage.damage import unreadable
from recommender.storage.folder import MANIFEST
from recommender.storage.store import Store

if TYPE_CHECKING:
    from recommender.archives.archive import Archive
    from recommender.archives.memory import Memory

MOST_LISTS = 4_096
"""Lists that are kept in memory; of five items, about 4 kB each. One that is kept takes a tenth of the time."""


class Opening:
    """An index folder. What others write to it is seen as soon as it is committed, a rebuilt index too; threads may share it."""

    def __init__(self, folder: Path, device: str | None = None) -> None:
        self.folder = folder
        self.device = device
        self._manifest = os.fspath(folder / MANIFEST)
        self._store: Store | None = None
        self._aside: Store | None = None
        self._seen: tuple[int, int] | None = None
        self._openings = 0
        self._memory: Memory | None = None
        self._lists: tuple[Store, int, Callable[[str, int, Profile], RelatedList]] | None = None

    def store(self) -> Store:
        """The store that counts now."""
        try:
            found = os.stat(self._manifest)  # noqa: PTH116 - half the time of Path.stat, for each question
            seen = (found.st_mtime_ns, found.st_ino)
        except OSError:
            seen = None
        if self._store is None or seen != self._seen or self._store.is_overtaken():
            self._store = Store.open(self.folder)
            self._seen = seen
            self._openings += 1
        return self._store

    def edition(self) -> tuple[int, int]:
        """Another one after every change of the index; it means nothing to another Opening."""
        version = self.store().version()
        return self._openings, version

    def close(self) -> None:
        """Let go of the files; the next question opens them again."""
        for store in (self._store, self._aside):
            if store is not None:
                store.close()
        self._store = self._aside = self._seen = self._memory = self._lists = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[Store]:
        """The store that counts now, as of one moment; for quick questions, since others wait."""
        store = self.store()
        with unreadable(self.folder), store.snapshot():
            yield store

    @contextlib.contextmanager
    def apart(self) -> Iterator[Store]:
        """The same for long work, which holds nobody up."""
        with Store.of_one_moment(self.folder) as store:
            yield store

    @contextlib.contextmanager
    def remembered(self) -> Iterator[tuple[Store, Archive]]:
        """The same with the archive in memory, for one at a time."""
        memory = self.memory()
        with memory.lock:
            store = self._store_aside()
            with store.snapshot():
                yield store, memory.archive(store, self.device)

    def memory(self) -> Memory:
        """What is kept in memory of the index."""
        if self._memory is None:
            from recommender.archives.memory import Memory

            self._memory = Memory()
        return self._memory

    def loaded(self, store: Store) -> Archive:
        """The archive as of the store's snapshot, for work that is too long to hold up others."""
        from recommender.archives.loading import load

        return load(store, device=self.device)

    def list_of(self, article_id: str, k: int, profile: Profile) -> RelatedList:
        """A list, read or kept from before. What is kept is of one edition, so that it is never of a former one."""
        store = self.store()
        version = store.version()
        kept = self._lists
        if kept is None or kept[0] is not store or kept[1] != version:
            kept = self._lists = store, version, functools.lru_cache(MOST_LISTS)(functools.partial(read_list, store))
        return kept[2](article_id, k, profile)

    def _store_aside(self) -> Store:
        """The store that counts now, opened once more, so that who asks it holds up no quick question; opening takes 2 ms."""
        name = self.store().manifest["store"]
        if self._aside is None or self._aside.manifest["store"] != name or self._aside.is_overtaken():
            if self._aside is not None:
                self._aside.close()
            self._aside = Store.open(self.folder)
        return self._aside


class Moment(Opening):
    """An index as a store that somebody holds sees it: as of one moment, and read only."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.folder)
        self._held = store

    def store(self) -> Store:
        """The one that is held."""
        return self._held

    @contextlib.contextmanager
    def apart(self) -> Iterator[Store]:
        """The same."""
        yield self._held

    def _store_aside(self) -> Store:
        return self._held


def read_list(store: Store, article_id: str, k: int, profile: Profile) -> RelatedList:
    """A list as the store has it; UnknownArticleError where it has no such article."""
    with unreadable(store.folder):
        found = store.listed(article_id, k, profile)
    if found is None:
        raise UnknownArticleError(article_id)
    return found
