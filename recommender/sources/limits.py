"""No more of an answer than was bargained for: in bytes as sent, and as unpacked."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from recommender.errors import FetchError


def unpacked(chunks: Iterable[bytes], limit: int, url: str) -> Iterator[bytes]:
    """What gzip data hold, no more than `limit` bytes of it; EOFError where they end too early."""
    total = 0
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    begun = False
    for chunk in chunks:
        waiting = chunk
        while waiting:
            if reader.eof:  # another member follows
                reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                piece = reader.decompress(waiting, 1 << 20)
            except zlib.error:
                raise FetchError(url, "its gzip data are damaged", "mend the server") from None
            begun = True
            total += len(piece)
            if total > limit:
                raise FetchError(url, f"it unpacks to more than {_size(limit)}", "it is not fetched; look at the server")
            yield piece
            waiting = reader.unused_data if reader.eof else reader.unconsumed_tail
    if begun and not reader.eof:
        raise EOFError


def at_most(chunks: Iterable[bytes], limit: int, url: str) -> Iterator[bytes]:
    """The chunks, no more than `limit` bytes of them; FetchError for one more."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise FetchError(url, f"it is larger than {_size(limit)}", "it is not fetched; name a smaller part of the site")
        yield chunk


def _size(limit: int) -> str:
    return f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit:,} bytes"
