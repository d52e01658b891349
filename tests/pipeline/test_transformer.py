"""Real sentence-transformers models, small and built on the spot, through the encoder's own loading code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from recommender import Article, Recommender
from recommender.errors import EncoderError
from recommender.pipeline import transformer
from recommender.pipeline.content import Content
from recommender.pipeline.transformer import TransformerEncoder, full_text, split
from tests.models import WORDS, static_model, transformer_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "model.safetensors"
PROMPTS = {"query": "who: ", "passage": "says: "}


def content(title: str = "", lead: str = "", text: str = "") -> Content:
    """A content of these parts."""
    return Content(title=title, lead=lead, text=text)


def story(seed: int, words: int) -> str:
    """That many words of the vocabulary, in an order drawn by seed."""
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))


LONG = content("Putin visit north korea", "Kremlin leader says summit", story(1, 300))
VARIED = [content(story(n, 3), "", story(n + 100, n * 7 % 90)) for n in range(25)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the models `static`, `bert` and `prompted` (the weights of `bert`, with prompts)."""
    folder = tmp_path_factory.mktemp("models")
    static_model(folder / "static")
    transformer_model(folder / "bert")
    transformer_model(folder / "prompted", prompts=PROMPTS)
    return folder


@pytest.fixture(scope="module", params=["static", "bert", "prompted"])
def encoder(request: pytest.FixtureRequest, models: Path) -> TransformerEncoder:
    """Each of the models, loaded."""
    return TransformerEncoder.load(str(models / request.param))


def lengths(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The Euclidean length of every row."""
    return np.asarray(np.linalg.norm(vectors, axis=1), np.float32)


def variant(models: Path, folder: Path, kind: str, change: Callable[[Path], object]) -> str:
    """A changed copy of a model."""
    copy = folder / f"{kind}-changed"
    shutil.copytree(models / kind, copy)
    change(copy)
    return str(copy)


def multiply_weights(folder: Path, factor: float) -> None:
    """Every weight of a saved model times factor."""
    scaled = {key: tensor * factor for key, tensor in load_file(folder / WEIGHTS).items()}
    save_file(scaled, folder / WEIGHTS, metadata={"format": "pt"})


def remove(folder: Path, pattern: str) -> None:
    """Delete the files of a folder that match."""
    for file in folder.glob(pattern):
        file.unlink()


def test_vectors_are_unit_rows_of_the_said_dimensions(encoder: TransformerEncoder) -> None:
    """Any mix of short and long texts becomes float32 rows of length 1."""
    vectors = encoder.encode([LONG, *VARIED])
    assert vectors.shape == (26, encoder.dimensions) == (26, 32)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(lengths(vectors), 1.0, atol=1e-6)


def test_title_alone_body_alone_and_nothing(encoder: TransformerEncoder) -> None:
    """A title or a body is enough for a vector; without any text there is a zero row, not NaN."""
    vectors = encoder.encode([content("Putin visit"), content("", "", "Putin visit"), content()])
    np.testing.assert_allclose(lengths(vectors), [1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    assert encoder.encode([]).shape == (0, 32)
    assert not encoder.encode([content(), content()]).any()


def test_a_zero_vector_of_the_model_stays_zero(models: Path) -> None:
    """Where no word has a vector, the row is zero, beside texts that have one and alone."""
    encoder = TransformerEncoder.load(str(models / "static"))
    np.testing.assert_allclose(lengths(encoder.encode([content("!!"), content("putin"), content("...")])), [0, 1, 0], atol=1e-6)
    np.testing.assert_array_equal(encoder.encode([content("!!")]), np.zeros((1, 32)))


def test_the_same_texts_get_the_same_vectors(encoder: TransformerEncoder) -> None:
    """Another call and another load give the very bits; other company in the batch at most rounding."""
    vectors = encoder.encode(VARIED)
    np.testing.assert_array_equal(encoder.encode(VARIED), vectors)
    np.testing.assert_array_equal(TransformerEncoder.load(encoder.name).encode(VARIED), vectors)
    np.testing.assert_allclose(encoder.encode(VARIED[::-1])[::-1], vectors, atol=1e-5)
    np.testing.assert_allclose(np.vstack([encoder.encode([text]) for text in VARIED]), vectors, atol=1e-5)


def test_the_very_end_of_a_long_body_counts(encoder: TransformerEncoder) -> None:
    """Another last word of 300 changes the vector."""
    changed = content(LONG.title, LONG.lead, LONG.text.rsplit(" ", 1)[0] + " tuberculosis")
    before, after = encoder.encode([LONG, changed])
    assert np.abs(before - after).max() > 1e-4


@pytest.mark.parametrize(("kind", "prompt"), [("bert", ""), ("prompted", "says: ")])
def test_no_chunk_is_longer_than_the_model_reads(models: Path, kind: str, prompt: str) -> None:
    """By the saved tokenizer's own count every chunk fits in 32 tokens with its prompt, and no word is missing."""
    encoder = TransformerEncoder.load(str(models / kind))
    tokenizer = Tokenizer.from_file(str(models / kind / "tokenizer.json"))
    chunks = encoder.chunks(LONG)
    counts = [len(tokenizer.encode(prompt + chunk.text).ids) for chunk in chunks]
    assert counts == [chunk.tokens for chunk in chunks]
    assert max(counts) <= 32
    assert len(chunks) < 2 * sum(counts) / 32
    assert " ".join(chunk.text for chunk in chunks).split() == full_text(LONG).split()
    assert chunks[0].text.startswith("Putin visit north korea\nKremlin leader")


@pytest.mark.parametrize(("kind", "prompt"), [("bert", ""), ("prompted", "says: ")])
def test_a_long_text_is_the_weighted_mean_of_its_chunks(models: Path, kind: str, prompt: str) -> None:
    """Half the first chunk, half the others by their tokens, as the library itself encodes them one by one."""
    chunks = TransformerEncoder.load(str(models / kind)).chunks(LONG)
    model = SentenceTransformer(str(models / kind), device="cpu")
    units = [model.encode(prompt + chunk.text, normalize_embeddings=True) for chunk in chunks]
    tokens = [len(model.tokenizer(prompt + chunk.text)["input_ids"]) for chunk in chunks]
    expected = 0.5 * units[0] + 0.5 * np.average(units[1:], axis=0, weights=tokens[1:])
    found = TransformerEncoder.load(str(models / kind)).encode([LONG])[0]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)


