"""A process that dies during a resync leaves no wrong balance that counts as confirmed."""

import shutil
import signal

import pytest

from pipeline.simulator import Decision
from tests.kills.effects import Effect
from tests.kills.exports import Export
from tests.kills.fixtures import NewWorkspace
from tests.kills.process_faults import KilledAt
from tests.kills.workspace import Workspace


def balance(points: int) -> Export:
    """Return the balance of one card, under a key that is made from the row."""
    row = {"openid": "oTEST", "user_card_code": "000000000001", "point_balance": str(points)}
    return Export("points", [row], ["succeeded"], [])


def run_points(one: Workspace, points: int, *words: str, fault: KilledAt | None = None) -> int:
    """Run the points with one balance; return the exit code."""
    balance(points).write(one.folder)
    return one.child("run", "points", *words, fault=fault).exit_code


def restored(one: Workspace) -> Workspace:
    """Send 100, back up, send 200, restore the ledger."""
    copy = one.folder / "backup.db"
    assert run_points(one, 100) == 0
    shutil.copy(one.ledger, copy)
    assert run_points(one, 200) == 0
    shutil.copy(copy, one.ledger)
    return one


def balance_at_platform(one: Workspace) -> int | None:
    """Return the balance that the platform holds."""
    return [entry.points for entry in one.simulator.journal.entries if entry.decision is Decision.APPLIED][-1]


# The first commit opens the ledger.
@pytest.mark.parametrize(
    ("effect", "number", "is_resynced"),
    [
        pytest.param(Effect.BEFORE_COMMIT, 2, False, id="before it begins"),
        pytest.param(Effect.AFTER_COMMIT, 2, True, id="when it has begun"),
        pytest.param(Effect.BEFORE_SEND, 1, True, id="before the request"),
        pytest.param(Effect.AFTER_SEND, 1, True, id="after the answer"),
    ],
)
def test_a_resync_may_die(new_workspace: NewWorkspace, effect: Effect, number: int, *, is_resynced: bool) -> None:
    """The ledger is still refused, or sends the balance: at the end the platform holds it."""
    one = restored(new_workspace(balance(0)))
    killed = run_points(one, 100, "--resync", fault=KilledAt(number, only=effect))

    ended = run_points(one, 100)
    if not is_resynced:
        assert ended == 2
        ended = run_points(one, 100, "--resync")
    done = (ended, balance_at_platform(one), one.simulator.journal.entries)

    assert (killed, done[:2]) == (-signal.SIGKILL, (0, 100))
    assert (run_points(one, 100), one.simulator.journal.entries) == (0, done[2])
