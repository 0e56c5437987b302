"""The report folder, and files in it that appear whole or not at all."""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pipeline.errors import SettingsError
from pipeline.language import t

_TOKEN_BYTES = 4


def make_folder(folder: Path) -> None:
    """
    Make a report folder with its parents, and check that files can be written there.

    Raises SettingsError if not. A run calls this before it sends anything.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        fault = t(
            "can't write to the report folder {folder}: {reason}; choose another one with --report",
            folder=folder,
            reason=exc.strerror or exc,
        )
        raise SettingsError([fault]) from exc


class PendingFiles:
    """
    Files of one folder, written under temporary names and renamed together at the end, in the order they were begun.

    Use as a context manager:

    - Without an exception, all files are on disk before the first one is renamed.
    - After an exception, the temporary files are removed and the old files stay.
    - Files at paths in `kept` are not replaced.
    - Entering removes temporary files of a killed process, unless another process writes in the folder.
    """

    def __init__(self, folder: Path, kept: Iterable[Path] = ()) -> None:
        self._folder = folder
        self._kept = frozenset(kept)
        self._files: dict[Path, BinaryIO] = {}
        self._temporary_folders: list[Path] = []

    def begin(self, name: str, *, private: bool = False) -> BinaryIO:
        """Return a new file that will get this name. Only the owner can read a private one, from the start."""
        mode = 0o600 if private else 0o666
        pending = self._pending(name)
        file = open(pending, "xb", opener=lambda path, flags: os.open(path, flags, mode))  # noqa: SIM115 - closed in __exit__
        self._files[self._folder / name] = file
        return file

    def begin_temporary_folder(self, name: str) -> Path:
        """Return a new folder, open to its owner alone, for temporary files while the named file is written."""
        folder = self._pending(name)
        folder.mkdir(mode=0o700)
        self._temporary_folders.append(folder)
        return folder

    def _pending(self, name: str) -> Path:
        return self._folder / f".{name}.{secrets.token_hex(_TOKEN_BYTES)}.part"

    def __enter__(self) -> Self:
        self._folder_lock = _lock_and_clean(self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._publish()
        finally:
            self._discard()
            os.close(self._folder_lock)

    def _publish(self) -> None:
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        for path, file in self._files.items():
            if path not in self._kept:
                Path(file.name).replace(path)
        _sync(self._folder)

    def _discard(self) -> None:
        for file in self._files.values():
            # The file is removed anyway, so a failed last write does not matter.
            with suppress(OSError):
                file.close()
            Path(file.name).unlink(missing_ok=True)
        for folder in self._temporary_folders:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_folder(folder: Path, name: str) -> Iterator[Path]:
    """
    Make a folder for temporary files in a report folder, and remove it at the end.

    That of a killed process is removed as its other temporary files. Raises OSError.
    """
    with PendingFiles(folder) as pending:
        yield pending.begin_temporary_folder(name)


def _lock_and_clean(folder: Path) -> int:
    """
    Remove temporary files of dead processes; return a descriptor of the folder that holds a shared lock until closed.

    Each writer holds the shared lock. Who gets the exclusive lock is alone, so all temporary files are left over.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    # Another process writes, or the file system has no locks: leftovers stay, which is harmless.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for pending in folder.glob(f".*.{'[0-9a-f]' * (2 * _TOKEN_BYTES)}.part"):
            if pending.is_dir():
                shutil.rmtree(pending, ignore_errors=True)
            else:
                pending.unlink(missing_ok=True)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _sync(folder: Path) -> None:
    """Write the folder's entries to disk, because a rename is durable only then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
