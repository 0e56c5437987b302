"""The compression and the kind of data that a file's name suggests."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from pipeline.language import later

Meaning = TypeVar("Meaning")


class Codec(StrEnum):
    """How a file is compressed."""

    GZIP = "gzip"
    ZSTD = "zstd"
    BZ2 = "bz2"


class FileKind(StrEnum):
    """The kind of data in a file; the values are words for messages."""

    CSV = "CSV"
    JSON_LINES = later("JSON lines")
    PARQUET = "Parquet"
    WORKBOOK = later("a workbook")


_CODECS = {".gz": Codec.GZIP, ".zst": Codec.ZSTD, ".bz2": Codec.BZ2}
_TEXTS = {".csv": FileKind.CSV, ".tsv": FileKind.CSV, ".jsonl": FileKind.JSON_LINES, ".ndjson": FileKind.JSON_LINES}
_BINARIES = {
    ".parquet": FileKind.PARQUET,
    ".pq": FileKind.PARQUET,
    ".xlsx": FileKind.WORKBOOK,
    ".xls": FileKind.WORKBOOK,
    ".ods": FileKind.WORKBOOK,
}
# Spark writes JSON lines as `.json`. In a folder such files are not read, because they may hold anything.
_KINDS = _TEXTS | _BINARIES | {".txt": FileKind.CSV, ".json": FileKind.JSON_LINES}

EXPORT_ENDINGS = (*(text + codec for text in _TEXTS for codec in ("", *_CODECS)), *_BINARIES)
"""The endings of files that are read from a folder."""
SHOWN_ENDINGS = later(".csv, .tsv, .jsonl, .ndjson (each also .gz, .zst, .bz2), .parquet, .xlsx, .xls or .ods")
"""`EXPORT_ENDINGS` for messages."""


@dataclass(frozen=True, slots=True)
class NameHint:
    """The suggestion of a name. None means no suggestion: the bytes decide."""

    codec: Codec | None
    kind: FileKind | None
    is_tab_separated: bool = False


def hint_of(name: str) -> NameHint:
    """Return the suggestion of a file name's endings."""
    stem, codec = _parted(name.lower(), _CODECS)
    _, kind = _parted(stem, _KINDS)
    return NameHint(codec, kind, stem.endswith(".tsv"))


def _parted(name: str, endings: Mapping[str, Meaning]) -> tuple[str, Meaning | None]:
    dot = name.rfind(".")
    return (name[:dot], endings[name[dot:]]) if name[dot:] in endings else (name, None)
