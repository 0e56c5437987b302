"""How much of the ledger one transaction writes, or one query reads."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchSizes:
    """
    Bounds of one transaction or query. The defaults are for users, smaller ones for tests.

    `range_rows`: rows of a range (a slow disk writes it within a second). `copied_rows`: rows that a rerun copies, with
    all their parts. `pruned_lines`: lines that a prune deletes (a fraction of a second). `page_dues`, `page_bytes`:
    dues of a page, and bytes of their bodies.
    """

    range_rows: int = 20_000
    copied_rows: int = 5_000
    pruned_lines: int = 5_000
    page_dues: int = 1_000
    page_bytes: int = 1 << 20


DEFAULT_SIZES = BatchSizes()
