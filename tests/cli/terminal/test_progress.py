"""When progress is shown, and where."""

import io
import logging
from argparse import Namespace
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from pipeline.cli.terminal.display import Display
from pipeline.cli.terminal.progress import LogScreen, Progress, Screen, screen_of
from pipeline.cli.terminal.snapshot import Snapshot
from pipeline.model import Status
from pipeline.run.events import ProgressPhase
from pipeline.write.brakes.run_control import Ending, RunControl
from tests.cli.terminal.snapshots import RUN, SHANGHAI
from tests.moved_clock import MovedClock


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Shown:
    """A screen that keeps what it shows."""

    every: float = 0.2
    redraws: bool = True
    snapshots: list[Snapshot] = field(default_factory=list)
    ends: int = 0

    def show(self, now: Snapshot) -> None:
        self.snapshots.append(now)

    def end(self) -> None:
        self.ends += 1


def progress_of(clock: MovedClock, screen: Screen | None) -> tuple[Progress, RunControl]:
    progress, control = Progress(clock, screen), RunControl(clock)
    progress.follow(RUN, control, SHANGHAI)
    return progress, control


def send(progress: Progress, control: RunControl, clock: MovedClock, *, seconds: int) -> None:
    """Send 10 rows each second, one of them with a retry."""
    for _ in range(seconds):
        clock.move(1)
        control.count(Status.SUCCEEDED, 10)
        for attempt in range(11):
            control.count_attempt(is_retry=attempt == 10, is_throttled=attempt == 10)
        progress.tick()


def test_progress_goes_through_the_phases_of_a_run() -> None:
    """Rows read, then rows by status with speed and time left, then the reports: each phase is shown at once."""
    clock, screen = MovedClock(), Shown()
    progress, control = progress_of(clock, screen)
    progress.phase(ProgressPhase.READING)
    progress.staged(1000)
    clock.move(0.2)
    progress.staged(2000)
    progress.phase(ProgressPhase.DECIDING)
    control.count(Status.SKIPPED, 100)
    progress.to_send(1900)
    progress.phase(ProgressPhase.SENDING)
    send(progress, control, clock, seconds=10)
    progress.phase(ProgressPhase.WRITING)
    progress.end()

    assert [(now.phase, now.rows_read, now.to_send, now.done) for now in screen.snapshots] == [
        (ProgressPhase.READING, 0, None, 0),
        (ProgressPhase.READING, 2000, None, 0),
        (ProgressPhase.DECIDING, 2000, None, 0),
        *((ProgressPhase.SENDING, 2000, 1900, 10 * second) for second in range(11)),
        (ProgressPhase.WRITING, 2000, 1900, 100),
    ]
    assert screen.ends == 1
    assert screen.snapshots[-2] == Snapshot(
        job="orders",
        run_id=RUN.run_id,
        phase=ProgressPhase.SENDING,
        limit=20.0,
        seconds=10.0,
        rows_read=2000,
        counts={Status.SUCCEEDED: 100, Status.SKIPPED: 100},
        to_send=1900,
        done=100,
        retries=10,
        throttled=10,
        rate=11.0,
        seconds_left=180.0,
        ends_at=datetime(2026, 3, 1, 20, 3, 10, 200_000, tzinfo=SHANGHAI),
    )


def test_time_left_is_not_guessed() -> None:
    """No time left is shown before 5 seconds are measured, and during a pause."""
    clock, screen = MovedClock(), Shown()
    progress, control = progress_of(clock, screen)
    progress.to_send(1000)
    progress.phase(ProgressPhase.SENDING)
    send(progress, control, clock, seconds=5)
    control.waiting_for = "waiting: the platform is down"
    send(progress, control, clock, seconds=1)

    assert [now.seconds_left for now in screen.snapshots] == [None] * 5 + [95.0, None]
    assert screen.snapshots[-1].waiting_for == "waiting: the platform is down"


def test_an_ending_is_shown() -> None:
    """After a signal, the progress shows at once why the run ends."""
    clock, screen = MovedClock(), Shown()
    progress, control = progress_of(clock, screen)
    progress.phase(ProgressPhase.SENDING)
    control.drain(Ending.INTERRUPTED, "stopped by SIGINT")
    for _ in range(3):
        progress.tick()

    assert [(now.ending, now.is_interrupted) for now in screen.snapshots] == [("", False), ("stopped by SIGINT", True)]


def test_a_terminal_is_redrawn_five_times_per_second() -> None:
    """Ticks in between draw nothing."""
    clock, screen = MovedClock(), Shown()
    progress, _ = progress_of(clock, screen)
    for _ in range(100):
        progress.tick()
        clock.move(0.0625)

    assert len(screen.snapshots) == 25


def test_without_a_terminal_a_line_comes_every_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A short run logs no progress, and a long one a line every minute, with the counts as fields."""
    clock = MovedClock()
    progress, control = progress_of(clock, LogScreen())
    progress.to_send(2000)
    with caplog.at_level(logging.INFO, "backfill"):
        progress.phase(ProgressPhase.SENDING)
        send(progress, control, clock, seconds=130)
        progress.end()

    assert [record.getMessage() for record in caplog.records] == [
        "sending: 600 of 2,000; 30%; 600 succeeded; 11.0 of 20 req/s (55%); 3 min left, until 20:03 CST; 60 retries; "
        "60 throttled",
        "sending: 1,200 of 2,000; 60%; 1,200 succeeded; 11.0 of 20 req/s (55%); 2 min left, until 20:03 CST; "
        "120 retries; 120 throttled",
    ]
    names = ("event", "phase", "succeeded", "to_send", "done", "retries", "requests_per_s", "seconds_left")
    assert [getattr(caplog.records[1], name) for name in names] == [
        "progress", "sending", 1200, 2000, 1200, 120, 11.0, 80,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "environ", "stream", "kind"),
    [
        pytest.param({}, {"TERM": "xterm"}, Terminal(), Display, id="a terminal"),
        pytest.param({}, {"TERM": "xterm", "NO_COLOR": "1"}, Terminal(), Display, id="without colours"),
        pytest.param({}, {"TERM": "xterm"}, io.StringIO(), LogScreen, id="a pipe or a file"),
        pytest.param({}, {"TERM": "dumb"}, Terminal(), LogScreen, id="a terminal that can not move its cursor"),
        pytest.param({}, {}, Terminal(), LogScreen, id="an unknown terminal"),
        pytest.param({"log_format": "json"}, {"TERM": "xterm"}, Terminal(), LogScreen, id="JSON lines"),
        pytest.param({"quiet": True}, {"TERM": "xterm"}, Terminal(), type(None), id="quiet"),
        pytest.param({"no_progress": True}, {}, io.StringIO(), type(None), id="no progress"),
    ],
)
def test_the_place_of_progress(
    options: dict[str, object], environ: dict[str, str], stream: io.StringIO, kind: type
) -> None:
    """Lines are redrawn on a terminal that can move its cursor, for people; else the log has them."""
    args = Namespace(**{"quiet": False, "no_progress": False, "log_format": "console"} | options)

    assert type(screen_of(args, stream, environ)) is kind


def test_without_a_place_nothing_is_shown() -> None:
    """With `-q` or `--no-progress`, progress is neither measured nor shown."""
    progress, control = progress_of(MovedClock(), None)
    progress.phase(ProgressPhase.SENDING)
    control.count(Status.SUCCEEDED)
    progress.tick()
    progress.end()
