"""A ledger that can't be used, at the start or during a run: one line says why, and its content is not lost."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.store.database import open_ledger, with_clear_errors
from pipeline.ledger.store.schema import VERSION
from pipeline.simulator import FaultKind, InjectedFault, When
from tests.kills import promises
from tests.kills.children import CommandResult
from tests.kills.exports import orders
from tests.kills.fixtures import NewWorkspace
from tests.kills.process_faults import Impatient
from tests.kills.workspace import NO_RUN, wait_until


def no_database(ledger: Path) -> None:
    ledger.write_text("order_id,paid_fen\n" * 999, encoding="utf-8")


def of_another_program(ledger: Path) -> None:
    ledger.write_bytes(b"")
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("CREATE TABLE cookies (n)")


def newer(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")


def cut_off(ledger: Path) -> None:
    ledger.write_bytes(ledger.read_bytes()[:9000])


@pytest.mark.parametrize(
    ("spoil", "exit_code", "said"),
    [
        pytest.param(
            no_database, 2, "the file is no ledger; name another one in [ledger] url (SQLITE_NOTADB)", id="no-database"
        ),
        pytest.param(
            of_another_program, 2, "the file is a database of another program; name another one in [ledger] url",
            id="of-another-program",
        ),
        pytest.param(
            newer, 2,
            f"it was written by a newer backfill (ledger version {VERSION + 1}, this program knows {VERSION}); "
            "install that version or newer",
            id="of-a-newer-version",
        ),
        pytest.param(
            cut_off, 1, "the file is damaged; restore it from a backup, as docs/backup.md says (SQLITE_CORRUPT)",
            id="cut-off",
        ),
    ],
)  # fmt: skip
def test_deliveries_are_known_once_the_ledger_is_back(
    new_workspace: NewWorkspace, spoil: Callable[[Path], None], exit_code: int, said: str
) -> None:
    """Nothing is sent while another file is in its place. With the ledger back nothing is sent again."""
    one = new_workspace(orders(8))
    one.child("run", "orders")
    sent = one.simulator.journal.entries
    kept = shutil.copy(one.ledger, one.folder / "kept.db")
    spoil(one.ledger)

    refused = one.child("run", "orders")

    assert refused == CommandResult(exit_code, "", f"backfill: ledger {one.ledger}: {said}\n")
    shutil.copy(kept, one.ledger)
    again = one.child("run", "orders", "--report", "again")
    reported = [(line["status"], line["code"]) for line in one.outcomes(one.folder / "again")]
    assert (again.exit_code, one.simulator.journal.entries) == (one.export.exit_code, sent)
    assert reported == [
        ("invalid", "field_missing") if fault == "invalid" else ("skipped", "already_succeeded")
        for fault in one.export.statuses
    ]


@contextmanager
def mode(path: Path, bits: int) -> Iterator[None]:
    """Give a file or folder other permissions for a while."""
    before = path.stat().st_mode
    path.chmod(bits)
    yield
    path.chmod(before)


@pytest.fixture
def bound() -> Sequence[str]:
    """Return the command under which permissions hold also for the superuser."""
    if os.geteuid() != 0:
        return ()
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


def test_a_ledger_without_write_permission_is_refused(new_workspace: NewWorkspace, bound: Sequence[str]) -> None:
    """Whether the file is protected or its folder, the line says so. With the permissions back the next run works."""
    one = new_workspace(orders(8))
    with mode(one.folder, 0o500):
        no_folder = one.command("run", "orders", wrapper=bound)
    one.ledger.parent.mkdir()
    with mode(one.ledger.parent, 0o500):
        no_file = one.command("run", "orders", wrapper=bound)
    assert NO_RUN in one.child("resume", "last").stderr
    with mode(one.ledger, 0o400):
        read_only = one.command("run", "orders", wrapper=bound)

    reported = f"backfill: ledger {one.ledger}: "
    denied = reported + "Permission denied; check [ledger] url and the folder's permissions\n"
    rights = reported + "it can't be written; give this user write access to the file and its folder\n"
    assert [no_folder, no_file, read_only] == [
        CommandResult(2, "", denied),
        CommandResult(2, "", denied),
        CommandResult(2, "", rights),
    ]
    assert one.simulator.journal.entries == ()
    assert one.command("run", "orders", wrapper=bound).exit_code == one.export.exit_code
    promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)


def test_a_ledger_that_is_locked_during_a_run_stops_it(new_workspace: NewWorkspace) -> None:
    """The run waits for a while, then ends with a line that says why. Once the lock is free the next run works."""
    one = new_workspace(orders(60))
    one.simulator.set_faults([InjectedFault(FaultKind.SLOW, seconds=0.2, when=When.AFTER_APPLYING)])
    running = one.begin("run", "orders", fault=Impatient())
    wait_until(lambda: len(one.simulator.journal.entries) > one.concurrency)
    with closing(sqlite3.connect(one.ledger, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        stopped = running.end()
        ends = [time.monotonic()]
        other.execute("ROLLBACK")
    one.simulator.set_faults([])

    assert (stopped.exit_code, stopped.stdout) == (2, "")
    assert stopped.stderr.splitlines()[-1] == (
        f"backfill: ledger {one.ledger}: another process keeps it locked; wait for that process or end it, "
        "then try again (SQLITE_BUSY)"
    )
    assert one.child("resume", "last").exit_code == one.export.exit_code
    promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert promises.resent_by_end(one.simulator.journal.entries, ends)[0] <= 2 * one.concurrency


def test_a_broken_constraint_is_an_error_of_the_program(tmp_path: Path) -> None:
    """A statement that breaks a constraint of the tables is no fault of config or permissions."""
    with (
        closing(open_ledger(tmp_path / "backfill.db")) as connection,
        pytest.raises(LedgerError) as reported,
        with_clear_errors(tmp_path / "backfill.db"),
    ):
        connection.execute("INSERT INTO accounts (name) VALUES ('zhima')")

    assert (str(reported.value), reported.value.users_fault) == (
        f"ledger {tmp_path / 'backfill.db'}: NOT NULL constraint failed: accounts.holder (SQLITE_CONSTRAINT_NOTNULL)",
        False,
    )
