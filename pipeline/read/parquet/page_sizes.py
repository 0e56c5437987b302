"""The unpacked sizes of a Parquet file's pages, read from their headers before any page is unpacked."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from pipeline.errors import SourceError
from pipeline.language import later, t
from pipeline.read.files.compressed import HashedBytes
from pipeline.read.files.source_file import SourceFile, as_source_errors, open_bytes
from pipeline.read.parquet.compact_thrift import CutShortError, MalformedError, Struct, read_struct

_PIECE_BYTES = 1 << 20
_HEADER_BYTES = 1 << 10
_LONGEST_HEADER_BYTES = 16 << 20
_MIB = 1 << 20
# A file ends with the footer's length and the letters PAR1.
_END_BYTES = 8
# Field numbers of the footer, a row group and a column (parquet.thrift).
_ROW_GROUPS, _COLUMNS, _ROWS, _META_DATA = 4, 1, 3, 3
_PATH, _VALUE_COUNT, _PACKED_BYTES, _DATA_OFFSET, _DICTIONARY_OFFSET = 3, 5, 7, 9, 11
# Field numbers of a page header, and of the headers within it for data, dictionary and data v2 pages.
_TYPE, _UNPACKED, _PACKED, _DATA, _DICTIONARY, _DATA_2 = 1, 2, 3, 5, 7, 8
_VALUES, _ENCODING, _ENCODING_2 = 1, 2, 4
_IS_DICTIONARY = 2
_DELTA_BYTE_ARRAY = 7


@dataclass(frozen=True, slots=True)
class ParquetBounds:
    """
    The most bytes that are unpacked at once, so that reading stays below 300 MiB.

    Each column has one page and its dictionary open; a dictionary takes twice its size. `page_bytes` and
    `dictionary_bytes` limit each column, `open_bytes` all columns together, `chunk_bytes` the values of one chunk.
    """

    page_bytes: int = 64 << 20
    dictionary_bytes: int = 16 << 20
    open_bytes: int = 80 << 20
    chunk_bytes: int = 1 << 23


@dataclass(slots=True)
class ColumnPages:
    """
    The sizes of one column in one row group.

    `value_bytes` is the average size of a value in the page where it is largest, without dictionaries. In delta byte
    array pages values share prefixes, so a value may be as large as the whole page.
    """

    name: str
    value_count: int
    page_bytes: int = 0
    dictionary_bytes: int = 0
    dictionary_values: int = 0
    value_bytes: int = 0

    @property
    def open_bytes(self) -> int:
        """The most bytes of the column that are open at once."""
        return self.page_bytes + 2 * self.dictionary_bytes

    def add(self, header: Struct) -> None:
        """Add the page of this header."""
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
    """The number of rows and the page sizes of a row group."""

    rows: int
    columns: list[ColumnPages]


def measured_pages(file: SourceFile, bounds: ParquetBounds, part: range | None = None) -> tuple[list[GroupPages], str]:
    """
    Return the page sizes of each row group, and the SHA-256 of the file in hex.

    The footer is read first, then the whole file once. With `part` these are the row groups with such numbers, only
    they are read, and the hash is empty. Raises `SourceError` if the file is damaged, or unpacks to more than a bound.
    """
    try:
        with as_source_errors(file.name):
            groups, chunks = _columns(_footer(file, bounds), part)
            with closing(HashedBytes(open_bytes(file))) as stored:
                window = _Window(stored, 0 if part is None else stored.skip_to(min(first for first, *_ in chunks)))
                for first, end, pages in sorted(chunks, key=lambda chunk: chunk[:2]):
                    for header in _headers(window, first, end):
                        pages.add(header)
                    _check_pages(file.name, pages, bounds)
                sha256 = stored.sha256() if part is None else ""
    except (CutShortError, MalformedError, KeyError, TypeError, AttributeError):
        raise SourceError(
            t("{file} is damaged: it has pages without a header; fetch it again", file=file.name)
        ) from None
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


def _columns(footer: Struct, part: range | None = None) -> tuple[list[GroupPages], list[tuple[int, int, ColumnPages]]]:
    """Return the columns of each row group, without sizes yet, and where in the file each begins and ends."""
    groups = []
    chunks = []
    all_groups = footer.get(_ROW_GROUPS, ())
    for of_group in all_groups if part is None else all_groups[part.start : part.stop]:
        group = GroupPages(of_group[_ROWS], [])
        for column in (chunk[_META_DATA] for chunk in of_group[_COLUMNS]):
            pages = ColumnPages(b".".join(column[_PATH]).decode(), column[_VALUE_COUNT])
            first = min(filter(None, (column.get(_DICTIONARY_OFFSET), column[_DATA_OFFSET])), default=0)
            group.columns.append(pages)
            chunks.append((first, first + column[_PACKED_BYTES], pages))
        groups.append(group)
    return groups, chunks


class _Window:
    """A forward-only view of a file's bytes."""

    def __init__(self, stored: HashedBytes, start: int = 0) -> None:
        self._stored = stored
        self._start = start
        self._data = b""

    def at(self, place: int, size: int) -> bytes:
        """Return up to `size` bytes from an offset that is not before the previous one."""
        if place < self._start:
            raise MalformedError
        while self._start + len(self._data) < place + size and (piece := self._stored.read(_PIECE_BYTES)):
            kept = self._data[max(0, place - self._start) :]
            self._start += len(self._data) - len(kept)
            self._data = kept + piece
        return self._data[place - self._start : place - self._start + size]


def _check_pages(name: str, pages: ColumnPages, bounds: ParquetBounds) -> None:
    for what, size, bound in (
        (later("page"), pages.page_bytes, bounds.page_bytes),
        (later("dictionary"), pages.dictionary_bytes, bounds.dictionary_bytes),
    ):
        if size > bound:
            raise SourceError(
                t(
                    "{name}: column {pages} has a {what} that unpacks to {size:,.0f} MiB, and the limit is {bound} "
                    "MiB; write the file with pages and dictionaries of 1 MiB",
                    name=name,
                    pages=pages.name,
                    what=t(what),
                    size=size / _MIB,
                    bound=bound // _MIB,
                )
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
    """Return the page header at an offset, and its size. Long statistics can make a header large."""
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
            t(
                "{name}: the pages of its {columns} columns take {size:,.0f} MiB together, and the limit is "
                "{open_bytes} MiB (column {largest} has the largest); write the file with pages and dictionaries "
                "of 1 MiB, or with only the columns that the job needs",
                name=name,
                columns=len(columns),
                size=size / _MIB,
                open_bytes=bounds.open_bytes // _MIB,
                largest=largest.name,
            )
        )
