"""Functions that the tests of the benchmark call in other processes."""

from __future__ import annotations

from typing import Any


def holding(megabytes: int) -> dict[str, Any]:
    """So much memory for a moment."""
    return {"held": len(b"1" * (megabytes * 10**6))}


def lacking() -> dict[str, Any]:
    """A package that nobody has."""
    import no_such_package  # type: ignore[import-not-found]  # noqa: F401

    return {}


def wrong() -> dict[str, Any]:
    """An error."""
    raise ValueError("wrong with this text")
