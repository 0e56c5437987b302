"""One input as it was found: its name, where it lies, and what it looked like then."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import pyarrow as pa
from pyarrow import fs

from pipeline.errors import PipelineError, SourceError
from pipeline.read.files.interruptible import interruptible

_HASHED_AT_ONCE = 1 << 20


class Bytes(Protocol):
    """An open file, to be read from its start to its end."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""
        ...

    def seek(self, place: int, /) -> object:
        """Go on reading at a place."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells a file that was changed or replaced; `inode` and `mtime_ns` are None where the store has none."""

    size: int
    mtime_ns: int | None
    inode: int | None = None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """
    An input file.

    `name` is what reports call it: never with the credentials of a URI. `partitions` are the values that its hive
    directories (`name=value`) give to all of its rows. `filesystem` is None for files of this machine.
    """

    name: str
    path: str = field(repr=False)
    fingerprint: Fingerprint
    partitions: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    filesystem: fs.FileSystem | None = field(default=None, repr=False)


@contextmanager
def blaming(name: str) -> Iterator[None]:
    """Turn what a file system, a decompressor or a Parquet reader raises into a `SourceError` that names the file."""
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SourceError(f"{name} can't be read: {reason}; nothing was sent from it") from error


@contextmanager
def blaming_store(name: str) -> Iterator[None]:
    """As `blaming`, for a store, which is reached by libraries of many kinds: whatever they raise counts."""
    try:
        with blaming(name):
            yield
    except PipelineError:
        raise
    except Exception as error:
        raise SourceError(f"{name} can't be read: {type(error).__name__}: {error}; nothing was sent from it") from error


def reported(name: str) -> str:
    """Return a file's name as any report can hold it: what is not printable becomes U+FFFD."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


def open_bytes(file: SourceFile) -> Bytes:
    """Open the file as it is stored, not decompressed."""
    if file.filesystem is None:
        with blaming(file.name):
            return Path(file.path).open("rb")
    filesystem = file.filesystem
    with blaming_store(file.name):
        return cast("Bytes", interruptible(lambda: filesystem.open_input_file(file.path)))


def sha256_of(file: SourceFile) -> str:
    """Return the SHA-256 over the bytes as stored, in hex, without reading any row."""
    digest = hashlib.sha256()
    stored = open_bytes(file)
    try:
        with blaming(file.name):
            while data := stored.read(_HASHED_AT_ONCE):
                digest.update(data)
    finally:
        stored.close()
    return digest.hexdigest()


def verify_unchanged(file: SourceFile) -> None:
    """Raise `SourceError` if the file was changed, replaced or removed since it was found."""
    with blaming_store(file.name):
        now = _look_again(file)
    if now != file.fingerprint:
        raise SourceError(
            f"{file.name} changed after it was found: {_differences(file.fingerprint, now)}; "
            "nothing was sent from it; run again once it is complete"
        )


def local_fingerprint(path: Path) -> Fingerprint:
    """Return what a file of this machine looks like now; raises `OSError`."""
    seen = path.stat()
    return Fingerprint(seen.st_size, seen.st_mtime_ns, seen.st_ino)


def remote_fingerprint(info: fs.FileInfo) -> Fingerprint:
    """Return what a store says of a file."""
    return Fingerprint(info.size or 0, info.mtime_ns)


def _look_again(file: SourceFile) -> Fingerprint:
    if file.filesystem is None:
        return local_fingerprint(Path(file.path))
    filesystem = file.filesystem
    return remote_fingerprint(interruptible(lambda: filesystem.get_file_info(file.path)))


def _differences(then: Fingerprint, now: Fingerprint) -> str:
    if then.size != now.size:
        return f"{then.size} bytes then, {now.size} now"
    return "it was written anew" if then.inode == now.inode else "another file took its place"
