"""Progress callbacks of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.ledger.records import RunRecord
from pipeline.write.brakes.run_control import RunControl


@dataclass(slots=True)
class RunEvents:
    """
    Callbacks of a run. Each does nothing by default.

    `begun` gets the run's control, to drain the run from outside. `staged` gets the number of rows read so far.
    `tick` comes a few times a second while requests are sent. `said` gets a line for the log. `ignored` gets the names
    of files in the input folders that are not read.
    """

    begun: Callable[[RunRecord, RunControl], None] = field(default=lambda _run, _control: None)
    staged: Callable[[int], None] = field(default=lambda _rows: None)
    tick: Callable[[], None] = field(default=lambda: None)
    said: Callable[[str], None] = field(default=lambda _line: None)
    ignored: Callable[[Sequence[str]], None] = field(default=lambda _names: None)
