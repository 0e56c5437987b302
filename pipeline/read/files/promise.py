"""What the name of a file promises: how it is compressed, and what it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

Meaning = TypeVar("Meaning")


class Codec(StrEnum):
    """How a file is compressed."""

    GZIP = "gzip"
    ZSTD = "zstd"
    BZ2 = "bz2"


class Kind(StrEnum):
    """What a file holds, in the words of a message."""

    CSV = "CSV"
    JSON_LINES = "JSON lines"
    PARQUET = "Parquet"
    WORKBOOK = "a workbook"


_CODECS = {".gz": Codec.GZIP, ".zst": Codec.ZSTD, ".bz2": Codec.BZ2}
_TEXTS = {".csv": Kind.CSV, ".tsv": Kind.CSV, ".jsonl": Kind.JSON_LINES, ".ndjson": Kind.JSON_LINES}
_BINARIES = {
    ".parquet": Kind.PARQUET,
    ".pq": Kind.PARQUET,
    ".xlsx": Kind.WORKBOOK,
    ".xls": Kind.WORKBOOK,
    ".ods": Kind.WORKBOOK,
}
# `.json` is what Spark calls JSON lines; within a folder it may be anything.
_KINDS = _TEXTS | _BINARIES | {".txt": Kind.CSV, ".json": Kind.JSON_LINES}

EXPORT_ENDINGS = (*(text + codec for text in _TEXTS for codec in ("", *_CODECS)), *_BINARIES)
"""How the files end that are read from a folder."""
SHOWN_ENDINGS = ".csv, .tsv, .jsonl, .ndjson (each also .gz, .zst, .bz2), .parquet, .xlsx, .xls or .ods"
"""The same, as a message has it."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a name promises. None: it says nothing, and the bytes decide."""

    codec: Codec | None
    kind: Kind | None
    is_tab_separated: bool = False


def promised_by(name: str) -> Promise:
    """Return what the end of a file's name promises."""
    stem, codec = _parted(name.lower(), _CODECS)
    _, kind = _parted(stem, _KINDS)
    return Promise(codec, kind, stem.endswith(".tsv"))


def _parted(name: str, endings: Mapping[str, Meaning]) -> tuple[str, Meaning | None]:
    dot = name.rfind(".")
    return (name[:dot], endings[name[dot:]]) if name[dot:] in endings else (name, None)
