"""The columns of the outcome file, the same in all formats."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from operator import attrgetter

from pipeline.tables.outcome_page import OutcomePage


class OutcomeFormat(StrEnum):
    """Format of the outcome file, and the suffix of its name."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"


_RUN_COLUMNS = ("run_id", "job")
_ROW_COLUMNS = (
    "source_file",
    "source_row",
    "request_key",
    "status",
    "code",
    "message",
    "http_status",
    "attempts",
    "first_sent_at",
    "finished_at",
    "latency_ms",
    "trace_id",
)
OUTCOME_COLUMNS = (*_RUN_COLUMNS, *_ROW_COLUMNS)
WHOLE_NUMBERS = frozenset({"source_row", "http_status", "attempts", "latency_ms"})
MOMENTS = frozenset({"first_sent_at", "finished_at"})

# One sequence for each of OUTCOME_COLUMNS, all of one length.
Columns = tuple[Sequence[str | int | None], ...]
_row_columns: Callable[[OutcomePage], Columns] = attrgetter(*_ROW_COLUMNS)


def columns_of(run_id: str, job: str, outcomes: OutcomePage) -> Columns:
    """Return outcomes as columns of the outcome file."""
    rows = len(outcomes)
    return ([run_id] * rows, [job] * rows, *_row_columns(outcomes))
