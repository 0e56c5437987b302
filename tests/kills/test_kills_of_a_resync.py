"""A process that dies while it resyncs a restored ledger leaves none that calls a wrong balance confirmed."""

import shutil
import signal

import pytest

from pipeline.simulator import Decision
from tests.kills.effects import Effect
from tests.kills.exports import Export
from tests.kills.fates import KilledAt
from tests.kills.fixtures import MakeScene
from tests.kills.scene import Scene


def balance(points: int) -> Export:
    """Return the balance of one card, under a key that is made from the row."""
    row = {"openid": "oTEST", "user_card_code": "000000000001", "point_balance": str(points)}
    return Export("points", [row], ["succeeded"], [])


def say(one: Scene, points: int, *words: str, fate: KilledAt | None = None) -> int:
    """Run the points with one balance; return the exit code."""
    balance(points).write(one.folder)
    return one.child("run", "points", *words, fate=fate).exit_code


def restored(one: Scene) -> Scene:
    """Send 100, back up, send 200, restore the ledger."""
    copy = one.folder / "backup.db"
    assert say(one, 100) == 0
    shutil.copy(one.ledger, copy)
    assert say(one, 200) == 0
    shutil.copy(copy, one.ledger)
    return one


def held(one: Scene) -> int | None:
    """Return the balance that the platform holds."""
    return [entry.points for entry in one.simulator.journal.entries if entry.decision is Decision.APPLIED][-1]


# The first commit is that of opening the ledger.
@pytest.mark.parametrize(
    ("effect", "number", "is_resynced"),
    [
        pytest.param(Effect.BEFORE_COMMIT, 2, False, id="before it begins"),
        pytest.param(Effect.AFTER_COMMIT, 2, True, id="when it has begun"),
        pytest.param(Effect.BEFORE_SEND, 1, True, id="before the request"),
        pytest.param(Effect.AFTER_SEND, 1, True, id="after the answer"),
    ],
)
def test_a_resync_may_die(scene: MakeScene, effect: Effect, number: int, *, is_resynced: bool) -> None:
    """The ledger is either refused still, or sends the balance: in the end the platform holds it."""
    one = restored(scene(balance(0)))
    killed = say(one, 100, "--resync", fate=KilledAt(number, only=effect))

    ended = say(one, 100)
    if not is_resynced:
        assert ended == 2
        ended = say(one, 100, "--resync")
    done = (ended, held(one), one.simulator.journal.entries)

    assert (killed, done[:2]) == (-signal.SIGKILL, (0, 100))
    assert (say(one, 100), one.simulator.journal.entries) == (0, done[2])
