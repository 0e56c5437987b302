"""The report's folder, and files in it that appear whole or not at all."""

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from pipeline.errors import SettingsError

_TOKEN_BYTES = 4


def make_folder(folder: Path) -> None:
    """
    Make the folder of a report, with its parents, and prove that files can be written there.

    Raises SettingsError where they can't. A run asks before it sends anything.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        fault = f"the report folder {folder} can't be written: {exc.strerror or exc}; name another one with --report"
        raise SettingsError([fault]) from exc


class PendingFiles:
    """
    Files of one folder that are written aside and take their places together, in the order they were begun.

    As a context: left in peace, all of them are on disk before the first takes its place; left by an exception,
    nothing of them remains and what stood in their places still does. A place in `kept` is not taken. What a killed
    process left is cleared away when the next one enters, unless somebody else is writing there.
    """

    def __init__(self, folder: Path, kept: Iterable[Path] = ()) -> None:
        self._folder = folder
        self._kept = frozenset(kept)
        self._files: dict[Path, BinaryIO] = {}
        self._rooms: list[Path] = []

    def begin(self, name: str, *, private: bool = False) -> BinaryIO:
        """Return a new file that will bear this name; a private one is readable by its owner alone, from the start."""
        mode = 0o600 if private else 0o666
        pending = self._pending(name)
        file = open(pending, "xb", opener=lambda path, flags: os.open(path, flags, mode))  # noqa: SIM115 - closed with all others
        self._files[self._folder / name] = file
        return file

    def begin_room(self, name: str) -> Path:
        """Return a new folder, open to its owner alone, for what is put aside while this file is written."""
        room = self._pending(name)
        room.mkdir(mode=0o700)
        self._rooms.append(room)
        return room

    def _pending(self, name: str) -> Path:
        return self._folder / f".{name}.{secrets.token_hex(_TOKEN_BYTES)}.part"

    def __enter__(self) -> Self:
        self._folder_lock = _clear_away(self._folder)
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
            # What can't be written at the end goes to waste with the file.
            with suppress(OSError):
                file.close()
            Path(file.name).unlink(missing_ok=True)
        for room in self._rooms:
            shutil.rmtree(room, ignore_errors=True)


def _clear_away(folder: Path) -> int:
    """
    Remove drafts that nobody writes any more; return the open folder, which says "somebody writes here" until closed.

    Whoever writes shares a lock that ends with its process; alone with the folder, what lies there is left over.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    # In use, or a file system that knows no locks: then leftovers stay, which harms nobody.
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
    """Put the names in a folder on disk: a rename is durable only then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
