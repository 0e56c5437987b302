"""Limits of memory for reading CSV and JSON lines."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    The limits of reading text.

    A file is read in blocks of `block_bytes`; a chunk comes from one block at most. A line, record or cell beyond its
    limit makes an invalid row. `sample_bytes` is how much is read to choose between UTF-8 and GB18030.
    """

    # Enough rows to make reading by columns worthwhile. Read cell by cell, short cells take 20 times their bytes.
    block_bytes: int = 1 << 20
    # Room for a field of 10 MB. Python text takes 4 bytes per character as soon as one character needs them.
    line_bytes: int = 12 << 20
    record_lines: int = 10_000
    record_chars: int = 12 << 20
    record_cells: int = 1 << 16
    cell_chars: int = 11 << 20
    sample_bytes: int = 1 << 18
