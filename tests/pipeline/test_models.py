"""What --model was given becomes the full name of a model, which an index can store."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from recommender.cli import app
from recommender.pipeline.models import resolve_model


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("minilm", "sentence-transformers/all-MiniLM-L6-v2"),
        ("multilingual", "intfloat/multilingual-e5-small"),
        ("owner/model", "owner/model"),
        ("all-mpnet-base-v2", "all-mpnet-base-v2"),
    ],
)
def test_a_short_name_becomes_the_full_name(short: str, full: str) -> None:
    """The two short names stand for these hub models, other hub names for themselves; a full name stays as it is."""
    assert resolve_model(short) == full
    assert resolve_model(full) == full


def test_a_short_name_is_never_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder `minilm` in the working directory is used as ./minilm only, by its absolute path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "minilm").mkdir()
    (tmp_path / "minilm" / "config.json").write_text("{}")
    (tmp_path / "link").symlink_to("minilm")
    assert resolve_model("minilm") == "sentence-transformers/all-MiniLM-L6-v2"
    assert resolve_model("./minilm") == resolve_model("link") == str((tmp_path / "minilm").resolve())


def test_the_help_of_build_names_the_short_names() -> None:
    """Whoever asks how to name a model reads both."""
    text = CliRunner().invoke(app, ["build", "--help"]).output
    assert "minilm" in text
    assert "multilingual" in text
