"""How much the pages of a Parquet file unpack to, looked up before any of them is unpacked."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from pipeline.errors import SourceError
from pipeline.read.files.source_file import Bytes, SourceFile, blaming, open_bytes
from pipeline.read.parquet.compact_thrift import CutShortError, MalformedError, Struct, read_struct

_PIECE_BYTES = 1 << 20
_HEADER_BYTES = 1 << 10
_LONGEST_HEADER_BYTES = 16 << 20
_MIB = 1 << 20
# A footer ends with its length and the letters of the format.
_END_BYTES = 8
# The fields of the footer, of a row group, and of what is known of a column (parquet.thrift).
_ROW_GROUPS, _COLUMNS, _ROWS, _META_DATA = 4, 1, 3, 3
_PATH, _VALUE_COUNT, _PACKED_BYTES, _DATA_OFFSET, _DICTIONARY_OFFSET = 3, 5, 7, 9, 11
# The fields of a page header, and of the headers within it for data, dictionary and data of the second version.
_TYPE, _UNPACKED, _PACKED, _DATA, _DICTIONARY, _DATA_2 = 1, 2, 3, 5, 7, 8
_VALUES, _ENCODING, _ENCODING_2 = 1, 2, 4
_IS_DICTIONARY = 2
_DELTA_BYTE_ARRAY = 7


@dataclass(frozen=True, slots=True)
class ParquetBounds:
    """
    How much is unpacked at once, so that reading stays below 300 MiB.

    Every column has a page and its dictionary open, which takes twice the room: `open_bytes` holds for all of them
    together, `page_bytes` and `dictionary_bytes` for each. `chunk_bytes` are the values of one batch of rows.
    """

    page_bytes: int = 64 << 20
    dictionary_bytes: int = 16 << 20
    open_bytes: int = 80 << 20
    chunk_bytes: int = 1 << 23


@dataclass(slots=True)
class ColumnPages:
    """
    What is known of one column in one row group.

    `value_bytes` is what a value takes in the page where values are largest, dictionaries left out. Where values share
    what they begin with, that is the whole page: so much may stand in each.
    """

    name: str
    value_count: int
    page_bytes: int = 0
    dictionary_bytes: int = 0
    dictionary_values: int = 0
    value_bytes: int = 0

    @property
    def open_bytes(self) -> int:
        """How much of the column is open at once, at most."""
        return self.page_bytes + 2 * self.dictionary_bytes

    def add(self, header: Struct) -> None:
        """Take a page into account."""
        unpacked, size = header[_UNPACKED], max(header[_UNPACKED], header[_PACKED])
        if header[_TYPE] == _IS_DICTIONARY:
            self.dictionary_bytes = max(self.dictionary_bytes, size)
            self.dictionary_values = header.get(_DICTIONARY, {}).get(_VALUES, 0)
            return
        self.page_bytes = max(self.page_bytes, size)
        data = header.get(_DATA) or header.get(_DATA_2) or {}
        encoding = data.get(_ENCODING if _DATA in header else _ENCODING_2)
        values = 1 if encoding == _DELTA_BYTE_ARRAY else max(1, data.get(_VALUES, 1))
        self.value_bytes = max(self.value_bytes, unpacked // values)


@dataclass(frozen=True, slots=True)
class GroupPages:
    """What is known of a row group: how many rows it has, and the pages of its columns."""

    rows: int
    columns: list[ColumnPages]


def look_at_pages(file: SourceFile, bounds: ParquetBounds) -> tuple[list[GroupPages], str]:
    """
    Return the pages of each row group, and the SHA-256 of the file.

    Each byte is read once, from the start to the end, and the footer before. Raises `SourceError` where a page, or
    what is open at once, unpacks to more than a bound.
    """
    try:
        with blaming(file.name):
            groups, chunks = _columns(_footer(file, bounds))
            with closing(open_bytes(file)) as stored:
                window = _Window(stored)
                for first, end, pages in sorted(chunks, key=lambda chunk: chunk[:2]):
                    for header in _headers(window, first, end):
                        pages.add(header)
                    _check_pages(file.name, pages, bounds)
                sha256 = window.sha256()
    except (CutShortError, MalformedError, KeyError, TypeError, AttributeError):
        raise SourceError(f"{file.name} is damaged: it has pages without a header; fetch it again") from None
    for group in groups:
        _check_open(file.name, group.columns, bounds)
    return groups, sha256


def _footer(file: SourceFile, bounds: ParquetBounds) -> Struct:
    size = file.fingerprint.size
    with closing(open_bytes(file)) as stored:
        stored.seek(size - _END_BYTES)
        length = int.from_bytes(stored.read(_END_BYTES)[:4], "little")
        if length > min(size - _END_BYTES, bounds.page_bytes):
            raise MalformedError
        stored.seek(size - _END_BYTES - length)
        return read_struct(stored.read(length))[0]


def _columns(footer: Struct) -> tuple[list[GroupPages], list[tuple[int, int, ColumnPages]]]:
    """Return the columns of each row group, their pages still unknown, and where in the file each begins and ends."""
    groups = []
    chunks = []
    for of_group in footer.get(_ROW_GROUPS, ()):
        group = GroupPages(of_group[_ROWS], [])
        for column in (chunk[_META_DATA] for chunk in of_group[_COLUMNS]):
            pages = ColumnPages(b".".join(column[_PATH]).decode(), column[_VALUE_COUNT])
            first = min(filter(None, (column.get(_DICTIONARY_OFFSET), column[_DATA_OFFSET])), default=0)
            group.columns.append(pages)
            chunks.append((first, first + column[_PACKED_BYTES], pages))
        groups.append(group)
    return groups, chunks


class _Window:
    """Looks at the bytes of a file from its start to its end, and hashes them as they pass."""

    def __init__(self, stored: Bytes) -> None:
        self._stored = stored
        self._digest = hashlib.sha256()
        self._start = 0
        self._data = b""

    def at(self, place: int, size: int) -> bytes:
        """Return up to `size` bytes from a place that is not before the last one."""
        if place < self._start:
            raise MalformedError
        while self._start + len(self._data) < place + size and (piece := self._next()):
            kept = self._data[max(0, place - self._start) :]
            self._start += len(self._data) - len(kept)
            self._data = kept + piece
        return self._data[place - self._start : place - self._start + size]

    def sha256(self) -> str:
        """Return the SHA-256 of the file; what was not looked at is read for it."""
        while self._next():
            pass
        return self._digest.hexdigest()

    def _next(self) -> bytes:
        piece = self._stored.read(_PIECE_BYTES)
        self._digest.update(piece)
        return piece


def _check_pages(name: str, pages: ColumnPages, bounds: ParquetBounds) -> None:
    for what, size, bound in (
        ("page", pages.page_bytes, bounds.page_bytes),
        ("dictionary", pages.dictionary_bytes, bounds.dictionary_bytes),
    ):
        if size > bound:
            raise SourceError(
                f"{name}: column {pages.name} has a {what} that unpacks to {size / _MIB:,.0f} MiB, and "
                f"{bound // _MIB} MiB is the most; write the file with pages and dictionaries of 1 MiB"
            )


def _headers(window: _Window, first: int, end: int) -> Iterator[Struct]:
    place = first
    while place < end:
        header, size = _header(window, place)
        if header[_UNPACKED] < 0 or header[_PACKED] < 0:
            raise MalformedError
        yield header
        place += size + header[_PACKED]


def _header(window: _Window, place: int) -> tuple[Struct, int]:
    """Return the page header at a place; one that holds long texts in its statistics is read on."""
    size = _HEADER_BYTES
    while True:
        try:
            return read_struct(window.at(place, size))
        except CutShortError:
            if size > _LONGEST_HEADER_BYTES:
                raise
            size *= 8


def _check_open(name: str, columns: list[ColumnPages], bounds: ParquetBounds) -> None:
    size = sum(column.open_bytes for column in columns)
    if size > bounds.open_bytes:
        largest = max(columns, key=lambda column: column.open_bytes)
        raise SourceError(
            f"{name}: the pages of its {len(columns)} columns take {size / _MIB:,.0f} MiB together, and "
            f"{bounds.open_bytes // _MIB} MiB is the most (column {largest.name} has the largest); write the file with "
            "pages and dictionaries of 1 MiB, or with the columns alone that the job needs"
        )
