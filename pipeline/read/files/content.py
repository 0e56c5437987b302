"""The content of a file by its first bytes, compared with its name."""

import re
import zipfile
from contextlib import closing
from dataclasses import dataclass
from typing import IO

from pipeline.errors import SourceError
from pipeline.language import later, t
from pipeline.read.files.name_hint import Codec, FileKind, hint_of
from pipeline.read.files.source_file import SourceFile, as_source_errors, open_bytes

_HEAD_BYTES = 1 << 10
_TAR_MARK = slice(257, 262)
_CODECS = (
    (Codec.GZIP, re.compile(rb"\x1f\x8b")),
    (Codec.ZSTD, re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")),
    (Codec.BZ2, re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")),
)
# Binary data follows the 4 letters in a Parquet file, but not in a CSV whose first column is named PAR1.
_PARQUET = re.compile(rb"PAR[1E](?![\t\r\n\x20-\x7e])")
_ZIP = re.compile(rb"PK\x03\x04")
# The container of .xls and .doc files, and of every workbook with a password.
_OLE = re.compile(rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_PACKED = ((_PARQUET, "Parquet"), (_ZIP, later("a ZIP archive or a workbook")), (_OLE, later("a workbook")))
_UNPACK = later("unpack it, or compress it with gzip, zstd or bzip2")
_EXPORT_AGAIN = later("export it again, as CSV, Parquet or JSON lines")
_SAVE_AS_WORKBOOK = later("open it in a spreadsheet and save it as .xlsx, or as CSV")
_TAR = later("a tar archive")
# Formats that are not read: first bytes, name, advice.
_FOREIGN = (
    (re.compile(rb"\xfd7zXZ\0"), later("an xz archive"), _UNPACK),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), later("a 7z archive"), _UNPACK),
    (re.compile(rb"Rar!\x1a\x07"), later("a RAR archive"), _UNPACK),
    (re.compile(rb"\x04\x22\x4d\x18"), later("compressed with lz4"), _UNPACK),
    (re.compile(rb"\xff\x06\0\0sNaPpY"), later("compressed with snappy"), _UNPACK),
    (re.compile(rb"\x1f\x9d"), later("compressed with compress"), _UNPACK),
    (re.compile(rb"%PDF-"), later("a PDF document"), _EXPORT_AGAIN),
    (re.compile(rb"ORC(?![\t\r\n\x20-\x7e])"), later("an ORC file"), _EXPORT_AGAIN),
    (re.compile(rb"Obj\x01"), later("an Avro file"), _EXPORT_AGAIN),
    (re.compile(rb"SQLite format 3\0"), later("an SQLite database"), _EXPORT_AGAIN),
)
_MARKUP = (
    (re.compile(rb"<(?:!doctype\s+html|html|head|body|table|meta|script|style)\b", re.IGNORECASE), "HTML"),
    (re.compile(rb"<\?xml\b|<!doctype\b|<!--", re.IGNORECASE), "XML"),
)
_OF_WORKBOOK = re.compile(r"xl/|content\.xml$")
_BEFORE_TEXT = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?\s*")
_JSON = re.compile(rb'\{\s*"|\[\s*\{')
_JSON_OVER_LINES = re.compile(rb"\{\s*\n")
_ENDINGS = {
    Codec.GZIP: ".gz",
    Codec.ZSTD: ".zst",
    Codec.BZ2: ".bz2",
    FileKind.PARQUET: ".parquet",
    FileKind.WORKBOOK: ".xlsx",
}


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a file: its compression, and the kind of data inside."""

    codec: Codec | None
    kind: FileKind


def content_of_file(file: SourceFile) -> Content:
    """Return the content of a file. Raises `SourceError` if its name says otherwise, or if it can't be read."""
    with closing(open_bytes(file)) as stored, as_source_errors(file.name):
        head = stored.read(_HEAD_BYTES)
        binary = _binary_kind(file.name, head, stored)
    codec = _codec_of(head)
    _check_foreign(file.name, head)
    _check_codec(file.name, codec)
    if codec is None:
        _check_kind(file.name, binary)
    is_json = hint_of(file.name).kind is FileKind.JSON_LINES
    return Content(codec, binary or (FileKind.JSON_LINES if is_json else FileKind.CSV))


def check_text(name: str, head: bytes) -> None:
    """Raise `SourceError` if the decompressed bytes, which should be text, are something else."""
    inner = _codec_of(head) or next((what for mark, what in _PACKED if mark.match(head)), None)
    if inner or head[_TAR_MARK] == b"ustar":
        raise SourceError(
            t("{name} holds {what} where text is expected; unpack it first", name=name, what=t(inner or _TAR))
        )
    _check_foreign(name, head)
    _check_json(name, _text_of(head))


def _codec_of(head: bytes) -> Codec | None:
    return next((codec for codec, mark in _CODECS if mark.match(head)), None)


def _binary_kind(name: str, head: bytes, stored: IO[bytes]) -> FileKind | None:
    """Return the kind of a binary file, None for text; raise `SourceError` for a ZIP archive that is no workbook."""
    if _PARQUET.match(head):
        return FileKind.PARQUET
    if _OLE.match(head):
        return FileKind.WORKBOOK
    if not _ZIP.match(head):
        return None
    names = _names_in_archive(stored)
    if "xl/workbook.bin" in names:
        raise SourceError(
            t(
                "{name} is a workbook of the kind .xlsb; {advice}",
                name=name,
                advice=t(_SAVE_AS_WORKBOOK),
            )
        )
    if not names:
        raise SourceError(
            t(
                "{name} is a ZIP archive or a workbook, and damaged: its list of members is missing; fetch it again",
                name=name,
            )
        )
    if not any(_OF_WORKBOOK.match(member) for member in names):
        raise SourceError(t("{name} is a ZIP archive; {advice}", name=name, advice=t(_UNPACK)))
    return FileKind.WORKBOOK


def _names_in_archive(stored: IO[bytes]) -> set[str]:
    """Return the names of an archive's members; none if it is truncated."""
    try:
        with zipfile.ZipFile(stored) as archive:
            return set(archive.namelist())
    except zipfile.BadZipFile:
        return set()


def _check_foreign(name: str, head: bytes) -> None:
    for mark, what, advice in _FOREIGN:
        if mark.match(head):
            raise SourceError(t("{name} is {what}; {advice}", name=name, what=t(what), advice=t(advice)))
    for mark, what in _MARKUP:
        if mark.match(_text_of(head)):
            is_workbook = hint_of(name).kind is FileKind.WORKBOOK
            advice = _SAVE_AS_WORKBOOK if is_workbook else _EXPORT_AGAIN
            raise SourceError(
                t("{name} is {what}, despite its name; {advice}", name=name, what=t(what), advice=t(advice))
            )


def _text_of(head: bytes) -> bytes:
    """Return the first bytes without a byte order mark and white space, and without the NULs of UTF-16."""
    start = head[:_HEAD_BYTES].replace(b"\0", b"")
    return _BEFORE_TEXT.sub(b"", start, count=1)


def _check_codec(name: str, codec: Codec | None) -> None:
    hint = hint_of(name)
    if codec is None and hint.codec:
        raise SourceError(
            t(
                "{name} is damaged or misnamed: it does not begin as {codec} does; fetch it again",
                name=name,
                codec=hint.codec,
            )
        )
    if codec and codec is not hint.codec and (hint.codec or hint.kind):
        raise SourceError(
            t(
                "{name} is compressed with {codec}; rename it so that it ends in {endings}",
                name=name,
                codec=codec,
                endings=_ENDINGS[codec],
            )
        )


def _check_kind(name: str, binary: FileKind | None) -> None:
    expected = hint_of(name).kind
    if expected is None or binary is expected:
        return
    if binary:
        raise SourceError(
            t(
                "{name} is {binary}, not {expected}; rename it so that it ends in {endings}",
                name=name,
                binary=t(binary),
                expected=t(expected),
                endings=_ENDINGS[binary],
            )
        )
    if expected is FileKind.PARQUET:
        raise SourceError(
            t("{name} is damaged or misnamed: it does not begin as Parquet does; fetch it again", name=name)
        )
    if expected is FileKind.WORKBOOK:
        raise SourceError(
            t("{name} is text and not a workbook; rename it so that it ends in .csv, or save it as .xlsx", name=name)
        )


def _check_json(name: str, text: bytes) -> None:
    if hint_of(name).kind is not FileKind.JSON_LINES:
        if _JSON.match(text):
            raise SourceError(t("{name} holds JSON; JSON lines are read from a file that ends in .jsonl", name=name))
    elif text.startswith(b"[") or _JSON_OVER_LINES.match(text):
        raise SourceError(
            t("{name} is one JSON document; write each record as an object on a line of its own", name=name)
        )
    elif text and not text.startswith(b"{"):
        raise SourceError(
            t("{name} does not hold JSON lines: its first line is no JSON object; export it again", name=name)
        )
