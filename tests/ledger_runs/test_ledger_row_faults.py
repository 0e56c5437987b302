"""The line and the fault of a row as the ledger keeps them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from pipeline.ledger.records import InputRecord, RunState
from pipeline.map import retarget
from pipeline.model import BadRow, Fault, Invalid, Status
from pipeline.tables.outcome_page import Outcome
from tests.ledger_runs.job_runs import LOST, JobRuns, NewJobRuns, Opens, conclude
from tests.ledger_runs.staged_rows import StagedRow, mapped_of, order

AMOUNT = Fault("field_invalid", "trade_amount (column paid) is odd", "trade_amount", "paid", "odd", "1.5")
TIME = Fault("field_invalid", "biz_time is odd", "biz_time", "biz_time", "odd time", "today")
RAGGED = Fault("ragged", "1 cell where the header has 2")
LINES = [2, 3, 7, 8]

Place = tuple[int, int | None, str | None, str | None, str | None, str | None]


def stage(orders: JobRuns, rows: Sequence[StagedRow], lines: Sequence[int] | None) -> None:
    """Stage rows. The third has 2 faults, and the fourth could not be read."""
    run = orders.begin()
    run.add_input(InputRecord(1, "orders.csv", "exports/orders.csv", ("key",), len(rows), "00"))
    mapped = mapped_of(rows, orders.api)
    others = {**mapped.others, 2: Invalid((AMOUNT, TIME), "C"), 3: BadRow(4, RAGGED, ("x",))}
    run.stage(1, 1, replace(mapped, others=others, file_lines=lines), retarget)
    run.start_delivering(orders.rekey)
    orders.deliver(run, {"B": LOST})


def places(outcomes: Sequence[Outcome]) -> list[Place]:
    return [(o.source_row, o.file_line, o.field, o.column, o.rule, o.value) for o in outcomes]


ROWS = [order("A"), order("B"), StagedRow(0, ("c",)), StagedRow(0, ("d",))]


@pytest.mark.parametrize("lines", [LINES, range(2, 6), None], ids=["odd lines", "a line a row", "no lines"])
def test_an_invalid_row_keeps_its_line_and_its_fault(
    new_job: NewJobRuns, opens: Opens, lines: Sequence[int] | None
) -> None:
    """A row has its line. An invalid one has field, column, rule and value of its first fault."""
    stage(new_job(), ROWS, lines)

    (run,) = opens().recent(1)
    outcomes = list(opens().outcomes(run))
    line: Sequence[int | None] = lines or [None] * 4
    assert places(outcomes) == [
        (1, line[0], None, None, None, None),
        (2, line[1], None, None, None, None),
        (3, line[2], "trade_amount", "paid", "odd", "1.5"),
        (4, line[3], None, None, RAGGED.message, None),
    ]
    assert outcomes[2].message == f"{AMOUNT.message}; {TIME.message}"


def test_a_rerun_keeps_the_lines_of_its_rows(new_job: NewJobRuns, opens: Opens) -> None:
    """A row that is copied into another run keeps its file line."""
    orders = new_job()
    stage(orders, ROWS, LINES)
    (run,) = opens().recent(1)

    again = orders.rerun(run)

    assert places(list(opens().outcomes(again))) == [(2, 3, None, None, None, None)]


@pytest.mark.parametrize("lines", [LINES, None], ids=["lines", "no lines"])
def test_rows_that_a_run_did_not_reach_keep_their_lines(
    new_job: NewJobRuns, opens: Opens, lines: Sequence[int] | None
) -> None:
    """A run that ends while it reads keeps the file lines of its rows."""
    orders = new_job()
    run = orders.begin()
    rows = [order("A"), order("A"), order("B"), order("C")]
    run.add_input(InputRecord(1, "orders.csv", "exports/orders.csv", ("key",), len(rows), "00"))
    run.stage(1, 1, replace(mapped_of(rows, orders.api), file_lines=lines), retarget)

    record = conclude(run, RunState.INTERRUPTED)

    found = [(o.status, o.source_row, o.file_line) for o in opens().outcomes(record)]
    assert found == [(Status.UNSENT, n, None if lines is None else lines[n - 1]) for n in (1, 2, 3, 4)]
