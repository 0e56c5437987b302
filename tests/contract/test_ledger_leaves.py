"""Runs of many chunks: rows wait until all are read, whatever happens meanwhile."""

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
from pipeline.ledger.staging import decide as sifting
from pipeline.ledger.staging.staged_chunk import RowDecision
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.ledger.store.spill_file import SpillFile
from pipeline.map import retarget
from pipeline.model import Export, Status, digest
from tests.contract.nights import (
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
    AnswerContent,
    MakeNights,
    Nights,
    Opens,
    conclude,
)
from tests.contract.staged_rows import StagedRow, balance, invalid, mapped_of, order, state, task


def stage_chunks(job: Nights, run: RunLedger, chunks: Sequence[Sequence[StagedRow]]) -> None:
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


def night_of_chunks(job: Nights, *chunks: Sequence[StagedRow]) -> list[AnswerContent]:
    run = job.begin()
    stage_chunks(job, run, chunks)
    run.start_delivering(job._rekey)
    return [(key, status, code) for key, status, code in job.reported_rows(job.deliver(run, {}))]


@pytest.mark.parametrize(
    ("export", "chunks", "reported_rows"),
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
def test_rows_of_several_chunks_are_decided_on_together(
    nights: MakeNights, export: Export, chunks: Sequence[Sequence[StagedRow]], reported_rows: Sequence[AnswerContent]
) -> None:
    """What comes twice, or is older, is found over all chunks of a run."""
    assert night_of_chunks(nights(export), *chunks) == reported_rows


def test_a_night_again_tells_its_rows_in_source_order(nights: MakeNights, opens: Opens) -> None:
    """Rows that are packed and rows that are not come in the order of the source; a pack by itself is read as one."""
    orders = nights()
    orders.night(*(order(f"{n}") for n in range(5)))
    run = orders.begin()
    chunks = [[order("0"), order("1")], [order("2"), order("X"), order("3", "2"), order("4")], [order("Y")]]
    stage_chunks(orders, run, chunks)
    run.start_delivering(orders._rekey)
    record = orders.deliver(run, {})

    assert orders.reported_rows(record) == [
        ("0", *DELIVERED), ("1", *DELIVERED), ("2", *DELIVERED), ("X", *SENT), ("3", *CONFLICT), ("4", *DELIVERED),
        ("Y", *SENT),
    ]  # fmt: skip
    assert [len(page) for page in opens().outcome_pages(record)] == [2, 3, 1, 1]


def test_rows_among_packed_ones_keep_their_order_over_many_pages(nights: MakeNights, opens: Opens) -> None:
    """However rows are packed, each is told once and in its place, also where a chunk is read in several pages."""
    orders = nights()
    run = orders.begin()
    staged = [order(f"{n - n % 3 % 2}") for n in range(7000)]
    stage_chunks(orders, run, [staged[:6000], staged[6000:]])
    run.start_delivering(orders._rekey)
    record = conclude(run, RunState.INTERRUPTED)

    unsent = (Status.UNSENT, "interrupted")
    assert orders.reported_rows(record) == [
        (row.request_key, *(DUPLICATE if n % 3 == 1 else unsent)) for n, row in enumerate(staged)
    ]


def test_rows_of_many_cells_are_read_few_at_a_time(nights: MakeNights, opens: Opens) -> None:
    """What is read at once is bounded by what the rows hold, not by their number alone."""
    orders = nights()
    large = replace(invalid(), cells=("x" * 600_000,))
    record = orders.night(large, large, large, order("A"))

    assert [len(page) for page in opens().outcome_pages(record)] == [2, 2]


def test_the_parts_of_a_lane_go_in_source_order(nights: MakeNights) -> None:
    """A task done twice goes before one done once that comes after it."""
    tasks = nights(Export.TASKS)
    tasks.night(task("B", 2), task("A", 1))

    assert tasks.keys_sent() == ["B-1", "B-2", "A"]


@pytest.mark.parametrize("answer", [pytest.param(DONE, id="delivered"), pytest.param(LOST, id="in-doubt")])
def test_a_task_in_its_own_form_is_not_refused_for_another_row(nights: MakeNights, answer: object) -> None:
    """A row that counts a task as it was counted before stands, also beside one that counts it otherwise."""
    tasks = nights(Export.TASKS)
    tasks.night(task("A", 1), answers={"A": answer})  # type: ignore[dict-item] # both are verdicts

    assert night_of_chunks(tasks, [task("A", 1), task("A", 2)]) == [
        ("A", *(DELIVERED if answer is DONE else SENT)), ("A", *CONFLICT),
    ]  # fmt: skip


def test_an_older_balance_stays_behind_while_a_later_run_is_still_written(nights: MakeNights) -> None:
    """Of two jobs of one account the later one owes a balance as soon as its chunk is written, not when all are."""
    earlier, later = nights(Export.POINTS, job="a"), nights(Export.POINTS, job="b")
    earlier.night(balance("X", 7), answers={"X=7@": LOST})
    first, second = earlier.begin(), later.begin()
    stage_chunks(earlier, first, [[balance("X", 5)]])
    stage_chunks(later, second, [[balance("X", 7)], [balance("Y", 1)]])
    waiting = second._staging
    assert waiting is not None
    chunk = next(iter(waiting))
    findings = second._file.read(lambda c: waiting.findings(c, second.heartbeat, is_gone=lambda _: False))
    second._commit(lambda c: sifting.decide_and_write(c, second.run, chunk, findings, later._rekey))

    first.start_delivering(earlier._rekey)

    assert earlier.reported_rows(earlier.deliver(first, {})) == [("X=5@", *SUPERSEDED)]


def test_what_was_found_unchanged_is_looked_at_again_once_another_job_began(nights: MakeNights) -> None:
    """A balance that another job sends between the look at all rows and their writing is no longer unchanged."""
    job, other = nights(Export.POINTS, job="a"), nights(Export.POINTS, job="b")
    job.night(balance("X", 5), balance("Y", 1))
    run = job.begin()
    stage_chunks(job, run, [[balance("X", 5), balance("Y", 1)]])
    waiting = run._staging
    assert waiting is not None
    chunk = next(iter(waiting))
    findings = run._file.read(lambda c: waiting.findings(c, run.heartbeat, is_gone=lambda _: False))
    other.night(balance("X", 7))

    run._commit(lambda c: sifting.decide_and_write(c, run.run, chunk, findings, job._rekey))

    assert findings.unchanged is not None
    assert findings.unchanged.sure.all()
    assert [RowDecision(decision) for decision in chunk.decisions] == [RowDecision.SUPERSEDED, RowDecision.UNCHANGED]


def test_an_older_balance_stays_behind_whatever_two_jobs_write_in_turn(nights: MakeNights, opens: Opens) -> None:
    """What is unchanged for a later run is still newer than what a job beside it writes after that was found out."""
    earlier, later = nights(Export.POINTS, job="a"), nights(Export.POINTS, job="b")
    earlier.night(balance("X", 7))
    first, second = earlier.begin(opens(ALIVE)), later.begin()
    stage_chunks(earlier, first, [[balance("X", 5)]])
    stage_chunks(later, second, [[balance("X", 7)]])
    waiting = second._staging
    assert waiting is not None
    findings = second._file.read(lambda c: waiting.findings(c, second.heartbeat, is_gone=second._is_gone))

    first.start_delivering(earlier._rekey)
    for chunk in waiting:
        second._commit(
            partial(sifting.decide_and_write, run=second.run, chunk=chunk, findings=findings, rekey=later._rekey)
        )

    assert earlier.reported_rows(earlier.deliver(first, {})) == [("X=5@", *SUPERSEDED)]


@pytest.mark.parametrize("is_written", [True, False])
def test_what_is_unchanged_counts_as_newer_than_what_is_still_to_be_sent(nights: MakeNights, is_written: bool) -> None:
    """An earlier run may have written what it owes, or still be reading: either way it sends no older balance."""
    earlier, later = nights(Export.POINTS, job="a"), nights(Export.POINTS, job="b")
    earlier.night(balance("X", 7))
    first = earlier.begin()
    stage_chunks(earlier, first, [[balance("X", 5)]])
    if is_written:
        first.start_delivering(earlier._rekey)
    reported_rows = later.reported_rows(later.night(balance("X", 7)))
    if not is_written:
        first.start_delivering(earlier._rekey)

    assert reported_rows == [("X=7@", *UNCHANGED)]
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
def test_a_balance_is_surely_unchanged_where_no_other_job_may_send_one(
    nights: MakeNights, opens: Opens, process: LeaseOwner, export: Export, owner: str, is_sure: bool
) -> None:
    """A job that is held keeps its account from the quick look, unless its process is dead."""
    points, other = nights(Export.POINTS, job="a"), nights(export, job="b", account=owner, owner=owner)
    points.night(balance("X", 7))
    other.begin(opens(process))
    run = points.begin()
    stage_chunks(points, run, [[balance("X", 7)]])
    waiting = run._staging
    assert waiting is not None

    findings = run._file.read(lambda c: waiting.findings(c, run.heartbeat, is_gone=run._is_gone))

    assert findings.unchanged is not None
    assert findings.unchanged.sure.all() == is_sure


def test_few_cards_among_many_are_asked_for_by_name(nights: MakeNights, opens: Opens) -> None:
    """What the platform holds is told of the cards asked for, and of others only where there are few between them."""
    points = nights(Export.POINTS)
    record = points.night(*(balance(f"{n}", n) for n in range(20)))
    cards = sorted((digest(f"{n}"), n) for n in range(20))

    for asked in ([cards[0], cards[-1]], cards[3:9]):
        found = sure_balances(opens()._file.reader, record, [card for card, _ in asked])
        assert [(card, held) for card, held, *_ in found] == asked


@pytest.mark.parametrize(
    ("export", "before", "rows", "reported_rows"),
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
    nights: MakeNights,
    export: Export,
    before: StagedRow,
    rows: Sequence[StagedRow],
    reported_rows: Sequence[AnswerContent],
) -> None:
    """What may have been applied is unknown, never unsent, also where the run ends before its first request."""
    job = nights(export)
    job.night(before, answers={"A": LOST})
    run = job.begin()
    job.stage(run, rows, decide=False)

    assert job.reported_rows(conclude(run, RunState.INTERRUPTED, "deadline")) == reported_rows


def test_a_damaged_pack_is_told(nights: MakeNights, opens: Opens) -> None:
    """Packed rows that can't be read are damage of the ledger, and no fault of the program."""
    orders = nights()
    orders.night(order("A"))
    record = orders.night(order("A"))
    ledger = opens()
    ledger._file.writer.execute("UPDATE packs SET rows = x'0011'")

    with pytest.raises(LedgerError, match="the file is damaged"):
        list(ledger.outcomes(record))


class Full:
    """A disk without room."""

    def seek(self, *_: int) -> None:
        return

    def write(self, _: bytes) -> NoReturn:
        raise OSError(28, "No space left on device")


def test_no_room_for_waiting_rows_is_told(tmp_path: Path) -> None:
    """Where rows can't be put aside the error says where there is no room, and what to do."""
    spill_file = SpillFile(tmp_path, 1)
    spill_file.close()
    spill_file._file = Full()  # type: ignore[assignment] # all that is asked of it

    with pytest.raises(LedgerError, match=r"can't be kept in .*No space left on device.*free space"):
        spill_file.add(b"rows")
