"""
Logs on stderr, without secrets: a line each, for people or as JSON.

All code logs with the standard library, to the logger `backfill`. Facts of a line are fields: `extra={"event": ...}`.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, MutableMapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any, cast

from pipeline.cli.terminal.streams import write_at_once
from pipeline.redact import visible

log = logging.getLogger("backfill")

# Attributes of each record; all others are fields.
_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_FIRST_FIELDS = ("at", "level", "logger", "event", "message", "run_id", "job")

_Event = MutableMapping[str, Any]


class _WithoutSecrets(logging.Filter):
    """
    Masks the config's secrets in all logs, also in those of libraries.

    Tracebacks are removed, because they may contain anything. The result is one line that is safe for any terminal.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._secrets = tuple(secret for secret in secrets if secret)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._masked(record.getMessage()), ()
        record.exc_info = record.exc_text = record.stack_info = None
        for name in vars(record).keys() - _OF_RECORDS:
            value = getattr(record, name)
            setattr(
                record, name, value if value is None or isinstance(value, int | float) else self._masked(str(value))
            )
        return True

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return visible(text)


class _OfRun(logging.Filter):
    """Adds the run to each line. One run at a time is active in a process, and its threads share the field values."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        for name, value in self.fields.items():
            if not hasattr(record, name):
                setattr(record, name, value)
        return True


_of_run = _OfRun()


def set_up_logs(args: argparse.Namespace, secrets: Iterable[str] = ()) -> None:
    """Write logs to stderr, as the options `--log-format`, `-v` and `-q` say."""
    _of_run.fields = {}
    handler = _Handler()
    handler.setFormatter(_formatter(args.log_format, has_fields=args.verbose))
    handler.addFilter(_of_run)
    handler.addFilter(_WithoutSecrets(secrets))
    level = logging.DEBUG if args.verbose else logging.ERROR if args.quiet else logging.INFO
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    log.setLevel(level)
    handler.setLevel(level)
    # urllib3 would log host and path of every request.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    # The run's own warning says what these would say.
    for name in ("opentelemetry", "openlineage"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def log_run(run_id: str, job: str) -> None:
    """Add this run to each line from now on."""
    _of_run.fields = {"run_id": run_id, "job": job}


def log_at_once(text: str, log_format: str) -> None:
    """Log from a signal handler: write directly, without code that the signal may have interrupted."""
    if log_format == "json":
        record = log.makeRecord(log.name, logging.WARNING, __file__, 0, text, (), None, extra=_of_run.fields)
        write_at_once(f"{_formatter(log_format, has_fields=True).format(record)}\n")
    else:
        write_at_once(f"\n{text}\n")


class _Handler(logging.StreamHandler[Any]):
    """Writes to the present sys.stderr: while progress is shown on a terminal, lines appear above it."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _formatter(log_format: str, *, has_fields: bool) -> logging.Formatter:
    structlog = _structlog()
    render: Callable[..., str] = structlog.processors.JSONRenderer(ensure_ascii=False)
    if log_format == "console":
        render = _with_fields if has_fields else _line
    steps = [
        structlog.stdlib.ExtraAdder(), _complete, structlog.stdlib.ProcessorFormatter.remove_processors_meta, render
    ]  # fmt: skip
    return cast("logging.Formatter", structlog.stdlib.ProcessorFormatter(processors=steps))


def _structlog() -> ModuleType:
    """
    Import structlog without rich, which it would load for tracebacks.

    That takes a tenth of a second, and these logs have no tracebacks. An entry of None makes an import fail.
    """
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    is_blocked = "structlog" not in modules and "rich" not in modules
    if is_blocked:
        modules["rich"] = None
    try:
        import structlog  # noqa: PLC0415 - see above
    finally:
        if is_blocked:
            del modules["rich"]
    return structlog


def _complete(_logger: object, _method: str, event: _Event) -> _Event:
    """Add time, level, logger and message; `event` is the word for what happened, the same in every language."""
    record = cast("logging.LogRecord", event["_record"])
    complete = {
        **event,
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": getattr(record, "event", "message"),
        "message": record.getMessage(),
    }
    return {name: complete[name] for name in (*_FIRST_FIELDS, *complete) if name in complete}


def _line(_logger: object, _method: str, event: _Event) -> str:
    """Return a line for people, with the local time."""
    at = datetime.fromisoformat(event["at"]).astimezone().isoformat(" ", "seconds")
    return f"{at} {event['level'].upper()} {event['message']}"


def _with_fields(logger: object, method: str, event: _Event) -> str:
    """Return a line for people, with its fields."""
    fields = [f"{name}={value}" for name, value in event.items() if name not in ("at", "level", "logger", "message")]
    return f"{_line(logger, method, event)} [{' '.join(fields)}]"
