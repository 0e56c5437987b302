"""A ledger whose bytes have changed: what can't be trusted is not sent."""

import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from pipeline.simulator import Decision
from tests.kills import promises
from tests.kills.children import CommandResult
from tests.kills.exports import orders
from tests.kills.fixtures import NewWorkspace
from tests.kills.process_faults import KilledAt
from tests.kills.workspace import Workspace

_PAGE = 4096
_DAMAGED = "the file is damaged; restore it from a backup, as docs/backup.md says (SQLITE_CORRUPT)"
_NO_LEDGER = "the file is no ledger; name another one in [ledger] url (SQLITE_NOTADB)"


@pytest.fixture
def killed(new_workspace: NewWorkspace) -> Workspace:
    """Return a workspace whose run was killed while delivering; its ledger is in one file, without a log."""
    one = new_workspace(orders(30), concurrency=2)
    one.child("run", "orders", fault=KilledAt(90))
    assert 0 < len(one.simulator.journal.entries) < len(one.export.keys)
    with closing(sqlite3.connect(one.ledger)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return one


def replace(one: Workspace, content: bytes) -> None:
    """Replace the bytes of the ledger, and delete the files that would show that they are older."""
    for name in ("backfill.db-wal", "backfill.db-shm", "backfill.db-mark"):
        one.ledger.with_name(name).unlink(missing_ok=True)
    (one.folder / "backfill.toml-mark").unlink(missing_ok=True)
    shutil.rmtree(one.folder / "reports", ignore_errors=True)
    one.ledger.write_bytes(content)


def reported(ended: CommandResult, one: Workspace) -> str:
    return ended.stderr.splitlines()[-1].removeprefix(f"backfill: ledger {one.ledger}: ")


def test_a_damaged_page_is_never_used(killed: Workspace) -> None:
    """Whichever page is overwritten, it is refused or was not needed. With the ledger restored the run goes on."""
    sound = killed.ledger.read_bytes()
    refused = 0
    for start in range(0, len(sound), 2 * _PAGE):
        garbage = random.Random(start).randbytes(_PAGE)
        replace(killed, sound[:start] + garbage + sound[start + _PAGE :])
        ended = killed.child("resume", "last")
        promises.nothing_counts_twice(killed.simulator.journal.entries)
        if ended.exit_code != killed.export.exit_code:
            refused += 1
            assert (ended.exit_code, reported(ended, killed)) in ((1, _DAMAGED), (2, _NO_LEDGER))
    replace(killed, sound)

    assert killed.child("resume", "last").exit_code == killed.export.exit_code
    promises.nothing_counts_twice(killed.simulator.journal.entries)
    assert refused > 3


def test_a_body_that_has_changed_is_not_sent(killed: Workspace) -> None:
    """A changed amount leaves a valid payload; its digest shows the change."""
    sound = killed.ledger.read_bytes()
    replace(killed, sound.replace(b"12.50", b"92.50"))
    sent = killed.simulator.journal.entries

    ended = killed.child("resume", "last")

    assert (ended.exit_code, reported(ended, killed)) == (1, _DAMAGED)
    assert killed.simulator.journal.entries == sent
    replace(killed, sound)
    assert killed.child("resume", "last").exit_code == killed.export.exit_code
    promises.all_rows_are_done(killed.export, killed.outcomes(), killed.simulator.journal.entries)
    assert killed.simulator.journal.decided(Decision.CONFLICT) == ()


def test_a_text_that_has_changed_is_not_shown(killed: Workspace) -> None:
    """The message about a text that can't be decoded does not show it: it may name a user."""
    replace(killed, killed.ledger.read_bytes().replace(b'"2088', b'"\xff088'))

    ended = killed.child("report", "last")

    assert ended == CommandResult(1, "", f"backfill: ledger {killed.ledger}: {_DAMAGED}\n")
