"""The decompressed bytes of a file, with the hash of its stored bytes."""

import hashlib
import io
from collections.abc import Iterator
from typing import IO, Self

import pyarrow as pa

from pipeline.read.files.content import check_text
from pipeline.read.files.name_hint import Codec
from pipeline.read.files.source_file import SourceFile, as_source_errors, open_bytes

_HEAD_BYTES = 1 << 16


class DecompressedBytes:
    """
    The decompressed bytes of one file.

    Memory is bounded at any compression ratio: `read` decompresses no more than it returns. A truncated or damaged
    stream raises `SourceError` at the `read` that reaches the fault. `head` holds the first bytes, which `read` returns
    too.
    """

    def __init__(self, file: SourceFile, codec: Codec | None) -> None:
        self.name = file.name
        self._given = 0
        self._file = file
        self._codec = codec
        self._stored = HashedBytes(open_bytes(file))
        self._plain = _decompressed(self._stored, codec)
        try:
            self.head = b"".join(self._read_head())
            check_text(self.name, self.head)
        except BaseException:
            self.close()
            raise

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end."""
        data = self.head[self._given : self._given + size] or self._read(size)
        self._given += len(data)
        return data

    def sha256(self) -> str:
        """Return the SHA-256 of the file as stored, in hex; reads the rest of the file."""
        with as_source_errors(self.name):
            return self._stored.sha256()

    def again(self) -> Self:
        """Open the file once more, at its start."""
        return type(self)(self._file, self._codec)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._plain.close()
        self._stored.close()

    def _read_head(self) -> Iterator[bytes]:
        missing = _HEAD_BYTES
        while missing and (data := self._read(missing)):
            yield data
            missing -= len(data)

    def _read(self, size: int) -> bytes:
        with as_source_errors(self.name):
            return self._plain.read(size)


class HashedBytes(io.RawIOBase):
    """The stored bytes of a file, hashed as they are read."""

    def __init__(self, stored: IO[bytes]) -> None:
        super().__init__()
        self._stored = stored
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; none at the end."""
        data = self._stored.read(size)
        self._digest.update(data)
        return data

    def skip_to(self, place: int) -> int:
        """Go on at an offset in bytes, and return it. The bytes before it are not hashed."""
        return self._stored.seek(place)

    def sha256(self) -> str:
        """Return the SHA-256 of the file, in hex; reads the rest of it."""
        while self.read(1 << 20):
            pass
        return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._stored.close()


def _decompressed(stored: HashedBytes, codec: Codec | None) -> HashedBytes | pa.NativeFile:
    return pa.CompressedInputStream(pa.PythonFile(stored, mode="r"), codec.value) if codec else stored
