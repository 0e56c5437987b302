"""Progress of a run on stderr: lines of a terminal that are redrawn, else a log line every minute."""

import argparse
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol, TextIO
from zoneinfo import ZoneInfo

from pipeline.cli.terminal.logs import log
from pipeline.cli.terminal.snapshot import Snapshot, Speed, line_of
from pipeline.clock import Clock
from pipeline.ledger.records import RunRecord
from pipeline.model import Status
from pipeline.run.events import ProgressPhase
from pipeline.write.brakes.run_control import Ending, RunControl

_LINE_EVERY_SECONDS = 60.0
# Terminals that can't move the cursor.
_SIMPLE_TERMINALS = ("", "dumb", "unknown")


class Screen(Protocol):
    """The place where progress is shown; `every` is the interval in seconds, `redraws` whether it replaces itself."""

    every: float
    redraws: bool

    def show(self, now: Snapshot) -> None:
        """Show the progress."""
        ...

    def end(self) -> None:
        """Leave a clean line for the next output."""
        ...


class LogScreen:
    """Progress as log lines."""

    every = _LINE_EVERY_SECONDS
    redraws = False

    def show(self, now: Snapshot) -> None:
        """Log the progress."""
        log.info(line_of(now), extra=_fields(now))

    def end(self) -> None:
        """Do nothing."""


def screen_of(args: argparse.Namespace, stream: TextIO, environ: Mapping[str, str]) -> Screen | None:
    """Return where progress is shown: a terminal, the log, or nowhere (None)."""
    if args.quiet or args.no_progress:
        return None
    is_terminal = stream.isatty() and environ.get("TERM", "") not in _SIMPLE_TERMINALS
    if not is_terminal or args.log_format == "json":
        return LogScreen()
    # Imported here, because rich is needed on a terminal only.
    from pipeline.cli.terminal.display import Display  # noqa: PLC0415

    return Display(stream, environ)


class Progress:
    """
    Measures the progress of one run, and shows it from time to time.

    A log gets its first line after a minute, because a short run needs none.
    """

    def __init__(self, clock: Clock, screen: Screen | None) -> None:
        self._clock = clock
        self._screen = screen
        self._next_at = clock.steady() + (0.0 if screen is None or screen.redraws else screen.every)
        self._run: RunRecord | None = None
        self._control: RunControl | None = None
        self._zone = ZoneInfo("UTC")
        self._phase, self._phase_began = ProgressPhase.READING, clock.steady()
        self._ending: Ending | None = None
        self._rows_read = 0
        self._to_send: int | None = None
        self._settled_before = 0
        self._requests = Speed()
        self._deliveries = Speed()

    def follow(self, run: RunRecord, control: RunControl, zone: ZoneInfo) -> None:
        """Show this run from now on, with times in this zone."""
        self._run, self._control, self._zone = run, control, zone

    def phase(self, phase: ProgressPhase) -> None:
        """Show that another phase begins."""
        self._phase, self._phase_began = phase, self._clock.steady()
        if self._screen is not None and self._screen.redraws:
            self._next_at = self._clock.steady()
        self.tick()

    def staged(self, rows: int) -> None:
        """Show the number of rows read so far."""
        self._rows_read = rows
        self.tick()

    def to_send(self, deliveries: int) -> None:
        """Note how many deliveries are due; all outcomes from now on are theirs."""
        self._to_send = deliveries
        self._settled_before = self._settled()

    def tick(self) -> None:
        """Measure, and show the progress if it is time; called a few times per second."""
        now = self._clock.steady()
        if self._screen is None or self._run is None or self._control is None:
            return
        if self._phase is ProgressPhase.SENDING:
            self._requests.add(now, self._control.attempts)
            self._deliveries.add(now, self._settled())
        is_new_ending = self._screen.redraws and self._control.ending is not self._ending
        if now >= self._next_at or is_new_ending:
            self._ending = self._control.ending
            self._next_at = now + self._screen.every
            self._screen.show(self._snapshot(self._run, self._control))

    def end(self) -> None:
        """Leave a clean line for the next output."""
        if self._screen is not None:
            self._screen.end()

    def _settled(self) -> int:
        return sum(_counts(self._control).values()) if self._control is not None else 0

    def _snapshot(self, run: RunRecord, control: RunControl) -> Snapshot:
        done = self._settled() - self._settled_before
        seconds_left = self._seconds_left(done) if not control.waiting_for else None
        return Snapshot(
            job=run.job,
            run_id=run.run_id,
            phase=self._phase,
            limit=run.limit_per_s,
            seconds=self._clock.steady() - self._phase_began,
            rows_read=self._rows_read,
            counts=_counts(control),
            to_send=self._to_send,
            done=done,
            retries=control.retries,
            throttled=control.throttled,
            rate=self._requests.per_second(),
            seconds_left=seconds_left,
            ends_at=None
            if seconds_left is None
            else (self._clock.now() + timedelta(seconds=seconds_left)).astimezone(self._zone),
            waiting_for=control.waiting_for,
            ending=(control.reason or "") if control.ending is not None else "",
            is_interrupted=control.ending is Ending.INTERRUPTED,
        )

    def _seconds_left(self, done: int) -> float | None:
        speed = self._deliveries.per_second()
        return max(0, self._to_send - done) / speed if self._to_send is not None and speed else None


def _counts(control: RunControl) -> dict[Status, int]:
    """Return the outcomes so far. Workers add to them meanwhile, so the counter itself is not iterated."""
    return {status: control.counts[status] for status in Status if control.counts[status]}


def _fields(now: Snapshot) -> dict[str, object]:
    """Return the progress as fields of a log line."""
    return {
        "event": "progress",
        "phase": now.phase,
        "rows_read": now.rows_read,
        **{str(status): rows for status, rows in now.counts.items()},
        "to_send": now.to_send,
        "done": now.done,
        "retries": now.retries,
        "throttled": now.throttled,
        "requests_per_s": None if now.rate is None else round(now.rate, 1),
        "quota_per_s": now.limit,
        "seconds_left": None if now.seconds_left is None else round(now.seconds_left),
        "waiting_for": now.waiting_for,
    }
