"""Logs on stderr, without secrets."""

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

from pipeline.cli.streams import write_at_once
from pipeline.redact import visible

log = logging.getLogger("backfill")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        return json.dumps(line, ensure_ascii=False)


class _WithoutSecrets(logging.Filter):
    """
    Masks the config's secrets in all logs, also in those of libraries.

    Tracebacks are removed, because they may contain anything. The result is one line that is safe for any terminal.
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
    """Write logs to stderr, as text lines or as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    console = logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    handler.setFormatter(_JsonFormatter() if log_format == "json" else console)
    handler.addFilter(_WithoutSecrets(secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # urllib3 would log host and path of every request.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    # The run's own warning says what these would say.
    for name in ("opentelemetry", "openlineage"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def log_at_once(text: str, log_format: str) -> None:
    """Log from a signal handler: write directly, without code that the signal may have interrupted."""
    if log_format == "json":
        record = log.makeRecord(log.name, logging.WARNING, __file__, 0, text, (), None)
        write_at_once(f"{_JsonFormatter().format(record)}\n")
    else:
        # Start a new line, because the progress line may be there.
        write_at_once(f"\n{text}\n")
