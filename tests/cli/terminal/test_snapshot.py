"""The progress of a run as a line of a log."""

from dataclasses import replace

import pytest

from pipeline.cli.terminal.snapshot import Snapshot, Speed, duration, line_of
from pipeline.run.events import ProgressPhase
from tests.cli.terminal.snapshots import READING, SENDING

COUNTS = "12,000 succeeded, 900 skipped, 75 invalid, 5 rejected, 1 unknown"
SPEED = "15.5 of 20 req/s (78%); 15 min left, until 20:14 CST; 45 retries; 3 throttled"


@pytest.mark.parametrize(
    ("now", "line"),
    [
        pytest.param(READING, "reading: 12,000 rows read", id="reading"),
        pytest.param(
            replace(READING, phase=ProgressPhase.DECIDING, seconds=71.0), "deciding: for 2 min", id="deciding"
        ),
        pytest.param(SENDING, f"sending: 12,006 of 29,025; 41%; {COUNTS}; {SPEED}", id="sending"),
        pytest.param(
            replace(SENDING, counts={}, to_send=0, done=0, rate=None, seconds_left=None, retries=0, throttled=0),
            "sending: 0 of 0; 100%; quota 20 req/s", id="nothing to send",
        ),
        pytest.param(
            replace(SENDING, counts={}, seconds_left=90_000.0, retries=0, throttled=0),
            "sending: 12,006 of 29,025; 41%; 15.5 of 20 req/s (78%); 25 h 00 min left, until 2026-03-01 20:14 CST",
            id="a long run",
        ),
        pytest.param(
            replace(SENDING, seconds_left=None, waiting_for="waiting: the platform is down, until 12:00:40 UTC"),
            f"sending: 12,006 of 29,025; 41%; {COUNTS}; 15.5 of 20 req/s (78%); 45 retries; 3 throttled; "
            "waiting: the platform is down, until 12:00:40 UTC",
            id="a pause",
        ),
        pytest.param(
            replace(SENDING, rate=19.0, retries=0, throttled=0),
            f"sending: 12,006 of 29,025; 41%; {COUNTS}; 19.0 of 20 req/s (95%); 15 min left, until 20:14 CST; "
            "waiting for the quota only",
            id="full speed",
        ),
        pytest.param(
            replace(SENDING, rate=19.0, ending="the deadline 06:30 was reached", waiting_for="waiting: x"),
            f"sending: 12,006 of 29,025; 41%; {COUNTS}; 19.0 of 20 req/s (95%); 15 min left, until 20:14 CST; "
            "45 retries; 3 throttled; ending: the deadline 06:30 was reached",
            id="the end of a run with a deadline",
        ),
        pytest.param(
            replace(READING, ending="stopped by SIGINT", is_interrupted=True),
            "reading: 12,000 rows read; ending: stopped by SIGINT; a second signal ends it at once",
            id="the end of a run after a signal",
        ),
        pytest.param(
            replace(SENDING, phase=ProgressPhase.WRITING, seconds=3.0), f"writing reports: for 3 s; {COUNTS}",
            id="writing reports",
        ),
    ],
)  # fmt: skip
def test_a_line_says_how_far_a_run_is(now: Snapshot, line: str) -> None:
    """The line has phase, share, rows by status, speed against the quota, time left, and the cause of a pause."""
    assert line_of(now) == line


def test_a_speed_is_that_of_the_last_minute() -> None:
    """No speed is known in the first 5 seconds; later it is the mean of the last minute."""
    speed = Speed()
    speeds = []
    for second, number in ((0, 0), (4, 40), (5, 50), (60, 600), (65, 600), (130, 600)):
        speed.add(second, number)
        speeds.append(speed.per_second())

    assert speeds == [None, None, 10.0, 10.0, 550 / 60, 0.0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59.0, "59 s"), (61.0, "2 min"), (3600.0, "1 h 00 min"), (40_000.0, "11 h 07 min")],
)
def test_a_duration_is_rounded_up(seconds: float, text: str) -> None:
    """A duration has its largest units only."""
    assert duration(seconds) == text


def test_without_a_measurement_there_is_no_speed() -> None:
    """Nothing measured is no speed."""
    assert Speed().per_second() is None
