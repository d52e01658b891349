"""What many tests share: an index of the sample newsroom, built once, and the editor's answer to it."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(str(resources.files("recommender") / "sample"))


@pytest.fixture(scope="session")
def newsroom_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index of the sample newsroom; read it, copy it, do not write to it."""
    from recommender import Recommender, read_articles

    folder = tmp_path_factory.mktemp("newsroom") / "index"
    Recommender.build(read_articles([SAMPLE / "articles.jsonl"]), folder).close()
    return folder


@pytest.fixture(scope="session")
def newsroom_truth() -> dict[str, Any]:
    """`truth.json` of the sample newsroom."""
    truth: dict[str, Any] = json.loads((SAMPLE / "truth.json").read_text(encoding="utf-8"))
    return truth
