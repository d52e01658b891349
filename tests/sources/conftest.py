"""A site for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.sources.site import Site, served


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests name proxies of their own; that of this machine is none of them."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def site() -> Iterator[Site]:
    """A WordPress site on loopback with six posts."""
    with served(Site()) as made:
        for number in range(1, 7):
            made.write(number)
        yield made
