"""Where quotas are kept: one state for all processes, changed whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.lease import this_process
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.quotas import QuotaStore
from pipeline.limits.permits import Permits
from tests.moved_clock import MovedClock


def to(state: bytes) -> Callable[[bytes | None], tuple[bytes, bytes | None]]:
    """Return a step that leaves this state, and says which one it found."""
    return lambda found: (state, found)


def test_a_state_is_found_by_the_next_process(tmp_path: Path) -> None:
    """Each name has its own state, and whoever comes next finds what the last one left."""
    one, other = QuotaStore(tmp_path / "quota"), QuotaStore(tmp_path / "quota")
    told = [
        one.change("a", to(b"1")),
        other.change("a", to(b"2")),
        other.change("b", to(b"9")),
        one.change("a", to(b"3")),
    ]
    one.close()
    other.close()

    assert told == [None, b"1", None, b"2"]


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    """A state stays as it was where the step raises, and the store can be used on."""
    store = QuotaStore(tmp_path / "quota")
    store.change("a", to(b"1"))

    def fails(_: bytes | None) -> tuple[bytes, None]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.change("a", fails)
    told = store.change("a", to(b"2"))
    store.close()

    assert told == b"1"


def test_a_store_that_is_damaged_may_be_deleted(tmp_path: Path) -> None:
    """A quota file that is none is refused, with the advice to delete it: nothing that lasts is in it."""
    (tmp_path / "quota").write_bytes(b"no database at all\n" * 99)

    with pytest.raises(LedgerError) as told:
        QuotaStore(tmp_path / "quota")

    assert str(told.value) == (
        f"ledger {tmp_path}/quota: the file is damaged; delete it while no run is on: it holds nothing but what was "
        "sent in the last seconds (SQLITE_NOTADB)"
    )


def test_a_store_whose_pages_are_damaged_may_be_deleted(tmp_path: Path) -> None:
    """A quota file that rots while it is in use is told in the same words."""
    store = QuotaStore(tmp_path / "quota")
    store.change("a", to(b"1" * 5000))
    store.close()
    whole = (tmp_path / "quota").read_bytes()
    (tmp_path / "quota").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    rotten = QuotaStore(tmp_path / "quota")

    with pytest.raises(LedgerError, match="delete it while no run is on"):
        rotten.change("a", to(b"2"))
    rotten.close()


def test_a_state_that_is_damaged_may_be_deleted(tmp_path: Path) -> None:
    """A state that its quota can't read is told as the file's damage, and stays as it is."""
    store = QuotaStore(tmp_path / "quota")
    store.change("points", to(b'[2,"boot",[[1,99.0,'))
    permits = Permits(store, "points", 5.0, MovedClock(), "boot")

    with pytest.raises(LedgerError) as told:
        permits.take(lambda: None)
    found = store.change("points", to(b"1"))
    store.close()

    assert str(told.value) == (
        f"ledger {tmp_path}/quota: the file is damaged; delete it while no run is on: it holds nothing but what was "
        "sent in the last seconds (the state of the quota is damaged)"
    )
    assert found == b'[2,"boot",[[1,99.0,'


def test_a_ledger_has_one_store_and_closes_it(tmp_path: Path) -> None:
    """The quotas of a ledger are opened once, and let go of with it."""
    ledger = Ledger(tmp_path / "ledger.db", MovedClock(), this_process())
    store = ledger.quotas()
    store.change("a", to(b"1"))
    again = ledger.quotas()
    ledger.close()

    assert again is store
    assert not (tmp_path / "ledger.db-quota-wal").exists()
