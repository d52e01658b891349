"""Step 4 of 8: Content -> unit vectors by a sentence-transformers model. The only module that imports sentence_transformers
(and torch), and only when a model is loaded.
"""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommender.errors import EncoderError
from recommender.pipeline.models import no_such_folder, resolve_model

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from recommender.pipeline.content import Content

LONGEST_CHUNK = 8192
"""Tokens. A model that allows more, or names no limit, gets no more at once: attention costs the square of the length."""

SMALLEST_ROOM = 8
"""Tokens that special tokens and prompt must leave of the limit; a model with less room cannot read an article."""

BATCH_TOKENS = 16_384
"""Tokens of one forward pass, padding included: 32 chunks of 512. Bounds the memory whatever the model's limit."""

BATCH_CHUNKS = 256
"""Chunks of one forward pass, however short."""

BLOCK = 512
"""Contents cut, sorted by length and encoded together: enough to fill batches evenly, few enough for steady progress."""

HUB_TIMEOUT = 5.0
"""Seconds to wait for the hub's first answer; without one it counts as out of reach."""

DOCUMENT_PROMPTS = ("document", "passage", "corpus")
"""Prompt names that mean 'text of an archive', the candidates of `SentenceTransformer.encode_document`, in its order."""

LIBRARIES = ("sentence_transformers", "transformers", "huggingface_hub", "httpx", "httpx2", "torch", "filelock")
"""Loggers silenced while a library works for us: stdout belongs to results, stderr to our own notices."""

ELSEWHERE = "download it on another machine, copy its folder here and name that folder with --model"
"""What to do without a network."""


class Chunk(NamedTuple):
    """A part of one content's text that the model reads at once."""

    row: int  # of the content in its block
    text: str
    tokens: int  # prompt and special tokens included; an estimate where the model has no limit
    weight: float  # in the content's vector


