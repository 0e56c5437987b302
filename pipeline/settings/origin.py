"""Where keys and secrets come from: a file, or an environment variable."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pipeline.errors import SettingsError
from pipeline.settings.table import Table
from pipeline.settings.words import looks_secret

_MAX_BYTES = 1_000_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a config speaks of beside itself: the folder its paths start from, the environment, the moment."""

    folder: Path
    environ: Mapping[str, str] = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True)
class _Found:
    """What a file or variable held. `name` says in faults which one, with the file, table and key that name it."""

    name: str
    data: bytes = field(repr=False)


def check_one_origin(table: Table, secret: str, *, needed: bool) -> None:
    """Tell the fault of a secret that is named twice, or is needed and not named."""
    file_key, env_key = f"{secret}_file", f"{secret}_env"
    if file_key in table and env_key in table:
        table.fault(env_key, f"given beside {file_key}; keep one of the two")
    if needed and file_key not in table and env_key not in table:
        table.fault(file_key, f"missing; name a file here, or an environment variable in {env_key}")


def load_secret(table: Table, secret: str, around: Surroundings, load: Callable[[bytes, str], _T]) -> _T | None:
    """Return what `load` makes of a secret; None where none is named, or its fault is told."""
    if f"{secret}_file" in table:
        return load_file(table, f"{secret}_file", around, load)
    return _loaded(table, _find_variable(table, f"{secret}_env", around), load)


def load_file(table: Table, key: str, around: Surroundings, load: Callable[[bytes, str], _T]) -> _T | None:
    """Return what `load` makes of the file that a key names; None where none is named, or its fault is told."""
    return _loaded(table, _find_file(table, key, around), load)


def secret_files(table: Table, secrets: Iterable[str], around: Surroundings) -> tuple[Path, ...]:
    """Return the files that hold the table's secrets."""
    named = (table.text(f"{secret}_file") for secret in secrets)
    return tuple(around.folder / file for file in named if file is not None)


def _loaded(table: Table, found: _Found | None, load: Callable[[bytes, str], _T]) -> _T | None:
    try:
        return load(found.data, found.name) if found is not None else None
    except SettingsError as exc:
        table.faults.extend(exc.faults)
        return None


def _find_file(table: Table, key: str, around: Surroundings) -> _Found | None:
    value = table.text(key)
    if value is None:
        return None
    # A key pasted where its file belongs must not come back in a fault.
    shown = "the file" if looks_secret(value) else value
    path = around.folder / value
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        table.fault(key, f"{shown} does not exist; paths start from the config file's folder")
        return None
    except OSError as exc:
        table.fault(key, f"{shown} can't be read: {exc.strerror}")
        return None
    return _checked(table, key, shown, data)


def _find_variable(table: Table, key: str, around: Surroundings) -> _Found | None:
    variable = table.text(key)
    if variable is None:
        return None
    shown = "the environment variable" if looks_secret(variable) else f"the environment variable {variable}"
    value = around.environ.get(variable)
    if value is None:
        table.fault(key, f"{shown} is not set")
        return None
    return _checked(table, key, shown, value.encode("utf-8", "surrogateescape"))


def _checked(table: Table, key: str, shown: str, data: bytes) -> _Found | None:
    if not data.strip():
        table.fault(key, f"{shown} is empty")
        return None
    if len(data) > _MAX_BYTES:
        table.fault(key, f"{shown} is larger than {_MAX_BYTES:,} bytes")
        return None
    return _Found(f"{table.at(key)}: {shown}", data)


def load_token(data: bytes, name: str) -> str:
    """Return a token of printable ASCII without blanks, as HTTP headers take it."""
    token = data.strip().decode("ascii", "replace")
    if not all("!" <= character <= "~" for character in token):
        raise SettingsError([f"{name} is no token; give the token alone, without blanks or line breaks"])
    return token
