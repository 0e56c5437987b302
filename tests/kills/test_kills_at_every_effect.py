"""A process that dies between any two of its effects is carried on by the next one, as if nothing had been."""

import signal
import time
from itertools import count

from tests.kills import laws
from tests.kills.effects import Effect
from tests.kills.exports import orders, points
from tests.kills.fates import KilledAt
from tests.kills.fixtures import MakeScene
from tests.kills.scene import NO_RUN

_CONCURRENCY = 2


def test_a_process_may_die_at_any_of_its_effects(scene: MakeScene) -> None:
    """Killed before or after any BEGIN, COMMIT or request, a run is resumed: nothing lost, nothing counted twice."""
    for effect in count(1):
        one = scene(orders(4), concurrency=_CONCURRENCY)
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
        repeats = laws.duplicates_by_end(one.simulator.journal.entries, [died])
        assert sum(repeats) <= 2 * _CONCURRENCY
    assert effect > 40


def test_a_batch_that_is_wrong_is_not_sent_whenever_its_process_dies(scene: MakeScene) -> None:
    """Killed at any effect before, at or after the check, a run with too many invalid rows is checked again."""
    for effect in count(1):
        one = scene(orders(6), concurrency=_CONCURRENCY)
        killed = one.child("run", "orders", "--max-invalid", "0", fate=KilledAt(effect))
        if killed.exit_code >= 0:
            break

        ended = one.child("resume", "last")

        if NO_RUN not in ended.stderr:
            assert (ended.exit_code, one.simulator.journal.entries) == (4, ()), ended.stderr
            assert one.child("resume", "last", "--max-invalid", "1").exit_code == 3
            laws.all_is_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert (killed.exit_code, one.simulator.journal.entries) == (4, ())
    assert effect > 15


def test_a_process_that_takes_over_at_once_keeps_the_quota(scene: MakeScene) -> None:
    """What the dead process has sent within the last second counts, though it could not note the answers."""
    one = scene(points(13), concurrency=_CONCURRENCY)
    ends: list[float] = []
    for sent in (5, 3):
        words = ("resume", "last") if ends else ("run", "points")
        assert one.child(*words, fate=KilledAt(sent, only=Effect.AFTER_SEND)).exit_code == -signal.SIGKILL
        ends.append(time.monotonic())

    assert one.child("resume", "last").exit_code == 0
    entries = one.simulator.journal.entries
    laws.the_quota_was_kept(entries)
    laws.all_is_done(one.export, one.outcomes(), entries)
    assert max(laws.duplicates_by_end(entries, ends)) <= 2 * _CONCURRENCY
