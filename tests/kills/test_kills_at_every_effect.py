"""A process that dies between any two of its effects is carried on by the next one, as if nothing had been."""

import signal
import time
from itertools import count

from tests.kills import laws
from tests.kills.conftest import MakeScene
from tests.kills.exports import orders
from tests.kills.fates import KilledAt

_CONCURRENCY = 2


def test_a_process_may_die_at_any_of_its_effects(scene: MakeScene) -> None:
    """Killed before or after any BEGIN, COMMIT or request, a run is resumed: nothing lost, nothing counted twice."""
    for effect in count(1):
        one = scene(orders(5), concurrency=_CONCURRENCY)
        killed = one.child("run", "orders", fate=KilledAt(effect))
        died = time.monotonic()
        if killed.exit_code >= 0:
            break
        assert killed.exit_code == -signal.SIGKILL, killed.stderr
        if one.child("report", "last", "--output", "killed").exit_code == 0:
            laws.what_is_told_is_so(one.outcomes(one.folder / "killed"), one.simulator.journal.entries)

        ended = one.carry_on()

        assert ended.exit_code == one.export.exit_code, ended.stderr
        laws.all_is_done(one.export, one.outcomes(), one.simulator.journal.entries)
        repeats = laws.repeats_by_end(one.simulator.journal.entries, [died])
        assert sum(repeats) <= 2 * _CONCURRENCY
    assert effect > 40