def test_a_short_tail_does_not_weigh_half(models: Path) -> None:
    """With two chunks each weighs its tokens when the first is the longer one."""
    first, second = TransformerEncoder.load(str(models / "bert")).chunks(content("", "", story(2, 31)))
    assert (first.weight, second.weight) == (first.tokens, second.tokens)
    assert first.weight > second.weight


def test_a_static_model_reads_everything_at_once(models: Path) -> None:
    """Its vector is the mean of all 308 word vectors, read from the weights file by hand."""
    table = load_file(models / "static" / WEIGHTS)["embedding.weight"].numpy()
    rows = [table[WORDS.index(word) + 1] for word in full_text(LONG).lower().split()]
    expected = np.mean(rows, axis=0)
    encoder = TransformerEncoder.load(str(models / "static"))
    assert encoder.limit is None
    np.testing.assert_allclose(encoder.encode([LONG])[0], expected / np.linalg.norm(expected), atol=1e-5)


@pytest.mark.parametrize(
    ("prompts", "default", "expected"),
    [
        ({"query": "who: ", "passage": "says: "}, None, "says: "),
        ({"document": "on: ", "passage": "says: "}, "passage", "on: "),
        ({"query": "who: ", "topic": "with: "}, "topic", "with: "),
        ({"query": "who: "}, None, ""),
        ({}, None, ""),
    ],
)
def test_the_prompt_for_documents_is_honoured(
    models: Path, tmp_path: Path, prompts: dict[str, str], default: str | None, expected: str
) -> None:
    """The vectors are those of the library for the prompt written before the text by hand."""

    def set_prompts(folder: Path) -> None:
        settings = {"prompts": prompts, "default_prompt_name": default}
        (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))

    encoder = TransformerEncoder.load(variant(models, tmp_path, "bert", set_prompts))
    by_hand = SentenceTransformer(str(models / "bert"), device="cpu").encode(
        [expected + "putin visit"], normalize_embeddings=True
    )
    assert encoder.prompt == expected
    np.testing.assert_allclose(encoder.encode([content("putin visit")]), by_hand, atol=1e-5)


