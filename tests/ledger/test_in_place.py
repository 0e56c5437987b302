"""A ledger that is deleted, moved or replaced while a run is on: the next commit does not count."""

import shutil
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Due
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.store.lost_file import Place
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
    """Begin a run."""
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
    """Whatever the run does next is refused: an intent, a tick, a look before an attempt. What it knew is saved."""
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


def test_a_file_put_in_its_place_is_not_spoiled(run: Run) -> None:
    """The write-ahead log of the lost file is not left for another one: SQLite would take it for its own."""
    replaced_by_an_older_one(run.path)
    with pytest.raises(LedgerError):
        run.run.heartbeat()
    run.run.leave()
    run.ledger.close()

    assert not run.path.with_name("ledger.db-wal").exists()
    with closing(Ledger(run.path, MovedClock(), DEAD)) as other:
        assert other.recent(9) == []


def test_a_copy_that_can_not_be_saved_is_not_told_of(run: Run) -> None:
    """Where the copy can't be written the run ends all the same, and the advice is another one."""
    deleted(run.path)
    run.path.with_name(f"ledger.db-saved-{run.run.run.run_id}").mkdir()

    with pytest.raises(LedgerError, match=r"is sent\. Put it back, then `backfill resume"):
        run.run.heartbeat()
    run.ledger.close()


def test_a_run_does_not_begin_in_a_file_that_is_gone(tmp_path: Path) -> None:
    """A ledger that was lost since it was opened takes no run."""
    ledger = Ledger(tmp_path / "ledger.db", MovedClock(), DEAD)
    (tmp_path / "ledger.db").unlink()

    with closing(ledger), pytest.raises(LedgerError, match="it was deleted, moved or replaced"):
        JobRuns(lambda owner=DEAD: ledger).begin()


def test_a_place_knows_its_file(tmp_path: Path) -> None:
    """A file that was written anew in its place is the same one; another file under its name is not."""
    path = tmp_path / "file"
    path.write_text("one", encoding="utf-8")
    place = Place.of(path)
    path.write_text("two", encoding="utf-8")
    same = place.is_kept()
    (tmp_path / "other").touch()
    (tmp_path / "other").replace(path)

    assert (same, place.is_kept()) == (True, False)
