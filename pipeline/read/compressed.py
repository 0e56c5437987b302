"""From stored bytes to plain ones: hashed as stored, and decompressed by what they are, not by what they are called."""

import hashlib
import io
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Literal, cast

import pyarrow as pa

from pipeline.errors import SourceError
from pipeline.read.source_file import Bytes, SourceFile, blaming, open_bytes

_HEAD_BYTES = 1 << 16
_MAGIC_BYTES = 16


class Content(StrEnum):
    """What the first bytes of a file say that it is."""

    TEXT = "text"
    PARQUET = "Parquet"
    ZIP = "a ZIP archive or an Excel workbook"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZ2 = "bz2"


# A Parquet file goes on in binary after its four letters, a CSV whose first column is called PAR1 does not.
_MAGIC = (
    (Content.PARQUET, re.compile(rb"PAR[1E](?![\t\r\n\x20-\x7e])")),
    (Content.ZIP, re.compile(rb"PK\x03\x04")),
    (Content.GZIP, re.compile(rb"\x1f\x8b")),
    (Content.ZSTD, re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")),
    (Content.BZ2, re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")),
)
_CODECS: dict[Content, Literal["gzip", "zstd", "bz2"]] = {
    Content.GZIP: "gzip",
    Content.ZSTD: "zstd",
    Content.BZ2: "bz2",
}
_SUFFIXES = {".gz": Content.GZIP, ".zst": Content.ZSTD, ".bz2": Content.BZ2}


def content_of(head: bytes) -> Content:
    """Say what a file that begins like this holds."""
    return next((content for content, magic in _MAGIC if magic.match(head)), Content.TEXT)


def content_of_file(file: SourceFile) -> Content:
    """Look at the first bytes of a stored file; one whose name and bytes contradict each other is refused."""
    stored = open_bytes(file)
    try:
        with blaming(file.name):
            content = content_of(stored.read(_MAGIC_BYTES))
    finally:
        stored.close()
    _check_name(file.name, content)
    return content


class PlainBytes:
    """
    The decompressed bytes of one file.

    Memory is bounded whatever the ratio: no more is decompressed than is asked for. A stream that is cut short or
    damaged raises `SourceError` at the first `read` that meets it. `head` holds the first bytes, which `read` gives
    too; `given` counts what it gave so far.
    """

    def __init__(self, file: SourceFile, content: Content) -> None:
        self.given = 0
        self._name = file.name
        self._stored = _Hashed(open_bytes(file))
        self._plain = _decompressed(self._stored, content)
        try:
            self.head = b"".join(self._read_head())
            _check_text(self._name, content_of(self.head))
        except BaseException:
            self.close()
            raise

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end."""
        data = self.head[self.given : self.given + size] or self._read(size)
        self.given += len(data)
        return data

    def sha256(self) -> str:
        """Return the SHA-256 of the file as stored, in hex; what was not read yet is read for it."""
        with blaming(self._name):
            return self._stored.sha256()

    def close(self) -> None:
        """Give the file back; more than once does no harm."""
        self._plain.close()
        self._stored.close()

    def _read_head(self) -> Iterator[bytes]:
        missing = _HEAD_BYTES
        while missing and (data := self._read(missing)):
            yield data
            missing -= len(data)

    def _read(self, size: int) -> bytes:
        with blaming(self._name):
            return self._plain.read(size)


class _Hashed(io.RawIOBase):
    """Stored bytes that are hashed as they pass."""

    def __init__(self, stored: Bytes) -> None:
        super().__init__()
        self._stored = stored
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._stored.read(size)
        self._digest.update(data)
        return data

    def sha256(self) -> str:
        while self.read(1 << 20):
            pass
        return self._digest.hexdigest()

    def close(self) -> None:
        super().close()
        self._stored.close()


def _check_text(name: str, content: Content) -> None:
    if content is not Content.TEXT:
        raise SourceError(f"{name} holds {content} where CSV is expected; unpack it first")


def _decompressed(stored: _Hashed, content: Content) -> Bytes:
    if codec := _CODECS.get(content):
        return cast("Bytes", pa.CompressedInputStream(pa.PythonFile(stored, mode="r"), codec))
    return stored


def _check_name(name: str, content: Content) -> None:
    """A compressed or Parquet file whose first bytes are spoilt must not pass for a CSV full of strange letters."""
    suffix = name[name.rfind(".") :].lower()
    promised = Content.PARQUET if suffix in {".parquet", ".pq"} else _SUFFIXES.get(suffix)
    if promised and content is Content.TEXT:
        raise SourceError(f"{name} is damaged or misnamed: it does not begin as {promised} does; fetch it again")