@given(text=st.text(alphabet="ab漢 \n", min_size=1, max_size=200), limit=st.integers(4, 12))
def test_split_loses_nothing_and_obeys_the_limit(text: str, limit: int) -> None:
    """Whatever the text, pieces fit, come in order, and hold every character but white space."""

    def count(piece: str) -> int:  # two for every token pair around, one a letter, two an ideograph
        return 2 + sum(2 if letter == "漢" else 1 for letter in piece if not letter.isspace())

    pieces = split(text, count, limit)
    assert all(count(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def test_split_cuts_between_words() -> None:
    """Pieces end at white space, and a word longer than a piece is cut."""
    assert split("one two three four", len, 9) == ["one two", "three", "four"]
    assert split("abcdefghij", len, 4) == ["abcd", "efgh", "ij"]


@pytest.mark.parametrize("body", ["Lead here. More.", "Lead\nhere. More.", "More."])
def test_title_and_lead_come_first_and_once(body: str) -> None:
    """A lead that opens the body is not said twice."""
    assert full_text(content("Title", "Lead here.", body)).split() == ["Title", "Lead", "here.", "More."]


def test_progress_counts_finished_contents(encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It never falls, knows the total, and ends when all are done, empty ones included."""
    monkeypatch.setattr(transformer, "BLOCK", 4)
    monkeypatch.setattr(transformer, "BATCH_CHUNKS", 3)
    calls: list[tuple[int, int]] = []
    texts = [*VARIED, content(), content(), content(), content()]
    vectors = encoder.encode(texts, progress=lambda done, total: calls.append((done, total)))
    assert {total for _, total in calls} == {29}
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1] == (29, 29)
    assert len(calls) >= 10
    monkeypatch.undo()
    np.testing.assert_allclose(vectors, encoder.encode(texts), atol=1e-5)


CHANGES: dict[str, tuple[Callable[[Path], object], bool]] = {
    "nothing": (lambda folder: None, False),
    "a hidden note": (lambda folder: (folder / ".notes").write_text("today"), False),
    "the weights": (lambda folder: multiply_weights(folder, 1.001), True),
    "a new file": (lambda folder: (folder / "new.txt").write_text(""), True),
    "a file's name": (lambda folder: (folder / WEIGHTS).rename(folder / "model.safetensorz"), True),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_revision_of_a_folder_is_of_its_files(models: Path, tmp_path: Path, change: str) -> None:
    """A copy has the same 16 hex digits, hidden notes do not matter; other bytes or other names do."""
    action, changes = CHANGES[change]
    before = TransformerEncoder.load(str(models / "bert")).revision
    after = transformer._digest(Path(variant(models, tmp_path, "bert", action)))
    assert len(before) == len(f"{int(before, 16):016x}") == 16
    assert (after != before) is changes


def test_half_precision_weights_work_on_a_cpu(models: Path, tmp_path: Path) -> None:
    """A model saved in float16 computes in float32: its vectors are those of the same numbers saved in float32."""

    def save(folder: Path, dtype: torch.dtype) -> None:
        rounded = {key: tensor.half().to(dtype) for key, tensor in load_file(folder / WEIGHTS).items()}
        save_file(rounded, folder / WEIGHTS, metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "dtype": str(dtype).removeprefix("torch.")}))

    half = variant(models, tmp_path / "half", "bert", lambda folder: save(folder, torch.float16))
    whole = variant(models, tmp_path / "whole", "bert", lambda folder: save(folder, torch.float32))
    found, expected = (TransformerEncoder.load(folder, device="cpu").encode(VARIED) for folder in (half, whole))
    np.testing.assert_array_equal(found, expected)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated weights": lambda folder: os.truncate(folder / WEIGHTS, 5000),
    "weights that are something else": lambda folder: (folder / WEIGHTS).write_bytes(b"x" * 1000),
    "no weights": lambda folder: (folder / WEIGHTS).unlink(),
    "weights that are no numbers": lambda folder: multiply_weights(folder, float("nan")),
    "no tokenizer": lambda folder: remove(folder, "tokenizer*"),
    "broken modules.json": lambda folder: (folder / "modules.json").write_text("{"),
    "no model": lambda folder: remove(folder, "*.json"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["static", "bert"])
def test_a_damaged_model_is_one_line(
    models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str, damage: str
) -> None:
    """The error names the folder and a remedy in one line, and the libraries print nothing."""
    folder = variant(models, tmp_path, kind, DAMAGES[damage])
    capfd.readouterr()
    with pytest.raises(EncoderError) as caught:
        TransformerEncoder.load(folder)
    message = str(caught.value)
    assert repr(folder) in message
    assert "; download it again or name" in message or "; name the folder" in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["/no/such/folder", "./missing", "a b c", "nowhere\\model"])
def test_a_folder_that_is_not_there_is_one_line(name: str) -> None:
    """What can be no name of the hub is said to be no folder, without asking the network."""
    with pytest.raises(EncoderError, match="no such folder"):
        TransformerEncoder.load(name)


REFUSE = """
import sys
from recommender.errors import EncoderError
from recommender.pipeline.transformer import TransformerEncoder
for name in sys.argv[1:]:
    try:
        TransformerEncoder.load(name)
    except EncoderError as error:
        print(error)
print(*({"torch", "transformers", "sentence_transformers"} & set(sys.modules)))
"""


def test_a_wrong_model_folder_is_refused_without_torch(tmp_path: Path) -> None:
    """In a fresh process, paths without a folder, folders without a model and '' are refused before torch is imported."""
    missing = ["/no/such/folder", "./missing", "../missing", "~/missing/model", "models/of/mine", ""]
    lines = run_python(REFUSE, {"HOME": str(tmp_path)}, *missing, str(tmp_path)).stdout.splitlines()
    no_folder = "no such folder, and no possible name of a model on the Hugging Face hub; check the path"
    no_model = (
        "this folder holds no sentence-transformers model (no modules.json in it); "
        "name the folder that has one, or a model of the Hugging Face hub"
    )
    assert lines == [*(f"model {name!r}: {no_folder}" for name in missing), f"model {str(tmp_path)!r}: {no_model}", ""]


def test_a_wrong_model_folder_is_refused_before_an_article_is_read(tmp_path: Path) -> None:
    """A build with it reads nothing of its source and makes no index."""

    def articles() -> Iterator[Article]:
        pytest.fail("an article was read")
        yield

    with pytest.raises(EncoderError, match="no such folder"):
        Recommender.build(articles(), tmp_path / "index", model="./missing")
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("device", ["quark", "cuda:99"])
def test_a_device_that_is_not_there_is_one_line(models: Path, device: str) -> None:
    """A wrong device is named as such, not as a damaged model."""
    with pytest.raises(EncoderError, match=f"^device '{device}' cannot be used here .*; try 'cpu'$"):
        TransformerEncoder.load(str(models / "bert"), device=device)


def test_a_prompt_that_fills_the_limit_is_refused(tmp_path: Path) -> None:
    """A model whose prompt leaves fewer than 8 of its 16 tokens cannot read articles."""
    folder = transformer_model(tmp_path / "tight", max_seq_length=16, prompts={"document": "the story of the day: "})
    with pytest.raises(EncoderError, match="its limit of 16 tokens leaves no room"):
        TransformerEncoder.load(str(folder))


def test_code_of_a_model_is_never_run(models: Path, tmp_path: Path) -> None:
    """A module class of the folder's own is refused before its file is imported."""

    def infect(folder: Path) -> None:
        modules = json.loads((folder / "modules.json").read_text())
        modules[0]["type"] = "own_code.Own"
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "own_code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")

    with pytest.raises(EncoderError, match="own_code"):
        TransformerEncoder.load(variant(models, tmp_path, "bert", infect))
    assert not (tmp_path / "ran").exists()


LOAD_AND_ENCODE = """
import os, sys
from recommender.pipeline.content import Content
from recommender.pipeline.transformer import TransformerEncoder
from transformers.utils import logging as library
before = dict(os.environ), library.get_verbosity(), library.is_progress_bar_enabled()
TransformerEncoder.load(sys.argv[1]).encode([Content(title="Putin visit", lead="", text="talks " * 300)])
assert (dict(os.environ), library.get_verbosity(), library.is_progress_bar_enabled()) == before
"""


def test_loading_and_encoding_are_quiet_and_leave_no_trace(models: Path, tmp_path: Path) -> None:
    """Not even a model of a later library makes it warn; environment, library logs and progress bars are as before."""
    settings = json.dumps({"__version__": {"sentence_transformers": "99.0.0"}})
    later = variant(models, tmp_path, "bert", lambda folder: (folder / "config_sentence_transformers.json").write_text(settings))
    done = run_python(LOAD_AND_ENCODE, {}, later)
    assert (done.stdout, done.stderr) == ("", "")


def cache_model(models: Path, cache: Path) -> Path:
    """A copy of the model `bert` where the hub's cache keeps owner/tiny; its folder."""
    snapshot = cache / "models--owner--tiny" / "snapshots" / COMMIT
    shutil.copytree(models / "bert", snapshot)
    (cache / "models--owner--tiny" / "refs").mkdir()
    (cache / "models--owner--tiny" / "refs" / "main").write_text(COMMIT)
    return snapshot


def unreachable(*_: object, **__: object) -> None:
    """The hub without a network."""
    raise ConnectionError("no route")


def test_a_cached_hub_model_needs_no_network(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is loaded from this disk, its revision is its commit, and its vectors are the folder's."""
    cache_model(models, tmp_path)
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", unreachable)
    encoder = TransformerEncoder.load("owner/tiny")
    assert (encoder.name, encoder.revision) == ("owner/tiny", COMMIT)
    np.testing.assert_array_equal(encoder.encode(VARIED), TransformerEncoder.load(str(models / "bert")).encode(VARIED))


@pytest.mark.parametrize("missing", ["modules.json", WEIGHTS])
def test_a_cached_model_that_is_not_whole_is_not_used(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """Without modules.json the library would pool in its own way and say nothing; here it is an error that says what to do."""
    (cache_model(models, tmp_path) / missing).unlink()
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    monkeypatch.setattr("socket.socket.connect", unreachable)
    with pytest.raises(EncoderError, match=r"not whole\) on this disk.*cannot be reached; download it .* with --model$"):
        TransformerEncoder.load("owner/tiny")


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a download needs: the commit of owner/tiny and its files, from `folder`."""

    folder: Path
    asked: list[str]

    def do_GET(self) -> None:
        """Answer with the body."""
        self.asked.append(self.path)
        file = self.folder / self.path.rpartition(COMMIT)[2].lstrip("/")
        if self.path == "/api/models/owner/tiny":
            self.answer(200, json.dumps({"id": "owner/tiny", "sha": COMMIT}).encode())
        elif self.path.startswith("/owner/tiny/resolve/") and file.is_file():
            self.answer(200, file.read_bytes())
        else:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound" if "tiny" in self.path else "RepoNotFound"})

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def answer(self, status: int, body: bytes, extra: Mapping[str, str] | None = None) -> None:
        """Send what the hub sends."""
        self.send_response(status)
        headers = {"ETag": hashlib.sha1(body).hexdigest(), "X-Repo-Commit": COMMIT, "Content-Length": str(len(body))}
        for name, value in {**headers, **(extra or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


DOWNLOAD = """
from recommender.pipeline.transformer import TransformerEncoder
print(TransformerEncoder.load("owner/tiny").revision)
"""


def test_a_hub_model_is_fetched_once(models: Path, tmp_path: Path) -> None:
    """The first load downloads it, its commit is its revision, and the next load asks nobody; a false name is told as such."""
    Hub.folder, Hub.asked = models / "bert", []
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        setting = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(tmp_path)}
        first = run_python(DOWNLOAD, setting)
        asked = len(Hub.asked)
        second = run_python(DOWNLOAD, setting)
        assert first.stderr == second.stderr == ""
        assert first.stdout == second.stdout == f"{COMMIT}\n"
        assert any(path.endswith(WEIGHTS) for path in Hub.asked[:asked])
        assert Hub.asked[asked:] == []
        wrong = run_python(LOAD_AWAY.replace("owner/tiny", "owner/none"), setting)
        server.shutdown()
    assert wrong.stderr == ""
    assert wrong.stdout.startswith("model 'owner/none': no such folder here, and no such model on the Hugging Face hub")


def run_python(code: str, setting: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a fresh process prints; `setting` is added to its environment."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **setting}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


LOAD_AWAY = """
import sys
from recommender.errors import EncoderError
from recommender.pipeline.transformer import TransformerEncoder
assert not {"torch", "transformers", "sentence_transformers", "huggingface_hub"} & set(sys.modules)
try:
    TransformerEncoder.load("owner/tiny")
except EncoderError as error:
    print(error)
"""


@pytest.mark.parametrize("setting", [{"HF_ENDPOINT": "http://127.0.0.1:9"}, {"HF_HUB_OFFLINE": "1"}])
def test_without_a_network_the_error_is_quick_and_alone(tmp_path: Path, setting: dict[str, str]) -> None:
    """In a fresh process: importing costs no library, and one line comes within seconds with nothing beside it."""
    started = time.monotonic()
    done = run_python(LOAD_AWAY, {"HF_HOME": str(tmp_path), **setting})
    assert time.monotonic() - started < 60
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("model 'owner/tiny': not (or not whole) on this disk, and the Hugging Face hub cannot")


def test_the_builders_leave_the_random_state_alone(tmp_path: Path) -> None:
    """Building a model draws from its own seed: equal seeds give equal weights, and the global state stays."""
    before = torch.random.get_rng_state()
    one = load_file(transformer_model(tmp_path / "one", seed=3) / WEIGHTS)
    two = load_file(transformer_model(tmp_path / "two", seed=3) / WEIGHTS)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert torch.equal(torch.random.get_rng_state(), before)
