"""What is kept in memory of an index between one question or write and the next."""

from __future__ import annotations

import threading
from typing import Any

from recommender.archives.archive import Archive
from recommender.archives.graph import Graph
from recommender.archives.loading import load, load_graph
from recommender.storage.damage import unreadable
from recommender.storage.store import Store


class Memory:
    """The archive of a store and its links, as of one edition. Whoever uses them, and whoever changes them, holds the lock."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._edition: tuple[Any, ...] | None = None
        self._archive: Archive | None = None
        self._graph: Graph | None = None

    def archive(self, store: Store, device: str | None = None) -> Archive:
        """The archive as the store's snapshot or transaction has it; read from it where what is kept is of another edition."""
        edition = edition_of(store)
        if self._archive is None or self._edition != edition:
            self.forget()
            self._archive, self._edition = load(store, device=device), edition
        return self._archive

    def graph(self, store: Store, device: str | None = None) -> Graph:
        """The links and threads, in the same way."""
        archive = self.archive(store, device)
        if self._graph is None:
            with unreadable(store.folder):
                self._graph = load_graph(store, archive)
        return self._graph

    def follow(self, store: Store, before: tuple[Any, ...]) -> None:
        """The store has been changed since an edition, and what is kept of that edition with it."""
        if self._edition == before:
            self._edition = edition_of(store)
        else:
            self.forget()

    def forget(self) -> None:
        """Keep nothing: the next who asks reads the store."""
        self._edition = self._archive = self._graph = None


def edition_of(store: Store) -> tuple[Any, ...]:
    """What tells one state of an index from any other."""
    with unreadable(store.folder):
        return store.manifest["store"], *store.query("SELECT value FROM meta WHERE key = 'edition'")[0]
