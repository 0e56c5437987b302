"""Progress callbacks of a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pipeline.ledger.records import Phase, RunRecord
from pipeline.write.brakes.run_control import RunControl


@dataclass(slots=True)
class RunEvents:
    """
    Callbacks of a run. Each does nothing by default.

    - `begun`: the run has begun; gets its control, for example to drain it after a signal
    - `entered`: the run leaves staging for another phase
    - `staged`: gets the number of rows read so far
    - `tick`: called a few times per second while requests are sent
    - `log`: gets a line for the log
    - `ignored`: gets the names of files in input folders that are not read
    """

    begun: Callable[[RunRecord, RunControl], None] = field(default=lambda _run, _control: None)
    entered: Callable[[Phase], None] = field(default=lambda _phase: None)
    staged: Callable[[int], None] = field(default=lambda _rows: None)
    tick: Callable[[], None] = field(default=lambda: None)
    log: Callable[[str], None] = field(default=lambda _line: None)
    ignored: Callable[[Sequence[str]], None] = field(default=lambda _names: None)
