"""A process that dies between any two of its effects is continued by the next one."""

import signal
import time
from itertools import count

from tests.kills import promises
from tests.kills.effects import Effect
from tests.kills.exports import orders, points
from tests.kills.fixtures import NewWorkspace
from tests.kills.process_faults import KilledAt
from tests.kills.workspace import NO_RUN

_CONCURRENCY = 2


def test_a_process_may_die_at_any_of_its_effects(new_workspace: NewWorkspace) -> None:
    """Killed before or after any BEGIN, COMMIT or request, a run is resumed: nothing lost, nothing twice."""
    for effect in count(1):
        one = new_workspace(orders(4), concurrency=_CONCURRENCY)
        killed = one.child("run", "orders", fault=KilledAt(effect))
        died = time.monotonic()
        if killed.exit_code >= 0:
            break
        assert killed.exit_code == -signal.SIGKILL, killed.stderr
        if one.child("report", "last", "--output", "killed").exit_code == 0:
            promises.statuses_are_true(one.outcomes(one.folder / "killed"), one.simulator.journal.entries)

        ended = one.resume_or_run()

        assert ended.exit_code == one.export.exit_code, ended.stderr
        promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)
        resent = promises.resent_by_end(one.simulator.journal.entries, [died])
        assert sum(resent) <= 2 * _CONCURRENCY
    assert effect > 40


def test_a_wrong_batch_is_not_sent_after_any_kill(new_workspace: NewWorkspace) -> None:
    """Killed at any effect, a run with too many invalid rows is checked again."""
    for effect in count(1):
        one = new_workspace(orders(6), concurrency=_CONCURRENCY)
        killed = one.child("run", "orders", "--max-invalid", "0", fault=KilledAt(effect))
        if killed.exit_code >= 0:
            break

        ended = one.child("resume", "last")

        if NO_RUN not in ended.stderr:
            assert (ended.exit_code, one.simulator.journal.entries) == (4, ()), ended.stderr
            assert one.child("resume", "last", "--max-invalid", "1").exit_code == 3
            promises.all_rows_are_done(one.export, one.outcomes(), one.simulator.journal.entries)
    assert (killed.exit_code, one.simulator.journal.entries) == (4, ())
    assert effect > 15


def test_a_process_that_takes_over_at_once_keeps_the_quota(new_workspace: NewWorkspace) -> None:
    """Requests of the dead process within the last second count, although it could not note the answers."""
    one = new_workspace(points(13), concurrency=_CONCURRENCY)
    ends: list[float] = []
    for sent in (5, 3):
        words = ("resume", "last") if ends else ("run", "points")
        assert one.child(*words, fault=KilledAt(sent, only=Effect.AFTER_SEND)).exit_code == -signal.SIGKILL
        ends.append(time.monotonic())

    assert one.child("resume", "last").exit_code == 0
    entries = one.simulator.journal.entries
    promises.the_quota_was_kept(entries)
    promises.all_rows_are_done(one.export, one.outcomes(), entries)
    assert max(promises.resent_by_end(entries, ends)) <= 2 * _CONCURRENCY
