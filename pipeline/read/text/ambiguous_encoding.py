"""The encoding of a file whose first lines are good UTF-8 and good GB18030 alike."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.errors import SourceError
from pipeline.read.ports import ColumnUse
from pipeline.read.text.likely_encoding import GB18030, UTF_8, clear_encoding, is_doubtful

# Hanzi in GB18030 that are letters of two bytes in UTF-8, as far as bytes tell.
_MAYBE_DOUBTFUL = re.compile(rb"(?<![\x80-\xff])(?:[\xc2-\xdf][\xa1-\xbf])+(?![\x80-\xff])")


def settled_encoding(name: str, blocks: Iterable[bytes | None], first_doubtful_line: Callable[[], int | None]) -> str:
    """
    Return the encoding of a file whose first lines are good UTF-8 and good GB18030 alike.

    The first line that is good in one of them alone decides. Without one, the file is UTF-8 unless a line that matters
    is more likely GB18030: then nobody can tell, and `SourceError` says so.
    """
    maybe_doubtful = False
    for block in blocks:
        if block is None or block.isascii():
            continue
        told = next(filter(None, map(clear_encoding, _not_ascii(block))), None)
        if told:
            return told
        maybe_doubtful = maybe_doubtful or _MAYBE_DOUBTFUL.search(block) is not None
    line = first_doubtful_line() if maybe_doubtful else None
    if line is None:
        return UTF_8
    raise SourceError(
        f"{name}: the encoding can't be told. Line {line} is more likely {GB18030} than {UTF_8}, and no line is good "
        f'in one of them alone; write csv.encoding = "{GB18030}" (or "{UTF_8}") for the job'
    )


def _not_ascii(block: bytes) -> Iterator[bytes]:
    return (line for line in block.splitlines(keepends=True) if not line.isascii())


def first_doubtful(records: Iterable[Sequence[str]], uses: ColumnUse, first_line: int) -> int | None:
    """Return the line of the first record whose text in a column of the job is more likely GB18030, header included."""
    used: list[int] | None = None
    line = first_line
    for cells in records:
        if used is None and cells:
            used = sorted(uses.used(cells))
            if not uses.are_complete(cells) and any(map(is_doubtful, cells)):
                return line
        elif used is not None and any(is_doubtful(cells[at]) for at in used if at < len(cells)):
            return line
        line += 1 + sum(cell.count("\n") for cell in cells)
    return None
