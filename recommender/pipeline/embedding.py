"""Step 4 of 8: Content and its terms -> unit vectors. The only module that imports scikit-learn.

The default encoder, `lsa`, is fitted on the archive itself and needs no download. A sentence-transformers model is
loaded by `recommender.pipeline.transformer`, and only when one is named.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from recommender.errors import EncoderError
from recommender.pipeline.content import Content
from recommender.pipeline.models import resolve_model
from recommender.pipeline.terms import TermCounts, Vocabulary, damped, idf_of, unit_rows

Progress = Callable[[int, int], None]
"""Called with what is done and the total."""

LSA = "lsa"
DIMENSIONS = 256
"""Most dimensions of the LSA encoder."""

ARTICLES_PER_DIMENSION = 8
"""A smaller archive gets fewer dimensions: with as many as articles, LSA is TF-IDF again and says nothing of its own. On archives
of 290 to 2,700 articles 8 gains 2 points of mean B-cubed F1 over 4; 16 gains 11 points where stories are huge (uci) and
loses 4 on wikinews, 5 on ecbplus, and nDCG@5 on four of six."""

SMALLEST_FIT = 64
"""Articles below which nothing can be learnt about which words go together; the projection is then a hash of the words."""

MAX_FIT_TERMS = 40_000
"""Terms of the fit, the most frequent ones; they bound the size of the projection (40,000 x 256 x 2 bytes = 20 MB)."""

MAX_FIT_ARTICLES = 10_000
"""Articles of the fit; a larger archive gives so many, evenly chosen. The directions are settled long before: fitted to a half or
to a quarter of 8,863 articles, nDCG@5 and B-cubed F1 of all are .1 less."""

ROUNDS = 5
"""Power iterations of the fit (Halko, Martinsson & Tropp, 2011); scikit-learn's number."""

ROUNDS_OF_MANY = 3
"""The same of `MANY_ARTICLES` and more, where they are a tenth of a build. With 3, nDCG@5 of six sets is the same within .1,
B-cubed F1 of 8,863 articles too, of 655 it is .6 less."""

MANY_ARTICLES = 10_000

BLOCK = 10_000
"""Articles that are projected at once; bounds the memory."""

HASHED_PLACES = 8
"""Dimensions that one term touches in a hashed projection."""


class Encoder(Protocol):
    """What turns articles into vectors."""

    name: str
    """`lsa`, a hub name or the absolute path of a folder."""
    revision: str
    """Identifies the weights: two encoders of one name and revision give the same vectors."""
    dimensions: int

    def encode(self, contents: Sequence[Content], counts: TermCounts, *, progress: Progress | None = None) -> NDArray[np.float32]:
        """(len(contents), dimensions) unit rows; a zero row where there is nothing to tell."""
        ...


class LsaEncoder:
    """Latent semantic analysis (Deerwester et al., 1990): TF-IDF projected on the archive's main directions.

    Deterministic: the same archive gives the same encoder. Articles that come later are folded in: their terms are
    projected as they are, terms that the fit did not know say nothing.
    """

    name = LSA

    def __init__(self, terms: NDArray[np.int64], idf: NDArray[np.float32], components: NDArray[np.float16]) -> None:
        self.terms = terms  # (n_fit_terms,) ids of the vocabulary, rising
        self.idf = idf  # (n_fit_terms,)
        self.components = components  # (n_fit_terms, dimensions)
        self.dimensions = int(components.shape[1])
        self.revision = blake2b(self.to_bytes(), digest_size=8).hexdigest()

    @classmethod
    def fit(cls, counts: TermCounts, vocabulary: Vocabulary) -> LsaEncoder | HashedEncoder:
        """Fitted on an archive of any size; a very small one gets the hashed projection."""
        from sklearn.decomposition import TruncatedSVD

        frequency = vocabulary.document_frequency
        usable = np.flatnonzero((frequency >= 2) & ~vocabulary.is_several_words())
        if len(counts) < SMALLEST_FIT or len(usable) < SMALLEST_FIT:
            return HashedEncoder(vocabulary)
        terms = np.sort(usable[np.argsort(-frequency[usable], kind="stable")[:MAX_FIT_TERMS]])
        idf = idf_of(vocabulary.document_frequency[terms], len(counts))
        sample = np.arange(len(counts))
        if len(counts) > MAX_FIT_ARTICLES:
            sample = np.linspace(0, len(counts) - 1, MAX_FIT_ARTICLES).astype(np.int64)
        weights = unit_rows(damped(counts.text[sample][:, terms], idf))
        dimensions = min(DIMENSIONS, max(SMALLEST_FIT, len(sample)) // ARTICLES_PER_DIMENSION, len(terms) - 1)
        rounds = ROUNDS if len(sample) < MANY_ARTICLES else ROUNDS_OF_MANY
        svd = TruncatedSVD(dimensions, n_iter=rounds, random_state=0).fit(weights)
        return cls(terms, idf, np.ascontiguousarray(svd.components_.T).astype(np.float16))

    def encode(self, contents: Sequence[Content], counts: TermCounts, *, progress: Progress | None = None) -> NDArray[np.float32]:
        """(n, dimensions) float32 unit rows."""
        place = np.full(counts.text.shape[1], -1, np.int32)
        fitted = np.flatnonzero(self.terms < len(place))
        place[self.terms[fitted]] = fitted
        vectors = np.zeros((len(counts), self.dimensions), np.float32)
        for start in range(0, len(counts), BLOCK):
            vectors[start : start + BLOCK] = self._encoded(counts.text[start : start + BLOCK], place)
            if progress is not None:
                progress(min(start + BLOCK, len(counts)), len(counts))
        return vectors

    def _encoded(self, text: sparse.csr_matrix, place: NDArray[np.int32]) -> NDArray[np.float32]:
        """Of the counts of some articles; `place` is where the components of each term are, -1 where there are none."""
        at = place[text.indices]
        known = at >= 0
        present = np.flatnonzero(np.bincount(at[known], minlength=len(self.terms)))
        column = np.zeros(len(self.terms), np.int32)
        column[present] = np.arange(len(present))
        ends = np.concatenate([[0], np.cumsum(known)])[text.indptr]
        counts = sparse.csr_matrix((text.data[known], column[at[known]], ends), shape=(text.shape[0], len(present)))
        weights = unit_rows(damped(counts, self.idf[present]))
        return _unit(np.asarray(weights @ self.components[present].astype(np.float32)))

    def to_bytes(self) -> bytes:
        """The same bytes for the same encoder; `from_bytes` reads them."""
        file = io.BytesIO()
        for array in (self.terms, self.idf, self.components):
            np.lib.format.write_array(file, array, allow_pickle=False)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, state: bytes) -> LsaEncoder:
        """What `to_bytes` has written."""
        file = io.BytesIO(state)
        return cls(*(np.lib.format.read_array(file, allow_pickle=False) for _ in range(3)))


