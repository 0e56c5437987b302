"""Parts of a CSV file: where they can begin without cutting a record, and the text of one."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.model import CsvFormat
from pipeline.read.csv.record_lines import RecordLines
from pipeline.read.csv.simple_blocks import is_well_quoted, line_feeds
from pipeline.read.files.bounds import Bounds
from pipeline.read.files.source_file import SourceFile, as_source_errors, open_bytes
from pipeline.read.text.decoder import LINEWISE, decoded_blocks
from pipeline.read.text.lines import whole_lines


@dataclass(frozen=True, slots=True)
class CsvPart:
    """
    Records of a CSV file, from byte `start` to before byte `end`.

    `line` is the number of the first line. `encoding` and `delimiter` are those of the whole file.
    """

    start: int
    end: int
    line: int
    encoding: str
    delimiter: str


def parts_of(
    file: SourceFile, form: CsvFormat, encoding: str, first_line: int, *, part_bytes: int, bounds: Bounds
) -> Iterator[CsvPart]:
    """
    Yield the parts of a plain file from a line on, each of `part_bytes` or a little more; none if it can't be cut.

    A part is yielded once it is read: a quote may span any line end. `form` has the delimiter of the file. It can't be
    cut in an encoding where a quote may be half of a character, with escapes, or behind a line that is too long.
    """
    if encoding not in LINEWISE or form.escape or len(form.delimiter) > 1:
        return
    begun: tuple[int, int] | None = None
    with closing(open_bytes(file)) as stored, as_source_errors(file.name):
        for start, line in _record_starts(whole_lines(stored.read, bounds), form, encoding, first_line, bounds):
            if begun is not None and start - begun[0] >= part_bytes:
                yield CsvPart(begun[0], start, begun[1], encoding, form.delimiter)
                begun = None
            begun = begun or (start, line)
    if begun is not None:
        yield CsvPart(begun[0], file.fingerprint.size, begun[1], encoding, form.delimiter)


def _record_starts(
    blocks: Iterator[bytes | None], form: CsvFormat, encoding: str, first_line: int, bounds: Bounds
) -> Iterator[tuple[int, int]]:
    """
    Yield offset and line of records that begin a block of lines, from a line on, up to a line that is too long.

    The lines of records are found as `RecordReader` finds them.
    """
    lines, place, line = RecordLines(form, bounds), 0, 1
    for block in blocks:
        if block is None:
            return
        data, line_ends = block, line_feeds(block)
        if line < first_line:
            skipped = min(first_line - line, len(line_ends))
            begin = int(line_ends[skipped - 1]) + 1 if skipped else 0
            place, line, data, line_ends = place + begin, line + skipped, block[begin:], line_ends[skipped:] - begin
            if line < first_line:
                continue
        if not lines.is_open:
            yield place, line
        if lines.is_open or not _is_closed(data, form, line_ends):
            lines.join(next(decoded_blocks([data], encoding)))
        place, line = place + len(data), line + len(line_ends)


def _is_closed(data: bytes, form: CsvFormat, line_ends: npt.NDArray[np.intp]) -> bool:
    """Return whether surely no record is open behind a text that begins a record."""
    return not form.quote or form.quote.encode() not in data or is_well_quoted(data, form, line_ends)


def texts_of_part(file: SourceFile, part: CsvPart, bounds: Bounds) -> Iterator[str]:
    """Yield the text of a part in blocks of whole lines."""
    with closing(open_bytes(file)) as stored, as_source_errors(file.name):
        left = part.end - stored.seek(part.start)

        def read(size: int) -> bytes:
            nonlocal left
            data = stored.read(min(size, left))
            left -= len(data)
            return data

        yield from decoded_blocks(whole_lines(read, bounds), part.encoding)
