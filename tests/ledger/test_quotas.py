"""Where quotas are kept: one state for all processes, changed whole or not at all."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import LedgerError
from pipeline.ledger.quotas import QuotaStore


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


def test_a_store_that_can_not_be_used_is_told_as_a_ledger_is(tmp_path: Path) -> None:
    """A quota file that is none is refused with a sentence."""
    (tmp_path / "quota").write_bytes(b"no database at all\n" * 99)

    with pytest.raises(LedgerError, match="the file is no ledger"):
        QuotaStore(tmp_path / "quota")
