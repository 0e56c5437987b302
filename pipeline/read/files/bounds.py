"""How much of a file is held at once, whatever the file tries."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    The bounds of reading CSV.

    A file is read in blocks of `block_bytes`, and no chunk is made of more than one. A line longer than `line_bytes`,
    a record over more than `record_lines` lines or longer than `record_chars` or of more than `record_cells` cells,
    and a cell longer than `cell_chars` make an invalid row. `sample_bytes` are looked at to tell UTF-8 from GB18030.
    """

    # Enough rows for work by columns to pay; where it has to go cell by cell, a cell of two letters takes twenty times
    # the room that it has in the file.
    block_bytes: int = 1 << 20
    # Room for a field of 10 MB; with one letter of four bytes among them, text takes four times its bytes.
    line_bytes: int = 12 << 20
    record_lines: int = 10_000
    record_chars: int = 12 << 20
    record_cells: int = 1 << 16
    cell_chars: int = 11 << 20
    sample_bytes: int = 1 << 18
