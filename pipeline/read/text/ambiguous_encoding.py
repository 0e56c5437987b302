"""The encoding of a file whose first lines are valid in UTF-8 and in GB18030."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.errors import SourceError
from pipeline.language import t
from pipeline.read.ports import ColumnUse
from pipeline.read.text.likely_encoding import GB18030, UTF_8, clear_encoding, is_likely_gb18030

# Byte pairs that may be hanzi in GB18030 or letters of 2 bytes in UTF-8.
_MAYBE_GB18030 = re.compile(rb"(?<![\x80-\xff])(?:[\xc2-\xdf][\xa1-\xbf])+(?![\x80-\xff])")


def resolved_encoding(name: str, blocks: Iterable[bytes | None], first_gb18030_line: Callable[[], int | None]) -> str:
    """
    Return the encoding of a file whose first lines are valid in UTF-8 and in GB18030.

    The first line that is valid in only one of them decides. Without such a line the file is UTF-8. Raises
    `SourceError` if a line is then more likely GB18030 in a column that the job uses.
    """
    maybe_gb18030 = False
    for block in blocks:
        if block is None or block.isascii():
            continue
        decided = next(filter(None, map(clear_encoding, _not_ascii(block))), None)
        if decided:
            return decided
        maybe_gb18030 = maybe_gb18030 or _MAYBE_GB18030.search(block) is not None
    line = first_gb18030_line() if maybe_gb18030 else None
    if line is None:
        return UTF_8
    raise SourceError(
        t(
            "{name}: the encoding is ambiguous. Line {line} is more likely {gb18030} than {utf_8}, and no "
            'line is valid in only one of them; write csv.encoding = "{gb18030}" (or "{utf_8}") for the job',
            name=name,
            line=line,
            gb18030=GB18030,
            utf_8=UTF_8,
        )
    )


def _not_ascii(block: bytes) -> Iterator[bytes]:
    return (line for line in block.splitlines(keepends=True) if not line.isascii())


def first_gb18030_line(records: Iterable[Sequence[str]], uses: ColumnUse, first_line: int) -> int | None:
    """Return the first line, header included, with text in a used column that is more likely GB18030."""
    used: list[int] | None = None
    line = first_line
    for cells in records:
        if used is None and cells:
            used = sorted(uses.used(cells))
            if not uses.are_complete(cells) and any(map(is_likely_gb18030, cells)):
                return line
        elif used is not None and any(is_likely_gb18030(cells[at]) for at in used if at < len(cells)):
            return line
        line += 1 + sum(cell.count("\n") for cell in cells)
    return None
