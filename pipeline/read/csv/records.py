"""CSV text to records, by RFC 4180; a broken record does not affect its neighbours."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from pipeline.language import t
from pipeline.model import CsvFormat, Fault
from pipeline.read.csv.placeholders import Placeholders
from pipeline.read.csv.record_lines import RecordLines, record_pattern
from pipeline.read.files.bounds import Bounds
from pipeline.read.text.decoder import LINE_TOO_LONG, UNDECODABLE, UNREAD

_NUL = "\0"
# Replaces a carriage return while csv parses, because csv takes one outside quotes for a line end.
_CARRIAGE_RETURN = "\udbfe"


@dataclass(frozen=True, slots=True)
class BrokenRecord:
    """A record that breaks the rules, with its cells as far as they can be read, for the person who fixes it."""

    fault: Fault
    cells: list[str] = field(default_factory=list, repr=False)


# A blank line is a record without cells.
Record = list[str] | BrokenRecord


@dataclass(frozen=True, slots=True)
class Records:
    """Consecutive records, and the lines of the file where they begin."""

    several: Sequence[Record] = field(repr=False)
    file_lines: Sequence[int]


class RecordReader:
    """
    Reads records from texts of whole lines, given in order, with placeholders where the format needs them.

    `next_line` is the line of the file, from 1, where the next record begins.
    """

    def __init__(self, form: CsvFormat, bounds: Bounds) -> None:
        self.next_line = 1 + form.skip_lines
        self._comment = form.comment
        self._placeholders = Placeholders(form, bounds)
        form = self._placeholders.form
        self._lines = RecordLines(form, bounds)
        self._parser = _Parser(form, bounds)

    @property
    def is_within_record(self) -> bool:
        """Whether the next text may continue a record that began before it."""
        return self._lines.is_open

    def prepared(self, texts: Iterator[str]) -> Iterator[str]:
        """Return the texts of a file with placeholders, if the format needs them."""
        return self._placeholders.insert(texts) if self._placeholders.is_needed else texts

    def read(self, text: str) -> Records:
        """Return the records that end in a text."""
        return self._records(self._lines.join(text))

    def rest(self) -> Records:
        """Return the records that were still open at the end of the file."""
        return self._records(self._lines.rest())

    def read_alone(self, line: str) -> Record:
        """Return the record of one line, without counting the line."""
        (record,) = self._parsed([line])
        return record

    def skip(self, lines: int) -> range:
        """Count lines that are read elsewhere, and return their numbers."""
        first = self.next_line
        self.next_line += lines
        return range(first, self.next_line)

    def _records(self, texts: list[str]) -> Records:
        first = self.next_line
        # Most records are one line each.
        have_lines = any("\n" in text for text in texts)
        ends = [*accumulate((text.count("\n") + 1 for text in texts), initial=first)] if have_lines else None
        self.next_line = ends[-1] if ends else first + len(texts)
        return Records(self._parsed(texts), ends[:-1] if ends else range(first, self.next_line))

    def _parsed(self, texts: list[str]) -> Sequence[Record]:
        if self._comment:
            # A comment becomes a record without cells, like a blank line.
            texts = ["" if text.startswith(self._comment) else text for text in texts]
        records = self._parser.parse(texts)
        return list(map(self._without_placeholders, records)) if self._placeholders.is_needed else records

    def _without_placeholders(self, record: Record) -> Record:
        if isinstance(record, BrokenRecord):
            return BrokenRecord(record.fault, self._placeholders.remove(record.cells))
        return self._placeholders.remove(record)


class _Parser:
    """
    Splits the text of each record into cells.

    csv reads all records of a block at once. If it fails, or accepts something that RFC 4180 forbids, the records are
    read one by one.
    """

    def __init__(self, form: CsvFormat, bounds: Bounds) -> None:
        self._form = form
        self._bounds = bounds
        self._pattern = record_pattern(form)
        self._quoted = re.compile("{0}[^{0}]*+{0}".format(re.escape(form.quote))) if form.quote else None
        # The limit is global and 128 KiB by default. Our own limits are checked here, record by record.
        csv.field_size_limit(max(csv.field_size_limit(), bounds.line_bytes, bounds.record_chars))

    def parse(self, texts: list[str]) -> Sequence[Record]:
        """Return one record for each text."""
        together = "".join(texts)
        has_marks = any(mark in together for mark in (_NUL, UNDECODABLE, LINE_TOO_LONG))
        if len(together) <= self._bounds.cell_chars and not has_marks and not self._is_crowded(together):
            parsed = self._all_at_once(texts)
            if parsed is not None:
                return self._without_stray_quotes(texts, parsed) if self._has_quotes(together) else parsed
        return [self._crowded(text) or self._one(text) for text in texts]

    def _all_at_once(self, texts: list[str]) -> list[list[str]] | None:
        try:
            parsed = list(self._read(texts))
        except csv.Error:
            return None
        # There are fewer if a quoted cell without an end continued into the next text.
        return parsed if len(parsed) == len(texts) else None

    def _read(self, texts: list[str]) -> Iterator[list[str]]:
        form = self._form
        if not form.quote:
            return csv.reader(texts, delimiter=form.delimiter, quoting=csv.QUOTE_NONE, strict=True)
        return csv.reader(texts, delimiter=form.delimiter, quotechar=form.quote, strict=True)

    def _has_quotes(self, text: str) -> bool:
        return bool(self._form.quote) and self._form.quote in text

    def _without_stray_quotes(self, texts: list[str], parsed: list[list[str]]) -> list[Record]:
        return [
            cells if self._is_rightly_quoted(text, cells) else self._badly_quoted(text)
            for text, cells in zip(texts, parsed, strict=True)
        ]

    def _is_rightly_quoted(self, text: str, cells: list[str]) -> bool:
        """Return whether quotes keep RFC 4180; csv accepts a quote inside a cell that is not quoted."""
        return not self._has_quotes("".join(cells)) or self._pattern.fullmatch(text) is not None

    def _one(self, text: str) -> Record:
        if text == LINE_TOO_LONG:
            return BrokenRecord(
                Fault(
                    "line_too_long", t("the line is longer than {line_bytes} bytes", line_bytes=self._bounds.line_bytes)
                )
            )
        cells = self._cells(text)
        if UNDECODABLE in text:
            return _broken(
                "not_decodable", t("bytes that are not valid in the file's encoding"), cells or self._split(text)
            )
        if _NUL in text:
            return _broken("nul_character", t("a NUL character, which CSV can't hold"), cells or self._split(text))
        if cells is None:
            return self._badly_quoted(text)
        if any(len(cell) > self._bounds.cell_chars for cell in cells):
            return BrokenRecord(
                Fault(
                    "field_too_long",
                    t("a cell is longer than {cell_chars} characters", cell_chars=self._bounds.cell_chars),
                )
            )
        return cells

    def _is_crowded(self, text: str) -> bool:
        return text.count(self._form.delimiter) >= self._bounds.record_cells

    def _crowded(self, text: str) -> BrokenRecord | None:
        """Return a record with too many cells as broken, because cells need many times the memory; else None."""
        if not self._is_crowded(text):
            return None
        if self._pattern.fullmatch(text) is None:
            return self._badly_quoted(text)
        bare = self._quoted.sub("", text) if self._quoted else text
        if not self._is_crowded(bare):
            return None
        return BrokenRecord(
            Fault(
                "too_many_cells",
                t("there are more than {record_cells:,} cells", record_cells=self._bounds.record_cells),
            )
        )

    def _cells(self, text: str) -> list[str] | None:
        """Return the cells of one record; None if its quotes break the rules."""
        text = text.rstrip("\r")
        if not self._has_quotes(text):
            # csv would take more than twice the memory of a very long text.
            return text.split(self._form.delimiter) if text else []
        try:
            (cells,) = self._read([text.replace("\r", _CARRIAGE_RETURN)])
        except csv.Error:
            return None
        if not self._is_rightly_quoted(text, cells):
            return None
        return [cell.replace(_CARRIAGE_RETURN, "\r") for cell in cells]

    def _badly_quoted(self, text: str) -> BrokenRecord:
        quote = self._form.quote
        return _broken(
            "bad_quote",
            t(
                "a quote {quote} is inside a cell that is not quoted, or a closing quote is missing; put {quote} "
                "around the cell and double each {quote} inside it",
                quote=quote,
            ),
            self._split(text),
        )

    def _split(self, text: str) -> list[str]:
        return [] if self._is_crowded(text) else text.rstrip("\r").split(self._form.delimiter)


def _broken(code: str, message: str, cells: list[str]) -> BrokenRecord:
    return BrokenRecord(
        Fault(code, message), [cell.replace(UNDECODABLE, UNREAD).replace(_NUL, UNREAD) for cell in cells]
    )
