"""Logs and progress: on stderr, and without anything that names a user."""

import json
import logging
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TextIO

from pipeline.cli.streams import write_at_once
from pipeline.clock import Clock
from pipeline.model import Status
from pipeline.redact import visible
from pipeline.write.brakes.run_control import RunControl

log = logging.getLogger("backfill")

_LINE_EVERY_SECONDS = 10.0
_REDRAW_EVERY_SECONDS = 0.2


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        return json.dumps(line, ensure_ascii=False)


class _WithoutSecrets(logging.Filter):
    """
    Masks the config's secrets wherever they might turn up, also in what a library logs.

    Tracebacks are left out, since they may hold anything; what is left is one line that any terminal may print.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secrets = tuple(secret for secret in secrets if secret)

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        for secret in self._secrets:
            message = message.replace(secret, "***")
        record.msg, record.args = visible(message), ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def set_up_logs(log_format: str, secrets: Iterable[str] = ()) -> None:
    """Send logs to stderr, as lines for people or as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    console = logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    handler.setFormatter(_JsonFormatter() if log_format == "json" else console)
    handler.addFilter(_WithoutSecrets(secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Connection details of the HTTP library would name hosts and paths for every request.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def log_at_once(text: str, log_format: str) -> None:
    """Tell from within a signal's handler, in the form that logs have; what the signal interrupts is not entered."""
    if log_format == "json":
        record = log.makeRecord(log.name, logging.WARNING, __file__, 0, text, (), None)
        write_at_once(f"{_JsonFormatter().format(record)}\n")
    else:
        # A line of progress may stand there.
        write_at_once(f"\n{text}\n")


class Progress:
    """Shows how far an execution is: a line redrawn on a terminal, a log line now and then elsewhere."""

    def __init__(self, clock: Clock, *, shown: bool, stream: TextIO | None = None) -> None:
        self._clock = clock
        self._stream = stream or sys.stderr
        self._shown = shown
        self._redraws = shown and self._stream.isatty()
        self._next_at = 0.0
        self._drawn = False
        self._counts: Callable[[], str] = str

    def staged(self, rows: int) -> None:
        """Tell how many rows were read so far."""
        self._tell(lambda: f"read {rows} rows")

    def follow(self, control: RunControl) -> None:
        """Show the progress of this run from here on."""

        def counts() -> str:
            counted = ", ".join(f"{control.counts[s]} {s}" for s in Status if control.counts[s]) or "starting"
            return f"{counted}; waiting: {control.waiting_for}" if control.waiting_for else counted

        self._counts = counts

    def tick(self) -> None:
        """Tell how many rows have which outcome so far; called a few times a second."""
        self._tell(lambda: f"sending: {self._counts()}")

    def _tell(self, text: Callable[[], str]) -> None:
        now = self._clock.steady()
        if not self._shown or now < self._next_at:
            return
        if not self._redraws:
            # The first line comes after a while: a short run needs none.
            if self._next_at:
                log.info(text())
            self._next_at = now + _LINE_EVERY_SECONDS
            return
        self._next_at = now + _REDRAW_EVERY_SECONDS
        self._stream.write(f"\r\x1b[K{text()}")
        self._stream.flush()
        self._drawn = True

    def end(self) -> None:
        """Leave the line, so that what follows begins on one of its own."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
