"""A ledger of version 1 is used on: its states are found under the identities of this version."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.database import connect
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.ledger.store.schema import APPLICATION_ID, MIGRATIONS
from pipeline.model import Export, Status, digest
from tests.ledger_runs.job_runs import DEAD, DELIVERED, ME, SENT, SUPERSEDED, UNCHANGED, JobRuns
from tests.ledger_runs.staged_rows import StagedRow, state
from tests.moved_clock import MovedClock

NEW, PAID, DONE = (state("S1", code) for code in ("NEW", "PAID", "DONE"))
RUN = "STATES-OLD"

# A row's state, the status of its due, and the state of its delivery; None where nothing was sent.
StagedLine = tuple[StagedRow, str | None, str | None]
Old = Callable[[Sequence[StagedLine]], JobRuns]


def write_version_1(connection: sqlite3.Connection, lines: Sequence[StagedLine]) -> None:
    """Write a ledger as version 1 did, with a run of states that was stopped while delivering."""
    for statement in MIGRATIONS[0].split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("INSERT INTO accounts VALUES (1, 'zhima', ?)", (ME,))
    connection.execute(
        "INSERT INTO runs (run_id, job, export, api, account, account_no, options, act, limit_per_s, started_at)"
        " VALUES (?, 'states', 'states', 'alipay.state', 'zhima', 1, '{}', 'delivering', 5, '2026-03-01T12:00:00Z')",
        (RUN,),
    )
    connection.execute("INSERT INTO inputs VALUES (1, 1, 'states.csv', 'states.csv', '[]', ?, '00')", (len(lines),))
    for n, (row, status, delivery) in enumerate(lines, 1):
        (payload,) = row.payloads
        identity, content = f"{payload.request_key}/{row.cells[1]}", digest(payload.body)
        body = None if status in ("succeeded", "skipped") else payload.body
        connection.execute(
            "INSERT INTO rows (run_no, row_no, file_no, source_row, request_key, cells) VALUES (1, ?, 1, ?, ?, '[]')",
            (n, n, payload.request_key),
        )
        connection.execute(
            "INSERT INTO dues (due_no, run_no, row_no, part, position, request_key, identity, key_is_derived, digest,"
            " body, lane, status, code) VALUES (?, 1, ?, 0, ?, ?, ?, 0, ?, ?, ?, ?, ?)",
            (n, n, (1 << 40) + n, payload.request_key, identity, content, body, payload.lane, status, status),
        )
        if delivery is not None:
            connection.execute(
                "INSERT INTO deliveries VALUES (1, 'alipay.state', ?, ?, ?, ?, NULL)", (identity, content, delivery, n)
            )


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    """Return a function that makes the nights of a job whose ledger is of version 1."""
    path, clock, opened = tmp_path / "ledger.db", MovedClock(), list[Ledger]()

    def open_again(owner: LeaseOwner = DEAD) -> Ledger:
        opened.append(Ledger(path, clock, owner))
        return opened[-1]

    def made(lines: Sequence[StagedLine]) -> JobRuns:
        with closing(connect(path)) as connection:
            write_version_1(connection, lines)
        return JobRuns(open_again, Export.STATES, "zhima", ME, "states", clock)

    yield made
    for ledger in opened:
        ledger.close()


@pytest.mark.parametrize(
    ("lines", "rows", "reported_rows", "sent"),
    [
        pytest.param([(NEW, "succeeded", "succeeded")], [NEW], [UNCHANGED], [], id="the-last-confirmed"),
        pytest.param([(NEW, "succeeded", "succeeded")], [PAID], [SENT], ["S1/PAID"], id="another"),
        pytest.param(
            [(NEW, "succeeded", "succeeded"), (PAID, "succeeded", "succeeded")],
            [NEW, PAID, DONE],
            [DELIVERED, UNCHANGED, SENT],
            ["S1/DONE"],
            id="a-file-that-grew",
        ),
        pytest.param(
            [(NEW, "succeeded", "succeeded"), (PAID, "succeeded", "succeeded")],
            [NEW],
            [SENT],
            ["S1/NEW"],
            id="one-that-comes-back",
        ),
        pytest.param(
            [(NEW, "succeeded", "succeeded"), (PAID, "unknown", "unknown")],
            [NEW, PAID, DONE],
            [DELIVERED, SENT, SENT],
            ["S1/PAID", "S1/DONE"],
            id="in-doubt",
        ),
        pytest.param(
            [(NEW, "succeeded", "succeeded"), (PAID, None, "sending")],
            [NEW, PAID],
            [DELIVERED, SENT],
            ["S1/PAID"],
            id="in-the-air-at-a-crash",
        ),
        pytest.param(
            [(NEW, "succeeded", "succeeded"), (PAID, "rejected", "rejected")],
            [NEW, PAID],
            [UNCHANGED, SENT],
            ["S1/PAID"],
            id="refused",
        ),
        pytest.param(
            [(state("S1", "NEW", principal="book"), "succeeded", "succeeded")],
            [NEW],
            [SENT],
            ["S1/NEW"],
            id="another-object-of-the-number",
        ),
    ],
)
def test_states_of_version_1_are_known(
    old: Old,
    lines: Sequence[StagedLine],
    rows: Sequence[StagedRow],
    reported_rows: Sequence[tuple[Status, str]],
    sent: Sequence[str],
) -> None:
    """The state last confirmed is not sent again, one in doubt is settled, and a different one is new."""
    states = old(lines)

    assert [(status, code) for _, status, code in states.reported_rows(states.run(*rows))] == reported_rows
    assert states.keys_sent() == sent


def test_a_run_of_version_1_is_resumed(old: Old) -> None:
    """Its requests in flight are sent again, then the rest; a later run finds both delivered."""
    states = old([(NEW, "succeeded", "succeeded"), (PAID, None, "sending"), (DONE, None, None)])

    record = states.resume(states.opens().find(RUN))

    assert [status for _, status, _ in states.reported_rows(record)] == [Status.SUCCEEDED] * 3
    assert states.keys_sent() == ["S1/PAID", "S1/DONE"]
    assert [(status, code) for _, status, code in states.reported_rows(states.run(NEW, PAID, DONE))] == [
        DELIVERED, DELIVERED, UNCHANGED,
    ]  # fmt: skip
    assert states.keys_sent() == []


def test_a_state_of_version_1_stays_behind_a_later_one(old: Old) -> None:
    """A due of a run of version 1 is not sent after a later state that a run of this version has sent."""
    states = old([(NEW, "succeeded", "succeeded"), (PAID, None, None)])
    states.run(DONE)

    record = states.resume(states.opens().find(RUN))

    assert [(status, code) for _, status, code in states.reported_rows(record)][1:] == [SUPERSEDED]
