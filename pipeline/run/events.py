"""Progress callbacks of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.ledger.records import RunRecord
from pipeline.write.brakes.run_control import RunControl


class ProgressPhase(StrEnum):
    """The part of its work that a run does now, as progress shows it."""

    READING = "reading"
    DECIDING = "deciding"
    SENDING = "sending"
    WRITING = "writing"


@dataclass(slots=True)
class RunEvents:
    """
    Callbacks of a run. Each does nothing by default.

    - `begun`: the run has begun; gets its control, for example to drain it after a signal
    - `phase`: the run begins another part of its work
    - `staged`: gets the number of rows read so far
    - `to_send`: all is decided; gets the number of deliveries that are due
    - `tick`: called a few times per second, at each heartbeat of the run
    - `log`: gets a line for the log
    - `ignored`: gets the names of files in input folders that are not read
    """

    begun: Callable[[RunRecord, RunControl], None] = field(default=lambda _run, _control: None)
    phase: Callable[[ProgressPhase], None] = field(default=lambda _phase: None)
    staged: Callable[[int], None] = field(default=lambda _rows: None)
    to_send: Callable[[int], None] = field(default=lambda _deliveries: None)
    tick: Callable[[], None] = field(default=lambda: None)
    log: Callable[[str], None] = field(default=lambda _line: None)
    ignored: Callable[[Sequence[str]], None] = field(default=lambda _names: None)
