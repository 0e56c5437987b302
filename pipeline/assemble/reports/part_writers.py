"""
Processes of this machine that write parts of a report.

One runs `python -m pipeline.assemble.reports.part_writers LEDGER FOLDER RUN FORMAT`. Its standard input has the first
and the last row of each part, as a JSON array a line; it answers each with an empty line. If a part fails, it ends
itself: the driver then writes these rows, and shows the error.

It imports of the ledger what reads outcomes, and no more: so it starts in a third of the time.
"""

import sys
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import orjson

from pipeline.clock import SystemClock
from pipeline.engines.garbage import collect_rarely
from pipeline.engines.processes import ProcessGroup
from pipeline.errors import LedgerError, SettingsError
from pipeline.ledger.database import clear_errors_of, open_to_read
from pipeline.ledger.history import runs
from pipeline.ledger.history.inputs import inputs_of
from pipeline.ledger.history.origins import mark_of
from pipeline.ledger.history.outcomes import outcome_pages
from pipeline.ledger.store.port import Server
from pipeline.report import OutcomeFormat, ReportPart, write_part

DONE = b"\n"
"""The answer of a process that has written a part."""


class RowRange(NamedTuple):
    """The rows of a part, from the first to the last."""

    first: int
    last: int


class StartWriters(Protocol):
    """Returns processes that write parts of a run's report into a folder."""

    def __call__(
        self, place: Path | Server, folder: Path, run_id: str, outcome_format: OutcomeFormat | None, count: int, /
    ) -> ProcessGroup:
        """Return `count` processes."""
        ...


def local_writers(
    place: Path | Server, folder: Path, run_id: str, outcome_format: OutcomeFormat | None, count: int
) -> ProcessGroup:
    """Return processes that do what `main` does."""
    ledger = place.url if isinstance(place, Server) else str(place.absolute())
    words = (ledger, str(folder.absolute()), run_id, outcome_format or "")
    command = [sys.executable, "-P", "-m", "pipeline.assemble.reports.part_writers", *words]
    return ProcessGroup(command, count, patience=0, is_read=True)


def part_at(folder: Path, each: RowRange) -> ReportPart:
    """Return the part that a process writes for a range of rows."""
    return ReportPart(folder / str(each.first))


def write_parts(
    place: Path | Server,
    folder: Path,
    run_id: str,
    outcome_format: OutcomeFormat | None,
    *,
    tasks: IO[bytes],
    answers: IO[bytes],
) -> None:
    """
    Write parts of a run's report into a folder, until there are no more tasks.

    Raises OSError, and as `open_to_read`.
    """
    with closing(open_to_read(place, SystemClock())) as connection, clear_errors_of(place):
        run = runs.find(connection, run_id)
        columns = {source.file_no: source.columns for source in inputs_of(connection, run)}
        for line in tasks:
            each = RowRange(*orjson.loads(line))
            write_part(
                part_at(folder, each),
                outcome_format=outcome_format,
                run_id=run.run_id,
                job=run.job,
                outcomes=outcome_pages(connection, run, *each),
                columns=columns,
                mark=partial(mark_of, connection, run),
                rows_before=each.first - 1,
            )
            answers.write(DONE)
            answers.flush()


def main(ledger: str, folder: str, run_id: str, outcome_format: str) -> None:
    """Write parts of a report, until the standard input ends or a part fails."""
    # A path has no two slashes in a row.
    place = Server(ledger, Path(folder)) if "://" in ledger else Path(ledger)
    wanted = OutcomeFormat(outcome_format) if outcome_format else None
    collect_rarely()
    write_parts(place, Path(folder), run_id, wanted, tasks=sys.stdin.buffer, answers=sys.stdout.buffer)


if __name__ == "__main__":
    # The driver writes what is left, and shows its errors.
    with suppress(OSError, SettingsError, LedgerError):
        main(*sys.argv[1:])
