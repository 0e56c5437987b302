"""Opening the ledger's file: created where there is none, refused with a clear message where it can't be used."""

import sqlite3
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import NewRun
from pipeline.ledger.store.database import connect, open_ledger, with_clear_errors
from pipeline.ledger.store.lease import this_process
from pipeline.ledger.store.schema import APPLICATION_ID, MIGRATIONS, VERSION
from pipeline.model import Api, Export
from tests.moved_clock import MovedClock


def test_a_missing_ledger_is_created(tmp_path: Path) -> None:
    """A new ledger has its folder, its mark and its version, and only its owner may read it."""
    path = tmp_path / "state" / "backfill.db"
    open_ledger(path).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = connect(path)
    marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    connection.close()
    assert marks == [APPLICATION_ID, VERSION]


def test_opening_changes_nothing(tmp_path: Path) -> None:
    """Opening a ledger of this version changes nothing in it."""
    path = tmp_path / "backfill.db"
    open_ledger(path).close()
    before = path.read_bytes()
    open_ledger(path).close()

    assert path.read_bytes() == before


def test_a_commit_reaches_the_disk(tmp_path: Path) -> None:
    """A commit to the ledger waits for the disk, one to the file of quotas does not."""
    durable, quick = connect(tmp_path / "a.db"), connect(tmp_path / "b.db", durable=False)
    reported = [
        c.execute(f"PRAGMA {p}").fetchone()[0] for c in (durable, quick) for p in ("synchronous", "journal_mode")
    ]
    durable.close()
    quick.close()

    assert reported == [2, "wal", 1, "wal"]


def test_processes_that_meet_in_a_new_file_wait(tmp_path: Path) -> None:
    """Processes that open a new file at once all get it with a write-ahead log; none is refused."""
    path, modes = tmp_path / "backfill.db-quota", list[str]()
    first = sqlite3.connect(path, isolation_level=None)
    first.execute("BEGIN IMMEDIATE")

    def come() -> None:
        with closing(connect(path)) as connection:
            modes.append(connection.execute("PRAGMA journal_mode").fetchone()[0])

    second = threading.Thread(target=come, daemon=True)
    second.start()
    second.join(0.05)
    first.execute("COMMIT")
    second.join()
    first.close()

    assert modes == ["wal"]


def rubbish(path: Path) -> None:
    path.write_bytes(b"order_id,paid_fen\n" * 99)


def other_program(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE cookies (n)")
    connection.commit()
    connection.close()


def newer(path: Path) -> None:
    open_ledger(path).close()
    connection = connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()


def cut(path: Path) -> None:
    open_ledger(path).close()
    path.write_bytes(path.read_bytes()[:5000])


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "said", "users_fault"),
    [
        pytest.param(
            rubbish, "the file is no ledger; name another one in [ledger] url (SQLITE_NOTADB)", True, id="no-database"
        ),
        pytest.param(
            other_program, "the file is a database of another program; name another one in [ledger] url", True,
            id="of-another-program",
        ),
        pytest.param(
            newer,
            f"it was written by a newer backfill (ledger version {VERSION + 1}, this program knows {VERSION}); "
            "install that version or newer",
            True, id="of-a-newer-version",
        ),
        pytest.param(
            cut, "the file is damaged; restore it from a backup, as docs/backup.md says (SQLITE_CORRUPT)", False,
            id="cut-off",
        ),
        pytest.param(folder, "that is a folder; name a file in [ledger] url", True, id="a-folder"),
    ],
)  # fmt: skip
def test_an_unusable_file_is_refused(
    tmp_path: Path, make: Callable[[Path], None], said: str, *, users_fault: bool
) -> None:
    """The message names the file, the cause and what to do, and says whose fault it is. The file does not change."""
    path = tmp_path / "backfill.db"
    make(path)
    before = path.is_file() and path.read_bytes()

    with pytest.raises(LedgerError) as refused:
        open_ledger(path)

    assert (str(refused.value), refused.value.users_fault) == (f"ledger {path}: {said}", users_fault)
    assert (path.is_file() and path.read_bytes()) == before


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    """Where the folder can't be created, the message has the reason of the system."""
    (tmp_path / "file").touch()

    with pytest.raises(LedgerError, match=r"check \[ledger\] url and the folder's permissions"):
        open_ledger(tmp_path / "file" / "backfill.db")


def test_a_read_only_ledger_is_refused(tmp_path: Path) -> None:
    """If the file refuses a statement, the message says what to do."""
    path = tmp_path / "backfill.db"
    open_ledger(path).close()
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")

    with (
        pytest.raises(LedgerError, match="give this user write access to the file and its folder") as refused,
        with_clear_errors(path),
    ):
        connection.execute("DELETE FROM runs")
    connection.close()

    assert refused.value.users_fault


def test_a_locked_ledger_is_reported(tmp_path: Path) -> None:
    """The message names another program, which keeps the file locked, as the cause."""
    path = tmp_path / "backfill.db"
    open_ledger(path).close()
    holding, waiting = connect(path), connect(path)
    waiting.execute("PRAGMA busy_timeout = 1")
    holding.execute("BEGIN IMMEDIATE")

    with pytest.raises(LedgerError, match="another process keeps it locked"), with_clear_errors(path):
        waiting.execute("BEGIN IMMEDIATE")
    holding.close()
    waiting.close()


def test_a_full_disk_loses_no_commit(tmp_path: Path) -> None:
    """Without room the whole write is refused and the cause is reported. Earlier commits stay."""
    path = tmp_path / "backfill.db"
    ledger = Ledger(path, MovedClock(), this_process())
    new = NewRun(
        run_id="RUN1",
        job="orders",
        export=Export.ORDERS,
        api=Api.CUMULATION,
        account="zhima",
        limit_per_s=5.0,
        started_at="2026-03-01T12:00:00.000Z",
    )
    run = ledger.begin(new, "Alipay app 1")
    writer = ledger._file.writer
    assert isinstance(writer, sqlite3.Connection)
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(LedgerError, match="the disk is full; free space and resume the run") as refused:
        run._commit(lambda c: c.execute("INSERT INTO accounts VALUES (7, ?, '', 1, NULL)", ("x" * 100_000,)))
    reported = (refused.value.users_fault, ledger.recent(9), writer.in_transaction)
    ledger.close()

    assert reported == (False, [run.run], False)


def test_each_version_is_migrated(tmp_path: Path) -> None:
    """A ledger of any earlier version is migrated to this one, step by step."""
    for version in range(VERSION):
        path = tmp_path / f"{version}.db"
        connection = connect(path)
        for number, step in enumerate(MIGRATIONS[:version], 1):
            connection.executescript(
                f"{step}; PRAGMA user_version = {number}; PRAGMA application_id = {APPLICATION_ID}"
            )
        connection.close()
        open_ledger(path).close()
        connection = connect(path)
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        connection.close()
