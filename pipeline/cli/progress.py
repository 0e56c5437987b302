"""Progress of a run: a redrawn line on a terminal, else a log line every 10 seconds."""

import sys
from collections.abc import Callable
from typing import TextIO

from pipeline.cli.logs import log
from pipeline.clock import Clock
from pipeline.language import t
from pipeline.model import Status
from pipeline.write.brakes.run_control import RunControl

_REDRAW_EVERY_SECONDS = 0.2
_LINE_EVERY_SECONDS = 10.0


class Progress:
    """
    Shows rows read, then rows by status; nothing if `shown` is false.

    Without a terminal, the first line comes after 10 seconds, because a short run needs none.
    """

    def __init__(self, clock: Clock, *, shown: bool, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr
        self._shown = shown
        self._redraws = shown and self._stream.isatty()
        self._next_at = 0.0
        self._drawn = False
        self._control: RunControl | None = None

    def staged(self, rows: int) -> None:
        """Show the number of rows read so far."""
        self._show(lambda: t("read {rows} rows", rows=rows))

    def follow(self, control: RunControl) -> None:
        """Show the counts of this run from now on."""
        self._control = control

    def tick(self) -> None:
        """Show rows by status; called a few times per second."""
        self._show(lambda: t("sending: {counts}", counts=self._counts()))

    def end(self) -> None:
        """Clear the line for the next output."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False

    def _counts(self) -> str:
        control = self._control
        if control is None:
            return t("starting")
        counted = ", ".join(f"{control.counts[s]} {s}" for s in Status if control.counts[s]) or t("starting")
        return f"{counted}; {control.waiting_for}" if control.waiting_for else counted

    def _show(self, text: Callable[[], str]) -> None:
        now = self._clock.steady()
        if not self._shown or now < self._next_at:
            return
        if self._redraws:
            self._next_at = now + _REDRAW_EVERY_SECONDS
            self._stream.write(f"\r\x1b[K{text()}")
            self._stream.flush()
            self._drawn = True
            return
        if self._next_at:
            log.info(text())
        self._next_at = now + _LINE_EVERY_SECONDS
