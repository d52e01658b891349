"""A site for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sources.site import Site, served


@pytest.fixture
def site() -> Iterator[Site]:
    """A WordPress site on loopback with six posts."""
    with served(Site()) as made:
        for number in range(1, 7):
            made.write(number)
        yield made
