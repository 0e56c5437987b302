"""Digests by columns, with the same bytes as `pipeline.model.digest` gives for each row."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.model import digest
from pipeline.tables.mapped_chunk import DIGEST
from pipeline.tables.text_columns import Column, column_of, listed, pc

_PREFIX_BYTES = 4
# Copied for each message, as in `pipeline.model`.
_NOTHING_READ = blake2b(digest_size=DIGEST.byte_width)


def digests_of_parts(parts: Sequence[Column | str], count: int) -> Column:
    """Return the digest of each row's parts; a part is a column of texts or bytes, or one text for all rows."""
    alike = [part for part in parts if isinstance(part, str)]
    if len(alike) == len(parts):
        return pa.array([digest(*alike)] * count, DIGEST)
    pieces = [piece for part in parts for piece in _with_length(part)]
    messages: Column = pc.binary_join_element_wise(*pieces, pa.scalar(b"", pa.binary()))
    return pa.FixedSizeBinaryArray.from_buffers(DIGEST, count, [None, pa.py_buffer(_joined_hashes(listed(messages)))])


def written(digests: Column) -> Column:
    """Return digests as hexadecimal texts."""
    text = b"".join(listed(digests)).hex()
    width = 2 * DIGEST.byte_width
    return column_of([text[start : start + width] for start in range(0, len(text), width)])


def _with_length(part: Column | str) -> tuple[Any, ...]:
    """Return a part with its length in bytes before it."""
    if isinstance(part, str):
        data = part.encode()
        return (pa.scalar(len(data).to_bytes(_PREFIX_BYTES, "big") + data, pa.binary()),)
    lengths = pc.binary_length(part).to_numpy().astype(np.dtype(">u4")).tobytes()
    several = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_PREFIX_BYTES), len(part), [None, pa.py_buffer(lengths)])
    return several.cast(pa.binary()), part.cast(pa.binary())


def _joined_hashes(messages: Iterable[bytes]) -> bytes:
    """Return the hash of each message, one after another."""
    hashes, copy = [], _NOTHING_READ.copy
    for message in messages:
        state = copy()
        state.update(message)
        hashes.append(state.digest())
    return b"".join(hashes)