@dataclass(kw_only=True, eq=False)
class TransformerEncoder:
    """A sentence-transformers model that turns articles into unit vectors; the same text, the same vector."""

    name: str
    """A name of the hub, or the absolute path of a folder."""
    revision: str
    """What identifies the weights: the commit of a hub model, a digest of a local folder's files."""
    dimensions: int
    """Length of a vector."""
    prompt: str
    """What the model wants before every text of an archive; empty for most models."""
    limit: int | None
    """Tokens that the model reads at once, prompt and special tokens included; None where it reads everything."""
    model: SentenceTransformer = field(repr=False)

    @classmethod
    def load(cls, name: str, *, device: str | None = None) -> TransformerEncoder:
        """The model of that hub name or local folder, on `device` ("cpu", "cuda:1", …) or the best one there is.

        What is on this disk is used without asking the network. Code that a model brings along is never run.
        Raises `EncoderError` where there is no such model, it is damaged, or it can be neither found nor fetched.
        """
        full_name = resolve_model(name)
        with _quiet():
            try:
                _check_device(device)
                model, revision = _open(full_name, device)
                if model.device.type == "cpu":
                    model.float()  # half precision is slower than single on most processors
                prompt = _document_prompt(model)
                probe = np.asarray(model.encode_document(["probe"], prompt=prompt, show_progress_bar=False))
                encoder = cls(
                    name=full_name, revision=revision, dimensions=probe.shape[1], prompt=prompt, limit=_limit(model), model=model
                )
                _check(encoder)
            except EncoderError:
                raise
            except Exception as error:  # the libraries raise anything from SafetensorError to KeyError on damaged files
                reason = f"it cannot be loaded ({_one_line(error)})"
                raise EncoderError(f"model {name!r}: {reason}; download it again or name another with --model") from error
        return encoder

    def encode(
        self, contents: Sequence[Content], counts: object = None, *, progress: Callable[[int, int], None] | None = None
    ) -> NDArray[np.float32]:
        """(len(contents), dimensions) float32, unit rows; a zero row where there is no text or the model says zero.

        A text longer than the model reads at once is the weighted mean of its chunks' unit vectors. `progress` is called
        with the contents done so far and their total, after every batch. A model reads the texts, never the term counts.
        """
        vectors = np.zeros((len(contents), self.dimensions), np.float32)
        with _quiet():
            for start in range(0, len(contents), BLOCK):

                def report(done: int, start: int = start) -> None:
                    if progress is not None:
                        progress(start + done, len(contents))

                vectors[start : start + BLOCK] = self._encode_block(contents[start : start + BLOCK], report)
        return vectors

    def chunks(self, content: Content, row: int = 0) -> list[Chunk]:
        """The text of a content, title and lead first, in pieces that the model reads whole; none for no text.

        A chunk weighs its tokens, but the first, which has title and lead, never less than all others together: a news
        story says what it is about at its top. (Chosen, not measured: equal weights let a long body drown the title.)
        """
        text = full_text(content)
        if not text:
            return []
        if self.limit is None:
            return [Chunk(row, text, len(text) // 4 + 1, 1.0)]
        pieces = split(text, self.count_tokens, self.limit)
        tokens = [self.count_tokens(piece) for piece in pieces]
        first = max(tokens[0], sum(tokens[1:]))
        return [
            Chunk(row, piece, count, first if place == 0 else count)
            for place, (piece, count) in enumerate(zip(pieces, tokens, strict=True))
        ]

    def count_tokens(self, text: str) -> int:
        """How many tokens the model would read of `text`, its prompt and special tokens included."""
        tokenizer = self.model.tokenizer
        if callable(tokenizer):  # of transformers; the word tokenizers of sentence-transformers are not
            return len(tokenizer(self.prompt + text, truncation=False, verbose=False)["input_ids"])
        return len(tokenizer.tokenize(self.prompt + text))

    def _encode_block(self, contents: Sequence[Content], report: Callable[[int], None]) -> NDArray[np.float32]:
        chunks = [chunk for row, content in enumerate(contents) for chunk in self.chunks(content, row)]
        chunks.sort(key=lambda chunk: -chunk.tokens)
        waiting = Counter(chunk.row for chunk in chunks)
        sums = np.zeros((len(contents), self.dimensions), np.float64)
        for batch in _batches(chunks):
            rows = [chunk.row for chunk in batch]
            weights = np.array([chunk.weight for chunk in batch])
            np.add.at(sums, rows, weights[:, None] * self._embed([chunk.text for chunk in batch]))
            waiting.subtract(rows)
            report(len(contents) - sum(left > 0 for left in waiting.values()))
        if not chunks:
            report(len(contents))
        return _unit_rows(sums).astype(np.float32)

    def _embed(self, texts: list[str]) -> NDArray[np.float64]:
        try:
            vectors = self.model.encode_document(
                texts, prompt=self.prompt, batch_size=len(texts), show_progress_bar=False, convert_to_numpy=True
            )
        except RuntimeError as error:  # out of memory, most often
            reason = f"failed on device {self.model.device.type!r} ({_one_line(error)})"
            raise EncoderError(f"model {self.name!r}: {reason}; try another device or a smaller model") from error
        return _unit_rows(np.asarray(vectors, np.float64))


def full_text(content: Content) -> str:
    """Title, lead and text of a content in this order, each once; empty where it holds none."""
    text = content.text
    for part in (content.lead, content.title):
        if not " ".join(text.split()).startswith(" ".join(part.split())):
            text = f"{part}\n{text}"
    return text.strip()


def split(text: str, count: Callable[[str], int], limit: int) -> list[str]:
    """Consecutive pieces of `text` with `count(piece) <= limit`, cut at white space where there is any; nothing is lost.

    `count` may add the same overhead to every piece. A single character is never cut, whatever it counts.
    """
    overhead, total = count(""), count(text)
    if total <= limit:
        return [text]
    width = int(len(text) * (limit - overhead) / max(total - overhead, 1))  # characters that fill a piece, about
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = _cut(text, start, width)
        while end - start > 1 and (counted := count(text[start:end].strip())) > limit:
            smaller = int((end - start) * (limit - overhead) / max(counted - overhead, 1))
            end = _cut(text, start, min(smaller, end - start - 1))
        pieces.append(text[start:end].strip())
        start = end
    return [piece for piece in pieces if piece]


def _cut(text: str, start: int, width: int) -> int:
    """Where a piece of at most `width` characters from `start` ends: after white space in its second half, if any."""
    end = start + max(width, 1)
    if end >= len(text):
        return len(text)
    space = max(text.rfind(mark, start + width // 2, end) for mark in (" ", "\n"))
    return end if space <= start else space + 1


def _batches(chunks: Sequence[Chunk]) -> Iterator[Sequence[Chunk]]:
    """Runs of chunks, which come longest first, that one forward pass takes."""
    start = 0
    while start < len(chunks):
        size = min(BATCH_CHUNKS, max(1, BATCH_TOKENS // chunks[start].tokens))
        yield chunks[start : start + size]
        start += size


def _unit_rows(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row divided by its length; a row without one (zero, not finite) becomes zero."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0)
    return np.where(usable, vectors / np.where(usable, lengths, 1.0), 0.0)


def _open(name: str, device: str | None) -> tuple[SentenceTransformer, str]:
    """The model and what identifies its weights: a folder, else what the hub's cache on this disk has, else the hub."""
    folder = Path(name)
    if folder.is_absolute():  # `resolve_model` has found it
        return _load(str(folder), device, offline=True), _digest(folder)
    repo = _repo(name)
    if snapshot := _snapshot(repo):
        with suppress(Exception):  # files are missing or damaged; the hub may mend that
            return _load(str(snapshot), device, offline=True), snapshot.name
    commit = _newest_commit(name, repo)
    model = _load(repo, device, offline=False)  # not by the commit: such a download is not found again by name
    snapshot = _snapshot(repo)
    return model, snapshot.name if snapshot else commit


def _load(location: str, device: str | None, *, offline: bool) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(location, device=device, local_files_only=offline, trust_remote_code=False, cache_folder=_cache())


def _cache() -> str | None:
    """Where sentence-transformers keeps downloads; None means the hub's own place. Its own rule, made explicit."""
    return os.environ.get("SENTENCE_TRANSFORMERS_HOME")


def _repo(name: str) -> str:
    """The hub's full name of a model; as in the library, one without an owner belongs to sentence-transformers."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    repo = name if "/" in name else f"sentence-transformers/{name}"
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise EncoderError(no_such_folder(name)) from error
    return repo


def _snapshot(repo: str) -> Path | None:
    """The folder of a hub model on this disk, named by its commit; None where there is none, or modules.json may be missing.

    A folder and not the name is what is then loaded: by name the library asks the network even for what it has. And
    without modules.json it would take a sentence-transformers model for a bare one and pool it in its own way.
    """
    from huggingface_hub import try_to_load_from_cache

    modules, config = (try_to_load_from_cache(repo, file, cache_dir=_cache()) for file in ("modules.json", "config.json"))
    path = modules if isinstance(modules, str) else config  # neither path nor None: the hub is known to have no such file
    return Path(path).parent if modules is not None and isinstance(path, str) else None


def _newest_commit(name: str, repo: str) -> str:
    """The hub's present commit of a model, asked once, without retries."""
    from huggingface_hub import model_info
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        commit = model_info(repo, timeout=HUB_TIMEOUT).sha
    except RepositoryNotFoundError as error:
        reason = "no such folder here, and no such model on the Hugging Face hub (or it is private)"
        raise EncoderError(f"model {name!r}: {reason}; check the name") from error
    except Exception as error:  # offline mode, no route, a proxy's refusal, the hub's own failure
        reason = "not (or not whole) on this disk, and the Hugging Face hub cannot be reached"
        raise EncoderError(f"model {name!r}: {reason}; {ELSEWHERE}") from error
    if commit is None:
        raise EncoderError(f"model {name!r}: the Hugging Face hub names no commit of it; {ELSEWHERE}")
    return commit


def _digest(folder: Path) -> str:
    """16 hex digits over the relative names and bytes of a folder's files; hidden ones (download notes) do not count."""
    digest = hashlib.blake2b(digest_size=8)
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    for name in sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts)):
        with open(folder / name, "rb") as file:
            content = hashlib.file_digest(file, "blake2b").digest()
        digest.update(hashlib.blake2b(name.encode()).digest() + content)
    return digest.hexdigest()


def _check_device(device: str | None) -> None:
    """Refuse a device that this machine does not have, before anything is read or fetched."""
    import torch

    if device is not None:
        try:
            torch.zeros(1, device=device)
        except Exception as error:  # RuntimeError, AssertionError or NotImplementedError, as the backend pleases
            raise EncoderError(f"device {device!r} cannot be used here ({_one_line(error)}); try 'cpu'") from error


def _check(encoder: TransformerEncoder) -> None:
    """Refuse what the libraries load without a word although it cannot work; ValueError says why."""
    import torch

    if not all(bool(torch.isfinite(parameter).all()) for parameter in encoder.model.parameters()):
        raise ValueError("some of its weights are not finite numbers")
    tokenizer = getattr(encoder.model[0], "tokenizer", None)
    if callable(tokenizer) and set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        raise ValueError("its tokenizer has no vocabulary")  # transformers makes one up where the files are missing
    if encoder.limit is not None and encoder.limit - encoder.count_tokens("") < SMALLEST_ROOM:
        raise ValueError(f"its limit of {encoder.limit} tokens leaves no room for text beside its prompt")


def _document_prompt(model: SentenceTransformer) -> str:
    """The prompt for texts of an archive: the first of `DOCUMENT_PROMPTS` that says something, else the model's default.

    Both sides of a comparison get the same one. encode_document alone would not do: it stops at "document", which the
    library adds empty to every model, and so never comes to the "passage: " of an E5 model.
    """
    named = [model.prompts.get(name) for name in DOCUMENT_PROMPTS] + [model.prompts.get(model.default_prompt_name or "")]
    return next((str(prompt) for prompt in named if prompt), "")


def _limit(model: SentenceTransformer) -> int | None:
    limit = model.max_seq_length
    if model.transformers_model is None and (limit is None or limit > 100 * LONGEST_CHUNK):
        return None  # a static model is a mean over words, of however many
    return LONGEST_CHUNK if limit is None else int(min(limit, LONGEST_CHUNK))


def _one_line(error: Exception) -> str:
    """The first line of what a library says, shortened."""
    lines = str(error).strip().splitlines()
    return (lines[0][:160] if lines else "") or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Inside, the libraries print neither logs nor warnings nor progress bars; afterwards they are as they were."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers.utils import logging as transformers_logging

        loggers = [logging.getLogger(name) for name in LIBRARIES]
        levels = [logger.level for logger in loggers]
        bars = transformers_logging.is_progress_bar_enabled()
        try:
            transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            for logger in loggers:
                logger.setLevel(logging.CRITICAL + 1)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
            if bars:
                transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
