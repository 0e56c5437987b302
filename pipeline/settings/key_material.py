"""Keys and secrets, read from files and environment variables."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.settings.table import Table
from pipeline.settings.wording import looks_secret

# No key or certificate file is near this size.
_MAX_BYTES = 1_000_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LoadContext:
    """The context of a config: the folder that its paths start from, the environment, the moment of loading."""

    folder: Path
    environ: Mapping[str, str] = field(repr=False)
    at: datetime


@dataclass(frozen=True, slots=True)
class _Found:
    """The content of a file or variable. `name` names it in faults, after the config's file, table and key."""

    name: str
    data: bytes = field(repr=False)


def check_named_once(table: Table, secret: str, *, needed: bool) -> None:
    """Report a secret that is named twice, or that is needed and not named."""
    file_key, env_key = f"{secret}_file", f"{secret}_env"
    if file_key in table and env_key in table:
        table.fault(env_key, t("given together with {file_key}; keep one of the two", file_key=file_key))
    if needed and file_key not in table and env_key not in table:
        table.fault(file_key, t("missing; name a file here, or an environment variable in {env_key}", env_key=env_key))


def load_secret(table: Table, secret: str, context: LoadContext, load: Callable[[bytes, str], _T]) -> _T | None:
    """Return a secret as `load` parses it; None if none is named, or if it is at fault, which is reported."""
    if f"{secret}_file" in table:
        return load_file(table, f"{secret}_file", context, load)
    return _loaded(table, _find_variable(table, f"{secret}_env", context), load)


def load_file(table: Table, key: str, context: LoadContext, load: Callable[[bytes, str], _T]) -> _T | None:
    """Return a named file as `load` parses it; None if none is named, or if it is at fault, which is reported."""
    return next(iter(load_files(table, key, context, load)), None)


def load_files(table: Table, key: str, context: LoadContext, load: Callable[[bytes, str], _T]) -> list[_T]:
    """Return each named file as `load` parses it; those at fault are reported and left out."""
    loaded = (_loaded(table, _find_file(table, key, name, context), load) for name in table.texts(key))
    return [one for one in loaded if one is not None]


def secret_files(table: Table, secrets: Iterable[str], context: LoadContext) -> tuple[Path, ...]:
    """Return the files that hold the table's secrets."""
    named = (table.text(f"{secret}_file") for secret in secrets)
    return tuple(context.folder / file for file in named if file is not None)


def _loaded(table: Table, found: _Found | None, load: Callable[[bytes, str], _T]) -> _T | None:
    try:
        return load(found.data, found.name) if found is not None else None
    except SettingsError as exc:
        table.faults.extend(exc.faults)
        return None


def _find_file(table: Table, key: str, value: str, context: LoadContext) -> _Found | None:
    # A key pasted in place of its file name must not appear in a fault.
    shown = t("the file") if looks_secret(value) else value
    path = context.folder / value
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        table.fault(key, t("{shown} does not exist; paths start from the config file's folder", shown=shown))
        return None
    except OSError as exc:
        table.fault(key, t("{shown} can't be read: {strerror}", shown=shown, strerror=exc.strerror))
        return None
    return _checked(table, key, shown, data)


def _find_variable(table: Table, key: str, context: LoadContext) -> _Found | None:
    variable = table.text(key)
    if variable is None:
        return None
    shown = (
        t("the environment variable")
        if looks_secret(variable)
        else t("the environment variable {variable}", variable=variable)
    )
    value = context.environ.get(variable)
    if value is None:
        table.fault(key, t("{shown} is not set", shown=shown))
        return None
    return _checked(table, key, shown, value.encode("utf-8", "surrogateescape"))


def _checked(table: Table, key: str, shown: str, data: bytes) -> _Found | None:
    if not data.strip():
        table.fault(key, t("{shown} is empty", shown=shown))
        return None
    if len(data) > _MAX_BYTES:
        table.fault(key, t("{shown} is larger than {max_bytes:,} bytes", shown=shown, max_bytes=_MAX_BYTES))
        return None
    return _Found(f"{table.at(key)}: {shown}", data)


def load_token(data: bytes, name: str) -> str:
    """Return a token of printable ASCII without blanks, fit for an HTTP header; raise SettingsError otherwise."""
    token = data.strip().decode("ascii", "replace")
    if not all("!" <= character <= "~" for character in token):
        raise SettingsError(
            [t("{name} is not a token; give the token alone, without blanks or line breaks", name=name)]
        )
    return token