class HashedEncoder:
    """For archives too small to fit anything: a sparse random projection of the terms, by their hash.

    Keeps TF-IDF cosines up to about 1/sqrt(256) = 0.06 (Achlioptas, 2003), and serves terms that nobody has seen yet.
    """

    name = LSA
    revision = "hashed"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.dimensions = DIMENSIONS

    def encode(self, contents: Sequence[Content], counts: TermCounts, *, progress: Progress | None = None) -> NDArray[np.float32]:
        """(n, 256) float32 unit rows."""
        present, columns = np.unique(counts.text.indices, return_inverse=True)
        terms = self.vocabulary.terms()
        projection = np.zeros((len(present), self.dimensions), np.float32)
        for row, term in enumerate(present):
            places = np.frombuffer(blake2b(terms[term].encode(), digest_size=2 * HASHED_PLACES).digest(), "<u2")
            np.add.at(projection[row], places % self.dimensions, np.where(places >= 2**15, 1.0, -1.0))
        ones = np.ones(len(present), np.float32)
        known = sparse.csr_matrix((counts.text.data, columns, counts.text.indptr), shape=(len(counts), len(present)))
        return _unit(np.asarray(unit_rows(damped(known, ones)) @ projection))


def reading(encoder: Encoder, vocabulary: Vocabulary) -> Encoder:
    """The encoder as it reads counts over another vocabulary that begins with its own."""
    return HashedEncoder(vocabulary) if isinstance(encoder, HashedEncoder) else encoder


def state_of(encoder: Encoder) -> bytes:
    """What the index keeps of an encoder beside its name and revision; empty where those say it all."""
    return encoder.to_bytes() if isinstance(encoder, LsaEncoder) else b""


def open_encoder(name: str, revision: str, state: bytes, vocabulary: Vocabulary, *, device: str | None = None) -> Encoder:
    """The encoder that an index was built with; EncoderError where it is not to be had."""
    if name == LSA:
        return LsaEncoder.from_bytes(state) if state else HashedEncoder(vocabulary)
    encoder = load_model(name, device=device)
    if encoder.revision != revision:
        raise EncoderError(
            f"model {name!r} is now of revision {encoder.revision}, the index was built with {revision};"
            " bring that one back, or build the index again"
        )
    return encoder


def full_name(name: str) -> str:
    """What an index stores of the model given with --model: `lsa`, a hub name or the absolute path of a folder."""
    return name if name == LSA else resolve_model(name)


def load_model(name: str, *, device: str | None = None) -> Encoder:
    """A sentence-transformers model by its hub name or folder."""
    from recommender.pipeline.transformer import TransformerEncoder

    return TransformerEncoder.load(name, device=device)


def rounded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors as the store will give them back: in half precision, so that fresh and stored ones agree."""
    return vectors.astype(np.float16).astype(np.float32)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.divide(vectors, lengths, out=np.zeros_like(vectors, np.float32), where=lengths > 1e-6)
    return np.asarray(units, np.float32)
