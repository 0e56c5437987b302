"""A wrong batch: more rows are invalid than single mistakes explain, so no row is sent."""

from pipeline.language import counted, t
from pipeline.ledger.records import StagedCounts
from pipeline.model import RowLimit

# With few rows a share proves little: 2 invalid rows of 5 may be 2 mistakes.
_FEWEST_INVALID = 20


def is_wrong(decided: StagedCounts, allowed: RowLimit) -> bool:
    """Return whether too many rows are invalid. A percentage needs at least 20 invalid rows; a number does not."""
    fewest = _FEWEST_INVALID if allowed.in_percent else 0
    return decided.invalid > allowed.of(decided.rows) and decided.invalid >= fewest


def too_many_invalid(decided: StagedCounts, allowed: RowLimit) -> str:
    """Return the reason: the number of invalid rows, their most frequent fault, and what to do."""
    commonest = decided.faults.listed(1).groups[0]
    example = commonest.example
    return t(
        "{invalid:,} of {rows} are invalid; max_invalid allows {allowed}. Nothing is sent. Most frequent, in {times}: "
        "{message} ({code}), first in {place}. Fix the config or the export, or send the valid rows with --max-invalid",
        invalid=decided.invalid, rows=counted(decided.rows, "1 row", "{count:,} rows"), allowed=allowed,
        times=counted(commonest.rows, "1 row", "{count:,} rows"), message=example.message, code=commonest.kind.code,
        place=example.place,
    )  # fmt: skip
