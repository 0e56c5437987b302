"""One input file: its name, its place, and its fingerprint when it was found."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
from pyarrow import fs

from pipeline.errors import PipelineError, SourceError
from pipeline.language import t
from pipeline.read.files.interruptible import interruptible

# Bytes that are hashed at once.
_PIECE_BYTES = 1 << 22


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The facts that change when a file is changed or replaced; None where the store has none."""

    size: int
    mtime_ns: int | None
    inode: int | None = None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """
    An input file.

    `name` is for reports, without the credentials of a URI. `partitions` are the values of its hive folders
    (`name=value`), which hold for all rows. `filesystem` is None for a local file.
    """

    name: str
    path: str = field(repr=False)
    fingerprint: Fingerprint
    partitions: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    filesystem: fs.FileSystem | None = field(default=None, repr=False)


@contextmanager
def as_source_errors(name: str) -> Iterator[None]:
    """Turn errors of file systems, decompressors and Parquet readers into a `SourceError` that names the file."""
    try:
        yield
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SourceError(
            t("{name} can't be read: {reason}; nothing was sent from it", name=name, reason=reason)
        ) from error


@contextmanager
def as_store_errors(name: str) -> Iterator[None]:
    """As `as_source_errors`, but for any exception: stores are reached by libraries of many kinds."""
    try:
        with as_source_errors(name):
            yield
    except PipelineError:
        raise
    except Exception as error:
        raise SourceError(
            t(
                "{name} can't be read: {kind}: {error}; nothing was sent from it",
                name=name,
                kind=type(error).__name__,
                error=error,
            )
        ) from error


def printable_name(name: str) -> str:
    """Return a file's name with U+FFFD for each character that is not printable."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


def open_bytes(file: SourceFile) -> IO[bytes]:
    """Open the stored bytes of a file; raise `SourceError` if it can't be opened."""
    if file.filesystem is None:
        with as_source_errors(file.name):
            return Path(file.path).open("rb")
    filesystem = file.filesystem
    with as_store_errors(file.name):
        return cast("IO[bytes]", interruptible(lambda: filesystem.open_input_file(file.path)))


def sha256_of(file: SourceFile, tick: Callable[[], None] = lambda: None) -> str:
    """Return the SHA-256 of the stored bytes, in hex. `tick` is called now and then."""
    state = hashlib.sha256()
    with closing(open_bytes(file)) as stored, as_source_errors(file.name):
        while data := stored.read(_PIECE_BYTES):
            state.update(data)
            tick()
    return state.hexdigest()


def verify_unchanged(file: SourceFile) -> None:
    """Raise `SourceError` if the file was changed, replaced or removed since it was found."""
    with as_store_errors(file.name):
        now = _look_again(file)
    if now != file.fingerprint:
        raise SourceError(
            t(
                "{file} changed after it was found: {differences}; nothing was sent from it; run again once it "
                "is complete",
                file=file.name,
                differences=_differences(file.fingerprint, now),
            )
        )


def local_fingerprint(path: Path) -> Fingerprint:
    """Return the current fingerprint of a local file; raises `OSError`."""
    seen = path.stat()
    return Fingerprint(seen.st_size, seen.st_mtime_ns, seen.st_ino)


def remote_fingerprint(info: fs.FileInfo) -> Fingerprint:
    """Return the fingerprint of a file in a store."""
    return Fingerprint(info.size or 0, info.mtime_ns)


def _look_again(file: SourceFile) -> Fingerprint:
    if file.filesystem is None:
        return local_fingerprint(Path(file.path))
    filesystem = file.filesystem
    return remote_fingerprint(interruptible(lambda: filesystem.get_file_info(file.path)))


def _differences(then: Fingerprint, now: Fingerprint) -> str:
    if then.size != now.size:
        return t("{then} bytes then, {now} now", then=then.size, now=now.size)
    return t("it was rewritten") if then.inode == now.inode else t("another file replaced it")
