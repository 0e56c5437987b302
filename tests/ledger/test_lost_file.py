"""A ledger that is deleted, moved, replaced or overwritten during a run: the next commit does not count."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Due
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store.loss_detection.lost_file import Place
from tests.ledger_runs.job_runs import DEAD, DONE, ME, JobRuns
from tests.ledger_runs.staged_rows import order
from tests.moved_clock import MovedClock


def deleted(ledger: Path) -> None:
    ledger.unlink()


def moved(ledger: Path) -> None:
    ledger.replace(ledger.with_name("elsewhere.db"))


def replaced_by_an_older_one(ledger: Path) -> None:
    shutil.copy(ledger.parent.parent / "backup.db", ledger.with_name("new.db"))
    ledger.with_name("new.db").replace(ledger)


def folder_deleted(ledger: Path) -> None:
    shutil.rmtree(ledger.parent)


def folder_moved(ledger: Path) -> None:
    ledger.parent.replace(ledger.parent.with_name("elsewhere"))


def log_deleted(ledger: Path) -> None:
    ledger.with_name("ledger.db-wal").unlink()


# Where an SQLite file says how many pages it has.
PAGES_AT = 28
LOSSES = [deleted, moved, replaced_by_an_older_one, folder_deleted, folder_moved, log_deleted]


class Run:
    """A run that has sent one order of three."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state" / "ledger.db"
        self.path.parent.mkdir()
        Ledger(folder / "backup.db", MovedClock(), DEAD).close()
        self.ledger = Ledger(self.path, MovedClock(), DEAD)
        self.nights = JobRuns(lambda owner=DEAD: self.ledger)
        self.run: RunLedger = self.nights.begin()
        self.nights.stage(self.run, [order(key, user=key) for key in "ABC"])
        first, *self.left = [due for lane in self.run.lanes() for due in lane]
        self.nights.carry(self.run, first, DONE)
        self.run.heartbeat()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that has begun."""
    return Run(tmp_path)


def intend(run: RunLedger, left: list[Due]) -> None:
    run.intend(left[:1])


def heartbeat(run: RunLedger, _left: list[Due]) -> None:
    run.heartbeat()


def keep_job(run: RunLedger, _left: list[Due]) -> None:
    run.keep_job()


@pytest.mark.parametrize("act", [intend, heartbeat, keep_job])
@pytest.mark.parametrize("lose", LOSSES)
def test_nothing_more_is_sent(
    lose: Callable[[Path], None], act: Callable[[RunLedger, list[Due]], None], run: Run
) -> None:
    """The next step of the run is refused: an intent, a heartbeat, a check before an attempt. A copy is saved."""
    lose(run.path)
    run_id = run.run.run.run_id
    saved = run.path.with_name(f"ledger.db-saved-{run_id}")

    for _ in range(2):
        with pytest.raises(LedgerError) as refused:
            act(run.run, run.left)
    run.run.leave()
    run.ledger.close()

    assert refused.value.users_fault
    assert str(refused.value) == (
        f"ledger {run.path}: it was deleted, moved or replaced while run {run_id} was on; no further request is sent. "
        f"All that it knew is saved in {saved}: put that in its place, then `backfill resume {run_id}`; "
        "see docs/backup.md"
    )
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    with closing(Ledger(saved, MovedClock(), DEAD)) as again:
        nights = JobRuns(lambda owner=DEAD: again)
        resumed = again.resume(again.find(run_id), ME)
        nights.deliver(resumed, {})
    assert nights.keys_sent() == ["B", "C"]


def emptied(ledger: Path, _older: Path) -> None:
    os.truncate(ledger, 0)


def overwritten_by_an_older_copy(ledger: Path, older: Path) -> None:
    shutil.copyfile(older, ledger)


def overwritten_by_another_ledger(ledger: Path, _older: Path) -> None:
    shutil.copyfile(ledger.parent.parent / "backup.db", ledger)


def overwritten_by_something_else(ledger: Path, _older: Path) -> None:
    ledger.write_bytes(b"no ledger" * 10_000)


@pytest.mark.parametrize("act", [intend, heartbeat, keep_job])
@pytest.mark.parametrize(
    "overwrite", [emptied, overwritten_by_an_older_copy, overwritten_by_another_ledger, overwritten_by_something_else]
)
def test_an_overwritten_file_is_detected(
    overwrite: Callable[[Path, Path], None], act: Callable[[RunLedger, list[Due]], None], run: Run, tmp_path: Path
) -> None:
    """The same file with other content ends the run too, before the next intent counts."""
    older = tmp_path / "older.db"
    shutil.copyfile(run.path, older)
    written_to_the_file(run.path)
    run.run.heartbeat()
    overwrite(run.path, older)

    with pytest.raises(LedgerError, match=r"it was overwritten while run .* restore your newest copy") as refused:
        act(run.run, run.left)

    assert refused.value.users_fault


def test_a_written_log_is_no_loss(run: Run) -> None:
    """Other processes may write the log to the file, as often as they like."""
    for due in run.left:
        written_to_the_file(run.path)
        run.nights.carry(run.run, due, DONE)
    written_to_the_file(run.path)
    run.run.heartbeat()

    assert run.nights.keys_sent() == ["A", "B", "C"]


def test_a_log_that_is_being_written_is_no_loss(run: Run) -> None:
    """In the midst of it the file says that it has more pages than were written so far."""
    written_to_the_file(run.path)
    run.run.heartbeat()
    with run.path.open("r+b") as file:
        file.seek(PAGES_AT)
        pages = int.from_bytes(file.read(4), "big")
        file.seek(PAGES_AT)
        file.write((pages + 8).to_bytes(4, "big"))

    assert run.path.stat().st_size == pages * 4096
    run.run.heartbeat()


def written_to_the_file(ledger: Path) -> None:
    """Write the log to the file, as any process may."""
    with closing(sqlite3.connect(ledger)) as other:
        other.execute("PRAGMA wal_checkpoint(PASSIVE)")


def test_a_replacing_file_is_not_damaged(run: Run) -> None:
    """The write-ahead log of the lost file is deleted: SQLite would use it for the file in its place."""
    replaced_by_an_older_one(run.path)
    with pytest.raises(LedgerError):
        run.run.heartbeat()
    run.run.leave()
    run.ledger.close()

    assert not run.path.with_name("ledger.db-wal").exists()
    with closing(Ledger(run.path, MovedClock(), DEAD)) as other:
        assert other.recent(9) == []


def test_the_advice_changes_without_a_copy(run: Run) -> None:
    """If the copy can't be written, the run ends too, and the message does not name a copy."""
    deleted(run.path)
    run.path.with_name(f"ledger.db-saved-{run.run.run.run_id}").mkdir()

    with pytest.raises(LedgerError, match=r"is sent\. Put it back, then `backfill resume"):
        run.run.heartbeat()
    run.ledger.close()


def test_a_run_does_not_begin_in_a_lost_file(tmp_path: Path) -> None:
    """A ledger that was lost after it was opened refuses a run."""
    ledger = Ledger(tmp_path / "ledger.db", MovedClock(), DEAD)
    (tmp_path / "ledger.db").unlink()

    with closing(ledger), pytest.raises(LedgerError, match="it was deleted, moved or replaced"):
        JobRuns(lambda owner=DEAD: ledger).begin()


def test_a_place_knows_its_file(tmp_path: Path) -> None:
    """A file whose content was replaced is the same file; another file under its name is not."""
    path = tmp_path / "file"
    path.write_text("one", encoding="utf-8")
    place = Place.of(path)
    path.write_text("two", encoding="utf-8")
    same = place.is_kept()
    (tmp_path / "other").touch()
    (tmp_path / "other").replace(path)

    assert (same, place.is_kept()) == (True, False)
