"""The config file, parsed as TOML."""

import re
import tomllib
from pathlib import Path
from typing import Any

from pipeline.errors import SettingsError
from pipeline.language import t

_MAX_BYTES = 1_000_000
_PLACE = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL)


def read_document(path: Path) -> dict[str, Any]:
    """Return the file's tables. Raises SettingsError, with the full path or with line and column."""
    try:
        text = _read(path).decode("utf-8-sig")
        return tomllib.loads(text)
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        raise SettingsError(
            [t("{path} line {line}: not UTF-8; save the file as UTF-8", path=path, line=line)]
        ) from None
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError([_messages(path, text, str(exc))]) from None
    except (ValueError, RecursionError):
        # tomllib gives no place for a number of thousands of digits, or for endless nesting.
        raise SettingsError(
            [t("{path}: not valid TOML: a number is too long, or values are nested too deep", path=path)]
        ) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        advice = t("name it with --config or BACKFILL_CONFIG, or write one to start from with `backfill init DIR`")
        raise SettingsError(
            [t("{path}: no config file at {absolute}; {advice}", path=path, absolute=path.absolute(), advice=advice)]
        ) from None
    except (OSError, ValueError) as exc:
        cause = exc.strerror if isinstance(exc, OSError) else t("no path")
        raise SettingsError([t("{path}: the config file can't be read: {cause}", path=path, cause=cause)]) from None
    if len(data) > _MAX_BYTES:
        raise SettingsError(
            [t("{path}: larger than {max_bytes:,} bytes; this is not a config file", path=path, max_bytes=_MAX_BYTES)]
        )
    return data


def _messages(path: Path, text: str, message: str) -> str:
    match = _PLACE.fullmatch(message)
    if match is None:
        return t("{path}: not valid TOML", path=path)
    lines = text.replace("\r\n", "\n").split("\n")
    line = match["line"] or len(lines)
    column = match["column"] or len(lines[-1]) + 1
    return t(
        "{path} line {line}, column {column}: not valid TOML: {what}",
        path=path,
        line=line,
        column=column,
        what=match["what"],
    )
