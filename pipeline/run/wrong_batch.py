"""Rows that are wrong as a whole: more of them are invalid than single mistakes explain, so none is sent."""

from pipeline.ledger.records import StagedCounts
from pipeline.model import RowLimit

# A share of few rows says little: 2 invalid rows of 5 may be 2 mistakes.
_FEWEST_INVALID = 20


def is_wrong(decided: StagedCounts, allowed: RowLimit) -> bool:
    """Tell whether more rows are invalid than are allowed. A limit that is a number has no lower bound."""
    fewest = _FEWEST_INVALID if allowed.in_percent else 0
    return decided.invalid > allowed.of(decided.rows) and decided.invalid >= fewest


def too_many_invalid(decided: StagedCounts, allowed: RowLimit) -> str:
    """Say how many rows are invalid, what most of them have in common, and what to do."""
    commonest = decided.faults.listed(1).groups[0]
    example = commonest.example
    return (
        f"{decided.invalid:,} of {_rows(decided.rows)} are invalid, and max_invalid allows {allowed}: nothing is sent. "
        f"Most frequent, in {_rows(commonest.rows)}: {example.message} ({commonest.kind.code}), first in "
        f"{example.place}. Correct the config or the export; with --max-invalid the other rows are sent"
    )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
