"""Files of the user: which ones no command overwrites, and how a new one appears whole or not at all."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.loss_detection.marks import mark_path
from pipeline.read.find.claimed import ClaimedFiles
from pipeline.settings import Config

# Device and inode: the same for all names of a file.
_Inode = tuple[int, int]


class ProtectedFiles:
    """Inputs of any job, keys, the config and the ledger. `inputs` are those of the command itself."""

    def __init__(self, config: Config, ledger: Ledger, inputs: Iterable[str] = ()) -> None:
        self._config = config
        self._ledger = ledger
        self._inputs = tuple(inputs)
        self._claimed = {job.name: ClaimedFiles(job.inputs, config.folder) for job in config.jobs.values()}

    def check(self, targets: Iterable[Path], option: str, *, is_file: bool = False) -> None:
        """Raise SettingsError if a target would replace a protected file, or would be read as an export."""
        faults = [
            t("{option}: {target} {why}; choose another file", option=option, target=target.name, why=why)
            if is_file
            else t("{option}: {target} {why}; choose another folder", option=option, target=target.name, why=why)
            for target, why in self._refused(targets)
        ]
        if faults:
            raise SettingsError(faults)

    def _refused(self, targets: Iterable[Path]) -> Iterator[tuple[Path, str]]:
        for target in targets:
            why = self._why(target)
            for job, claimed in self._claimed.items():
                if why is None and claimed.claims(target):
                    why = t("would be read as an export of job {job}", job=job)
            if why is not None:
                yield target, why

    def _why(self, target: Path) -> str | None:
        ledgers = [path for path in (self._config.ledger_path, self._config.backup_path) if path is not None]
        if any(_is_of_ledger(target, ledger) for ledger in ledgers) or _is_same(target, mark_path(self._config.path)):
            return t("belongs to the ledger and is not overwritten")
        inode = _inode(target)
        kind = inode and next((kind for kind, path in self._all() if _inode(path) == inode), None)
        return kind and t("is {kind} and is not overwritten", kind=kind)

    def _all(self) -> Iterator[tuple[str, Path]]:
        yield t("the config"), self._config.path
        yield from ((t("a key"), path) for path in self._config.key_files)
        yield from ((t("an input of this run"), Path(name)) for name in self._inputs)
        for job, claimed in self._claimed.items():
            yield from ((t("an input of job {job}", job=job), path) for path in claimed.existing())
        yield from ((t("an input of an earlier run"), Path(name)) for name in self._ledger.input_locations())


@contextmanager
def folder_beside(output: Path, option: str = "--output") -> Iterator[Path]:
    """Make a folder beside a file that is to be written, and remove it at the end. `option` named the file."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        # On the same file system, so that the file can be renamed into place.
        with TemporaryDirectory(prefix=".backfill-", dir=output.parent) as folder:
            yield Path(folder)
    except OSError as exc:
        raise SettingsError(
            [
                t(
                    "{option} {output}: {reason}; choose a writable folder",
                    option=option,
                    output=output,
                    reason=exc.strerror or exc,
                )
            ]
        ) from exc


def inputs_among(ledger: Ledger, targets: Iterable[Path]) -> list[Path]:
    """Return the report files that a run has read as inputs, such as rows fixed in the report folder."""
    existing = {inode: target for target in targets if (inode := _inode(target)) is not None}
    read = {_inode(Path(name)) for name in ledger.input_locations()} if existing else set()
    return [target for inode, target in existing.items() if inode in read]


def _is_of_ledger(target: Path, ledger: Path) -> bool:
    """Return whether a path is the ledger, or one beside it: its log, quota, mark or saved copy."""
    return _is_beside(Path(os.path.realpath(target)), Path(os.path.realpath(ledger))) or any(
        _is_same(target, path) for path in ledger.parent.glob("*") if _is_beside(path, ledger)
    )


def _is_beside(path: Path, ledger: Path) -> bool:
    return path.parent == ledger.parent and (path.name == ledger.name or path.name.startswith(f"{ledger.name}-"))


def _is_same(path: Path, other: Path) -> bool:
    """Return whether two paths lead to one place, also where no file is yet."""
    return os.path.realpath(path) == os.path.realpath(other) or _inode(path) == _inode(other) is not None


def _inode(path: Path) -> _Inode | None:
    try:
        seen = path.stat()
    except (OSError, ValueError):
        return None
    return seen.st_dev, seen.st_ino
