"""The store of quotas: one state for all processes, changed as a whole or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.store.lease import this_process
from pipeline.ledger.store.quotas import QuotaStore
from pipeline.limits.permits import Permits
from pipeline.limits.window import Window, after_restart, decode, encode
from tests.ledger_runs.job_runs import DEAD, JobRuns
from tests.ledger_runs.staged_rows import order
from tests.limits.traffic import EventClock, Waits, check_running, process
from tests.moved_clock import MovedClock


def replaced(path: Path) -> None:
    path.with_name("other").touch()
    path.with_name("other").replace(path)


def to(state: bytes) -> Callable[[bytes | None], tuple[bytes, bytes | None]]:
    """Return a step that writes this state, and returns the state before."""
    return lambda found: (state, found)


def test_the_next_process_finds_the_state(tmp_path: Path) -> None:
    """Each name has a state of its own, and a process finds the state that the one before left."""
    one, other = QuotaStore(tmp_path / "quota"), QuotaStore(tmp_path / "quota")
    reported = [
        one.change("a", to(b"1")),
        other.change("a", to(b"2")),
        other.change("b", to(b"9")),
        one.change("a", to(b"3")),
    ]
    one.close()
    other.close()

    assert reported == [None, b"1", None, b"2"]


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    """If the step raises, the state does not change, and the store still works."""
    store = QuotaStore(tmp_path / "quota")
    store.change("a", to(b"1"))

    def fails(_: bytes | None) -> tuple[bytes, None]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.change("a", fails)
    reported = store.change("a", to(b"2"))
    store.close()

    assert reported == b"1"


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    """The message advises to empty the file: nothing that lasts is in it."""
    (tmp_path / "quota").write_bytes(b"no database at all\n" * 99)

    with pytest.raises(LedgerError) as reported:
        QuotaStore(tmp_path / "quota")
    os.truncate(tmp_path / "quota", 0)
    emptied = QuotaStore(tmp_path / "quota")
    found = emptied.change("a", to(b"1"))
    emptied.close()

    assert found is None
    assert str(reported.value) == (
        f"ledger {tmp_path}/quota: the file is damaged; while no run is on, empty it (`truncate -s 0`) and delete its "
        "-wal: it holds nothing but what was sent in the last seconds (SQLITE_NOTADB)"
    )


def test_a_damaged_store_is_refused(tmp_path: Path) -> None:
    """A file that is damaged during use is reported with the same advice."""
    store = QuotaStore(tmp_path / "quota")
    store.change("a", to(b"1" * 5000))
    store.close()
    whole = (tmp_path / "quota").read_bytes()
    (tmp_path / "quota").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    rotten = QuotaStore(tmp_path / "quota")

    with pytest.raises(LedgerError, match="while no run is on, empty it"):
        rotten.change("a", to(b"2"))
    rotten.close()


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    """A state that its quota can't read is reported as damage of the file, and does not change."""
    store = QuotaStore(tmp_path / "quota")
    store.change("points", to(b'[2,"boot",[[1,99.0,'))
    permits = Permits(store, "points", 5.0, MovedClock(), "boot", 1)

    with pytest.raises(LedgerError) as reported:
        permits.take(lambda: None)
    found = store.change("points", to(b"1"))
    store.close()

    assert str(reported.value) == (
        f"ledger {tmp_path}/quota: the file is damaged; while no run is on, empty it (`truncate -s 0`) and delete its "
        "-wal: it holds nothing but what was sent in the last seconds (the state of the quota is damaged)"
    )
    assert found == b'[2,"boot",[[1,99.0,'


def test_a_ledger_has_one_store_and_closes_it(tmp_path: Path) -> None:
    """The store of a ledger is opened once, and closed with the ledger."""
    ledger = Ledger(tmp_path / "ledger.db", MovedClock(), this_process())
    store = ledger.quotas()
    store.change("a", to(b"1"))
    again = ledger.quotas()
    ledger.close()

    assert again is store
    assert not (tmp_path / "ledger.db-quota-wal").exists()


def test_forgotten_quotas_begin_cautiously(tmp_path: Path) -> None:
    """After `forget` each quota waits as after a restart of the machine, whatever its state was."""
    store, clock = QuotaStore(tmp_path / "quota"), MovedClock()
    store.change("known", to(encode(Window(), "boot")))
    store.forget()

    seen = [
        store.change(name, lambda found: (b"1", decode(found, "boot", clock.steady()))) for name in ("known", "new")
    ]
    again = store.change("new", to(b"2"))
    store.close()

    assert (seen, again) == ([after_restart(clock.steady())] * 2, b"1")


@pytest.mark.parametrize(("is_copy", "wait"), [(False, 0.05), (True, 1.5)])
def test_a_copy_in_the_files_place_begins_cautiously(tmp_path: Path, wait: float, *, is_copy: bool) -> None:
    """It may lack what was sent last. The same file, opened again, has all of that."""
    clock, path = EventClock(), tmp_path / "quota"
    before = QuotaStore(path)
    process(before, clock).take(check_running)
    before.close()
    if is_copy:
        shutil.copy(path, tmp_path / "copy")
        (tmp_path / "copy").replace(path)
    after = QuotaStore(path)

    with pytest.raises(Waits) as waits:
        process(after, clock).take(check_running)
    after.close()

    assert waits.value.seconds == pytest.approx(wait)


@pytest.mark.parametrize("lose", [Path.unlink, replaced], ids=["deleted", "replaced"])
def test_a_lost_store_gives_no_permit(lose: Callable[[Path], None], tmp_path: Path) -> None:
    """A change is refused: another run would find another file, and use another quota."""
    store = QuotaStore(tmp_path / "quota")
    store.change("a", to(b"1"))
    lose(tmp_path / "quota")

    with pytest.raises(LedgerError, match="it was deleted, moved or replaced while a run was on; no further request"):
        store.change("a", to(b"2"))
    store.close()


@pytest.mark.parametrize("has_sent", [False, True])
def test_a_lost_store_is_no_new_one(tmp_path: Path, *, has_sent: bool) -> None:
    """The first run of a ledger begins at once. If the quotas are gone later, the next run begins cautiously."""
    nights = JobRuns(lambda owner=DEAD: Ledger(tmp_path / "ledger.db", MovedClock(), owner))
    if has_sent:
        nights.run(order("A"))
    ledger = nights.opens()

    found = ledger.quotas().change("a", to(b"1"))
    ledger.close()

    assert found == (b"[0, null]" if has_sent else None)
