"""Parts of a report: each has the outcomes of a range of rows, and any process of this machine may write it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipeline.report.files.outcome_file import outcome_part
from pipeline.report.files.record import OutcomeFormat, columns_of
from pipeline.report.files.rows_to_fix import RowNote, RowsToFix
from pipeline.report.tally import Tally
from pipeline.tables.outcome_page import OutcomePage


@dataclass(frozen=True, slots=True)
class ReportPart:
    """A part of a report, as three files whose paths begin with `place`."""

    place: Path

    @property
    def outcome(self) -> Path:
        """Its lines of the outcome file."""
        return self.place.with_suffix(".outcome")

    @property
    def rows_to_fix(self) -> Path:
        """The cells of each row to fix, as a JSON array a line."""
        return self.place.with_suffix(".rows_to_fix")

    @property
    def tally(self) -> Path:
        """Its counts, as JSON."""
        return self.place.with_suffix(".tally")

    def remove(self) -> None:
        """Delete its files."""
        for file in (self.outcome, self.rows_to_fix, self.tally):
            file.unlink()


def write_part(
    part: ReportPart,
    *,
    outcome_format: OutcomeFormat | None,
    run_id: str,
    job: str,
    outcomes: Iterable[OutcomePage],
    columns: Mapping[int, tuple[str, ...]],
    mark: RowNote,
    rows_before: int,
) -> None:
    """
    Write the part of a report that has these outcomes.

    `rows_before` is the number of rows of the run before them; for the others see `write_report`. Raises OSError.
    """
    # Kinds beyond a limit would be counted as others here, but in their groups by one pass.
    tally, rows_to_fix = Tally(most_kinds=math.inf), RowsToFix(columns, mark, rows_before)
    with (
        part.outcome.open("xb") as file,
        part.rows_to_fix.open("xb") as cells,
        outcome_part(file, outcome_format) as to,
    ):
        for page in outcomes:
            to.add(columns_of(run_id, job, page))
            cells.writelines(orjson.dumps(each, option=orjson.OPT_APPEND_NEWLINE) for each in rows_to_fix.among(page))
            tally.add(page)
    part.tally.write_bytes(tally.as_json())
