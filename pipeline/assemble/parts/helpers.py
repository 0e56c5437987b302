"""The other senders of this host: processes of `backfill worker` for one run, which end with the process that leads."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pipeline.engines.processes import ProcessGroup
from pipeline.language import language_in_use, t

_log = logging.getLogger("backfill")

# How long a sender may take to end. It sends nothing any more then.
_PATIENCE_SECONDS = 10.0


class Helpers(Protocol):
    """Other processes that send for a run."""

    def check(self) -> None:
        """Log which of them have ended."""
        ...


class _LocalSenders:
    def __init__(self, group: ProcessGroup) -> None:
        self._group = group

    def check(self) -> None:
        for pid, exit_code in self._group.ended():
            _log.warning(
                t(
                    "the sending process {pid} ended with exit code {exit_code}; the others send what it had",
                    pid=pid,
                    exit_code=exit_code,
                ),
                extra={"event": "sender_ended"},
            )


@contextmanager
def local_senders(config: Path, run_id: str, count: int, environ: Mapping[str, str] | None = None) -> Iterator[Helpers]:
    """
    Start processes that send for a run, and end them with the context. They end too if this process dies.

    `environ` are variables that the config needs besides those of this process.
    """
    words = (
        "worker",
        "--config",
        str(config),
        "--run",
        run_id,
        "--lang",
        language_in_use(),
        "--until-input-ends",
        "-q",
    )
    command = [sys.executable, "-m", "pipeline", *words]
    with ProcessGroup(command, count, patience=_PATIENCE_SECONDS, environ=environ) as group:
        yield _LocalSenders(group)
