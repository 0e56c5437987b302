"""The lines of the outcome file, whatever its format."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from operator import attrgetter

from pipeline.tables.outcome_page import OutcomePage


class OutcomeFormat(StrEnum):
    """How the outcome file is written; also the ending of its name."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"


_OF_THE_RUN = ("run_id", "job")
_OF_THE_ROW = (
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
OUTCOME_COLUMNS = (*_OF_THE_RUN, *_OF_THE_ROW)
WHOLE_NUMBERS = frozenset({"source_row", "http_status", "attempts", "latency_ms"})
MOMENTS = frozenset({"first_sent_at", "finished_at"})

# A column for each of OUTCOME_COLUMNS.
Columns = tuple[Sequence[str | int | None], ...]
_of_the_rows: Callable[[OutcomePage], Columns] = attrgetter(*_OF_THE_ROW)


def columns_of(run_id: str, job: str, outcomes: OutcomePage) -> Columns:
    """Return the lines of outcomes, as columns."""
    rows = len(outcomes)
    return ([run_id] * rows, [job] * rows, *_of_the_rows(outcomes))
