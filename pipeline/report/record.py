"""One line of the outcome file, whatever its format."""

from collections.abc import Callable
from enum import StrEnum
from operator import attrgetter

from pipeline.model import Alike, Outcome


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

# One value for each of OUTCOME_COLUMNS.
Record = tuple[str | int | None, ...]
_values: Callable[[Outcome], Record] = attrgetter(*_OF_THE_ROW)


def record(run_id: str, job: str, outcome: Outcome) -> Record:
    """Return the outcome's line, in the order of `OUTCOME_COLUMNS`."""
    return (run_id, job, *_values(outcome))


def around(run_id: str, job: str, alike: Alike) -> tuple[Record, Record]:
    """Return what stands before and after number and key in the lines of rows that share their outcome."""
    first = next(alike.outcomes())
    line = record(run_id, job, first)
    at = OUTCOME_COLUMNS.index("source_row")
    return line[:at], line[at + 2 :]
