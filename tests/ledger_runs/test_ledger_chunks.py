"""Runs of many chunks: rows wait until all inputs are read, and are then decided together."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.records import InputRecord, RunState
from pipeline.ledger.rules.cards import sure_balances
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.staging import decide
from pipeline.ledger.staging.staged_chunk import RowDecision
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.ledger.store.spill_file import SharedFile, SpillFile
from pipeline.map import retarget
from pipeline.model import Export, Status, digest
from tests.ledger_runs.job_runs import (
    ALIVE,
    CONFLICT,
    DEAD,
    DELIVERED,
    DONE,
    DUPLICATE,
    LOST,
    ME,
    SENT,
    SUPERSEDED,
    UNCHANGED,
    JobRuns,
    NewJobRuns,
    Opens,
    ReportedRow,
    conclude,
)
from tests.ledger_runs.staged_rows import StagedRow, balance, invalid, mapped_of, order, state, task


def stage_chunks(job: JobRuns, run: RunLedger, chunks: Sequence[Sequence[StagedRow]]) -> None:
    """Stage rows in several chunks, without deciding on them."""
    run.add_input(
        InputRecord(
            file_no=1,
            name="orders.csv",
            location="exports/orders.csv",
            columns=("key",),
            rows=sum(map(len, chunks)),
            sha256="00",
        )
    )
    first = 1
    for rows in chunks:
        run.stage(1, first, mapped_of(rows, job.api), retarget)
        first += len(rows)


def run_of_chunks(job: JobRuns, *chunks: Sequence[StagedRow]) -> list[ReportedRow]:
    run = job.begin()
    stage_chunks(job, run, chunks)
    run.start_delivering(job.rekey)
    return [(key, status, code) for key, status, code in job.reported_rows(job.deliver(run, {}))]


@pytest.mark.parametrize(
    ("export", "chunks", "expected"),
    [
        pytest.param(
            Export.ORDERS, [[order("A"), order("B")], [order("A"), order("B", "2")], [order("C")]],
            [("A", *SENT), ("B", *SENT), ("A", *DUPLICATE), ("B", *CONFLICT), ("C", *SENT)], id="orders",
        ),
        pytest.param(
            Export.TASKS, [[task("A", 2)], [task("A", 1), task("A", 3)]],
            [("A", *SENT), ("A", *CONFLICT), ("A", *SENT)], id="tasks",
        ),
        pytest.param(
            Export.TASKS, [[task("A-1"), task("A", 2, "2")], [task("A-2", 1, "2")]],
            [("A-1", *SENT), ("A", *CONFLICT), ("A-2", *SENT)], id="a-row-left-out-is-nobodys-first",
        ),
        pytest.param(
            Export.POINTS, [[balance("X", 5), balance("Y", 1)], [balance("X", 7)], [balance("X", 5, key="K")]],
            [("X=5@", *SUPERSEDED), ("Y=1@", *SENT), ("X=7@", *SUPERSEDED), ("K", *SENT)], id="points",
        ),
        pytest.param(
            Export.STATES, [[state("A", "NEW")], [state("A", "PAID"), state("A", "NEW")]],
            [("A", *SENT), ("A", *SENT), ("A", *SENT)], id="states",
        ),
    ],
)  # fmt: skip
def test_rows_of_several_chunks_are_decided_together(
    new_job: NewJobRuns, export: Export, chunks: Sequence[Sequence[StagedRow]], expected: Sequence[ReportedRow]
) -> None:
    """Duplicates and older balances are found over all chunks of a run."""
    assert run_of_chunks(new_job(export), *chunks) == expected


def test_a_repeated_file_reports_its_rows_in_source_order(new_job: NewJobRuns, opens: Opens) -> None:
    """Skipped rows and other rows are reported in source order. Skipped neighbours are read as one page."""
    orders = new_job()
    orders.run(*(order(f"{n}") for n in range(5)))
    run = orders.begin()
    chunks = [[order("0"), order("1")], [order("2"), order("X"), order("3", "2"), order("4")], [order("Y")]]
    stage_chunks(orders, run, chunks)
    run.start_delivering(orders.rekey)
    record = orders.deliver(run, {})

    assert orders.reported_rows(record) == [
        ("0", *DELIVERED), ("1", *DELIVERED), ("2", *DELIVERED), ("X", *SENT), ("3", *CONFLICT), ("4", *DELIVERED),
        ("Y", *SENT),
    ]  # fmt: skip
    assert [len(page) for page in opens().outcome_pages(record)] == [2, 3, 1, 1]


def test_rows_among_skipped_ones_keep_their_order_over_many_pages(new_job: NewJobRuns, opens: Opens) -> None:
    """Each row is reported once and in its place, also if a chunk is read in several pages."""
    orders = new_job()
    run = orders.begin()
    staged = [order(f"{n - n % 3 % 2}") for n in range(7000)]
    stage_chunks(orders, run, [staged[:6000], staged[6000:]])
    run.start_delivering(orders.rekey)
    record = conclude(run, RunState.INTERRUPTED)

    unsent = (Status.UNSENT, "interrupted")
    assert orders.reported_rows(record) == [
        (row.request_key, *(DUPLICATE if n % 3 == 1 else unsent)) for n, row in enumerate(staged)
    ]


def test_large_rows_are_read_few_at_a_time(new_job: NewJobRuns, opens: Opens) -> None:
    """The size of a page is bounded by bytes as well as by rows."""
    orders = new_job()
    large = replace(invalid(), cells=("x" * 600_000,))
    record = orders.run(large, large, large, order("A"))

    assert [len(page) for page in opens().outcome_pages(record)] == [2, 2]


def test_the_parts_of_a_lane_go_in_source_order(new_job: NewJobRuns) -> None:
    """A task done twice goes before a later one done once."""
    tasks = new_job(Export.TASKS)
    tasks.run(task("B", 2), task("A", 1))

    assert tasks.keys_sent() == ["B-1", "B-2", "A"]


@pytest.mark.parametrize("answer", [pytest.param(DONE, id="delivered"), pytest.param(LOST, id="in-doubt")])
def test_a_task_in_its_own_form_is_not_refused_for_another_row(new_job: NewJobRuns, answer: object) -> None:
    """A row that counts a task in its known form stays valid beside a row that counts it in another form."""
    tasks = new_job(Export.TASKS)
    tasks.run(task("A", 1), answers={"A": answer})  # type: ignore[dict-item] # both are verdicts

    assert run_of_chunks(tasks, [task("A", 1), task("A", 2)]) == [
        ("A", *(DELIVERED if answer is DONE else SENT)), ("A", *CONFLICT),
    ]  # fmt: skip


def test_an_older_balance_is_superseded_while_a_later_run_is_being_written(new_job: NewJobRuns) -> None:
    """A later run of another job owes a balance as soon as its chunk is written, before the last chunk is."""
    earlier, later = new_job(Export.POINTS, job="a"), new_job(Export.POINTS, job="b")
    earlier.run(balance("X", 7), answers={"X=7@": LOST})
    first, second = earlier.begin(), later.begin()
    stage_chunks(earlier, first, [[balance("X", 5)]])
    stage_chunks(later, second, [[balance("X", 7)], [balance("Y", 1)]])
    waiting = second._staging
    assert waiting is not None
    chunk = next(iter(waiting))
    findings = second._file.read(lambda c: waiting.findings(c, second.heartbeat, is_gone=lambda _: False))
    second._commit(lambda c: decide.decide_and_write(c, second.run, chunk, findings, later.rekey))

    first.start_delivering(earlier.rekey)

    assert earlier.reported_rows(earlier.deliver(first, {})) == [("X=5@", *SUPERSEDED)]


def test_unchanged_balances_are_checked_again_after_another_job_began(new_job: NewJobRuns) -> None:
    """A balance is not unchanged any more if another job sends one between the lookup and the writing."""
    job, other = new_job(Export.POINTS, job="a"), new_job(Export.POINTS, job="b")
    job.run(balance("X", 5), balance("Y", 1))
    run = job.begin()
    stage_chunks(job, run, [[balance("X", 5), balance("Y", 1)]])
    waiting = run._staging
    assert waiting is not None
    chunk = next(iter(waiting))
    findings = run._file.read(lambda c: waiting.findings(c, run.heartbeat, is_gone=lambda _: False))
    other.run(balance("X", 7))

    run._commit(lambda c: decide.decide_and_write(c, run.run, chunk, findings, job.rekey))

    assert findings.unchanged is not None
    assert findings.unchanged.sure.all()
    assert [RowDecision(decision) for decision in chunk.decisions] == [RowDecision.SUPERSEDED, RowDecision.UNCHANGED]


def test_an_older_balance_is_superseded_if_two_jobs_write_in_turn(new_job: NewJobRuns, opens: Opens) -> None:
    """A balance that is unchanged for a later run is newer than one that another job writes afterwards."""
    earlier, later = new_job(Export.POINTS, job="a"), new_job(Export.POINTS, job="b")
    earlier.run(balance("X", 7))
    first, second = earlier.begin(opens(ALIVE)), later.begin()
    stage_chunks(earlier, first, [[balance("X", 5)]])
    stage_chunks(later, second, [[balance("X", 7)]])
    waiting = second._staging
    assert waiting is not None
    findings = second._file.read(lambda c: waiting.findings(c, second.heartbeat, is_gone=second._is_gone))

    first.start_delivering(earlier.rekey)
    for chunk in waiting:
        second._commit(
            partial(decide.decide_and_write, run=second.run, chunk=chunk, findings=findings, rekey=later.rekey)
        )

    assert earlier.reported_rows(earlier.deliver(first, {})) == [("X=5@", *SUPERSEDED)]


@pytest.mark.parametrize("is_written", [True, False])
def test_an_unchanged_balance_counts_as_newer_than_unsent_ones(new_job: NewJobRuns, is_written: bool) -> None:
    """An earlier run sends no older balance, whether it has written its dues or still reads."""
    earlier, later = new_job(Export.POINTS, job="a"), new_job(Export.POINTS, job="b")
    earlier.run(balance("X", 7))
    first = earlier.begin()
    stage_chunks(earlier, first, [[balance("X", 5)]])
    if is_written:
        first.start_delivering(earlier.rekey)
    reported = later.reported_rows(later.run(balance("X", 7)))
    if not is_written:
        first.start_delivering(earlier.rekey)

    assert reported == [("X=7@", *UNCHANGED)]
    assert earlier.reported_rows(earlier.deliver(first, {})) == [("X=5@", *SUPERSEDED)]


@pytest.mark.parametrize(
    ("process", "export", "owner", "is_sure"),
    [
        pytest.param(ALIVE, Export.POINTS, ME, False, id="at-work"),
        pytest.param(DEAD, Export.POINTS, ME, True, id="dead"),
        pytest.param(ALIVE, Export.POINTS, "another merchant", True, id="another-account"),
        pytest.param(ALIVE, Export.ORDERS, ME, True, id="another-api"),
    ],
)
def test_a_balance_is_surely_unchanged_if_no_other_job_may_send_one(
    new_job: NewJobRuns, opens: Opens, process: LeaseOwner, export: Export, owner: str, is_sure: bool
) -> None:
    """A live job of the same account and API makes the quick lookup unsafe."""
    points, other = new_job(Export.POINTS, job="a"), new_job(export, job="b", account=owner, owner=owner)
    points.run(balance("X", 7))
    other.begin(opens(process))
    run = points.begin()
    stage_chunks(points, run, [[balance("X", 7)]])
    waiting = run._staging
    assert waiting is not None

    findings = run._file.read(lambda c: waiting.findings(c, run.heartbeat, is_gone=run._is_gone))

    assert findings.unchanged is not None
    assert findings.unchanged.sure.all() == is_sure


def test_a_few_cards_among_many_are_looked_up_one_by_one(new_job: NewJobRuns, opens: Opens) -> None:
    """The lookup returns the given cards, for few or for many of them."""
    points = new_job(Export.POINTS)
    record = points.run(*(balance(f"{n}", n) for n in range(20)))
    cards = sorted((digest(f"{n}"), n) for n in range(20))

    for wanted in ([cards[0], cards[-1]], cards[3:9]):
        found = sure_balances(opens()._file.reader, record, [card for card, _ in wanted])
        assert [(card, held) for card, held, *_ in found] == wanted


@pytest.mark.parametrize(
    ("export", "before", "rows", "expected"),
    [
        pytest.param(
            Export.ORDERS, order("A"), [order("A"), order("B")],
            [("A", Status.UNKNOWN, "deadline"), ("B", Status.UNSENT, "deadline")], id="orders",
        ),
        pytest.param(
            Export.POINTS, balance("X", 5, key="A"), [balance("X", 5, key="A"), balance("Y", 5, key="B")],
            [("A", Status.UNKNOWN, "deadline"), ("B", Status.UNSENT, "deadline")], id="points",
        ),
    ],
)  # fmt: skip
def test_a_run_that_ends_while_it_reads_keeps_doubt(
    new_job: NewJobRuns,
    export: Export,
    before: StagedRow,
    rows: Sequence[StagedRow],
    expected: Sequence[ReportedRow],
) -> None:
    """A row in doubt stays unknown, never unsent, also if the run ends before its first request."""
    job = new_job(export)
    job.run(before, answers={"A": LOST})
    run = job.begin()
    job.stage(run, rows, decide=False)

    assert job.reported_rows(conclude(run, RunState.INTERRUPTED, "deadline")) == expected


def test_damaged_skipped_rows_are_reported(new_job: NewJobRuns, opens: Opens) -> None:
    """Skipped rows that cannot be read are reported as damage of the ledger."""
    orders = new_job()
    orders.run(order("A"))
    record = orders.run(order("A"))
    ledger = opens()
    ledger._file.writer.execute("UPDATE packs SET rows = ?", (b"\x00\x11",))

    with pytest.raises(LedgerError, match="is damaged; restore"):
        list(ledger.outcomes(record))


class Full:
    """A disk without free space."""

    def seek(self, *_: int) -> None:
        return

    def write(self, _: bytes) -> NoReturn:
        raise OSError(28, "No space left on device")


def test_a_full_disk_for_waiting_rows_is_reported(tmp_path: Path) -> None:
    """The error names the folder and says to free space."""
    spill_file = SpillFile(tmp_path, 1)
    spill_file.close()
    spill_file._file = Full()  # type: ignore[assignment] # the only methods in use

    with pytest.raises(LedgerError, match=r"can't be kept in .*No space left on device.*free space"):
        spill_file.add(b"rows")


def test_a_shared_file_is_read_while_it_is_filled(tmp_path: Path) -> None:
    """Any bytes can be viewed, and the writer goes on where it was. A view outlives the file."""
    file = SharedFile(tmp_path)
    file.add(b"a" * 5000)
    first = file.view(4998, 2)
    with os.fdopen(os.dup(file.descriptor), "wb") as other:
        other.write(b"bcd")
    found = bytes(file.view(4999, 4)), bytes(first)
    file.close()

    assert found == (b"abcd", b"aa")
    assert bytes(first) == b"aa"
    assert list(tmp_path.iterdir()) == []
