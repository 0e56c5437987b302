"""How much of a file is held at once, whatever the file tries."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    The bounds of reading CSV.

    A file is read in blocks of `block_bytes`, and a chunk is given out when about `chunk_bytes` were read for it. A
    line longer than `line_bytes`, a record over more than `record_lines` lines or longer than `record_chars` or of
    more than `record_cells` cells, and a cell longer than `cell_chars` make an invalid row. `sample_bytes` are looked
    at to tell UTF-8 from GB18030.
    """

    # Small enough that a block and its rows stay in the processor's cache.
    block_bytes: int = 1 << 16
    # A cell of two letters takes twenty times the room that it has in the file.
    chunk_bytes: int = 1 << 21
    # Room for a field of 10 MB; with one letter of four bytes among them, text takes four times its bytes.
    line_bytes: int = 12 << 20
    record_lines: int = 10_000
    record_chars: int = 12 << 20
    record_cells: int = 1 << 16
    cell_chars: int = 11 << 20
    sample_bytes: int = 1 << 18
