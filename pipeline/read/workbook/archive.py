"""The archive of an .xlsx or .ods, checked before the workbook is read: its size and its failed formulas."""

import html
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from pipeline.errors import SourceError
from pipeline.language import t

_PIECE_BYTES = 1 << 20
_STRINGS = "xl/sharedStrings.xml"
_ATTRIBUTES = re.compile(rb'([\w:]+)="([^"]*)"')
_SHEET = re.compile(rb"<(?:\w+:)?sheet\b[^>]*>")
_RELATION = re.compile(rb"<(?:\w+:)?Relationship\b[^>]*>")
_PLACE = re.compile(rb'\br="([A-Z]{1,3})([0-9]{1,7})"')
_SHARED = re.compile(rb'<(?:\w+:)?c\b[^>]*\bt="s"[^>]*>\s*<(?:\w+:)?v>([0-9]+)<')
_STRING_END = re.compile(rb"</(?:\w+:)?si>")
_FAILED = re.compile(rb'<(?:\w+:)?c\b([^>]*\bt="e"[^>]*)>(?:<(?:\w+:)?f\b.*?)?<(?:\w+:)?v>(#[^<]*)<', re.DOTALL)
_REPEATED_CELL = re.compile(
    rb'<table:table-cell\b(?=[^>]*\boffice:value-type)[^>]*\btable:number-columns-repeated="([0-9]+)"'
)
_REPEATED_ROW = re.compile(
    rb'<table:table-row\b[^>]*\btable:number-rows-repeated="([0-9]+)"[^>]*>\s*<table:table-cell\b[^>]*office:value-type'
)
# A lookup that found nothing means no value; the value of any other failed formula is unknown.
_NOTHING_FOUND = b"#N/A"

CellPlace = tuple[int, int]


@dataclass(frozen=True, slots=True)
class WorkbookBounds:
    """
    The largest workbook that is read, so that reading stays below 300 MiB.

    The reader keeps every cell between the first and last row and column in memory, each with its own text.
    """

    stored_bytes: int = 64 << 20
    unpacked_bytes: int = 128 << 20
    filled_cells: int = 2_000_000
    all_cells: int = 4_000_000
    text_bytes: int = 64 << 20


class WorkbookArchive:
    """The archive of an .xlsx or .ods. Raises `SourceError` if the workbook exceeds a bound."""

    def __init__(self, name: str, stored: IO[bytes], bounds: WorkbookBounds) -> None:
        self._name = name
        self._bounds = bounds
        self._archive = zipfile.ZipFile(stored)
        unpacked = 0
        for member in self._archive.namelist():
            for piece in self._pieces(member):
                unpacked += len(piece)
                self._check("bytes", unpacked, bounds.unpacked_bytes)
        if "content.xml" in self._archive.namelist():
            self._check_repeated_cells()

    def failed_cells(self, sheet: str) -> dict[CellPlace, str]:
        """Return the text shown by each failed formula of a sheet, by row and column from 0."""
        failed: dict[CellPlace, str] = {}
        cells = rows = columns = 0
        shared: Counter[bytes] = Counter()
        for piece in self._cells(self._member_of(sheet)):
            places = _PLACE.findall(piece)
            rows = max(rows, max((int(row) for _, row in places), default=0))
            columns = max(columns, max(map(_column, {letters for letters, _ in places}), default=0))
            cells += len(places)
            self._check("cells", cells, self._bounds.filled_cells)
            self._check(t("cells, empty ones included"), rows * columns, self._bounds.all_cells)
            shared.update(_SHARED.findall(piece))
            failed |= {_place(tag): shown.decode() for tag, shown in _FAILED.findall(piece) if shown != _NOTHING_FOUND}
        self._check(t("bytes of text"), self._text_bytes(shared), self._bounds.text_bytes)
        return failed

    def _check(self, what: str, found: int, bound: int) -> None:
        if found > bound:
            raise SourceError(
                t(
                    "{name} unpacks to more than {bound:,} {what}; export it as CSV",
                    name=self._name,
                    bound=bound,
                    what=what,
                )
            )

    def _pieces(self, member: str) -> Iterator[bytes]:
        with self._archive.open(member) as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece

    def _cells(self, member: str | None) -> Iterator[bytes]:
        """Yield the XML of a sheet in pieces that end after a cell."""
        begun = b""
        for piece in self._pieces(member) if member else ():
            begun += piece
            end = begun.rfind(b"c>") + 2
            yield begun[:end]
            begun = begun[end:] if end > 1 else b""
        yield begun

    def _member_of(self, sheet: str) -> str | None:
        """Return the member that holds a sheet; None if the workbook is not an .xlsx."""
        if "xl/workbook.xml" not in self._archive.namelist():
            return None
        sheets = self._tags("xl/workbook.xml", _SHEET)
        relations = self._tags("xl/_rels/workbook.xml.rels", _RELATION)
        number = next((tag.get("r:id") for tag in sheets if tag.get("name") == sheet), None)
        target = next((tag.get("Target", "") for tag in relations if tag.get("Id") == number), "")
        member = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        return member if member in self._archive.namelist() else None

    def _tags(self, member: str, pattern: re.Pattern[bytes]) -> list[dict[str, str]]:
        tags = pattern.findall(self._archive.read(member))
        return [
            {name.decode(): html.unescape(value.decode("utf-8", "replace")) for name, value in _ATTRIBUTES.findall(tag)}
            for tag in tags
        ]

    def _text_bytes(self, shared: Counter[bytes]) -> int:
        """Return the bytes of text in cells that refer to shared strings."""
        if not shared or _STRINGS not in self._archive.namelist():
            return 0
        strings = _STRING_END.split(self._archive.read(_STRINGS))
        return sum(len(strings[int(at)]) * count for at, count in shared.items() if int(at) < len(strings))

    def _check_repeated_cells(self) -> None:
        content = self._archive.read("content.xml")
        cells = sum(map(int, _REPEATED_CELL.findall(content)))
        rows = max(map(int, _REPEATED_ROW.findall(content)), default=1)
        self._check("cells", cells * rows, self._bounds.filled_cells)


def _place(attributes: bytes) -> CellPlace:
    found = _PLACE.search(attributes)
    return (int(found[2]) - 1, _column(found[1]) - 1) if found else (-1, -1)


def _column(letters: bytes) -> int:
    """Return the number of a column, from 1: A is 1, Z 26, AA 27."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number
