"""Progress of a run, as the callback of a library call gets it, and the way to cancel the run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline.language import t
from pipeline.ledger.records import Phase, RunRecord
from pipeline.model import Status
from pipeline.run.events import ProgressPhase
from pipeline.write.brakes.run_control import Ending, RunControl


@dataclass(frozen=True, slots=True)
class RunProgress:
    """
    How far a run has come.

    - `phase`: staging (inputs are read) or delivering (requests are sent)
    - `rows`: rows read by this call
    - `counts`: outcomes of this call by status
    - `waiting_for`: why sending waits now; empty if it does not wait
    """

    run_id: str
    job: str
    phase: Phase
    rows: int
    counts: Mapping[str, int]
    waiting_for: str
    _control: RunControl = field(repr=False)

    def cancel(self) -> None:
        """
        Drain the run: start nothing new, and finish requests in flight. Any thread may call it.

        The call then returns with state `interrupted` and exit code 5, and `resume` continues the run.
        """
        self._control.drain(Ending.INTERRUPTED, t("cancelled; {advice}", advice=t("continue with `backfill resume`")))


class ProgressCalls:
    """Calls a progress callback: when the run begins, after each chunk, and a few times per second while it sends."""

    def __init__(self, callback: Callable[[RunProgress], object] | None) -> None:
        self._callback = callback
        self._run: tuple[RunRecord, RunControl] | None = None
        self._rows = 0
        self._sends = False

    @property
    def control(self) -> RunControl | None:
        """The control of the run; None before it began."""
        return None if self._run is None else self._run[1]

    def begun(self, run: RunRecord, control: RunControl) -> None:
        """Follow this run."""
        self._run = (run, control)
        self._call(Phase.STAGING)

    def staged(self, rows: int) -> None:
        """Report the number of rows read so far."""
        self._rows = rows
        self._call(Phase.STAGING)

    def entered(self, phase: ProgressPhase) -> None:
        """Note whether the run sends: rows are counted while it reads, outcomes while it sends."""
        if self._sends:
            # The last tick may have come before the last outcome.
            self._call(Phase.DELIVERING)
        self._sends = phase is ProgressPhase.SENDING

    def tick(self) -> None:
        """Report the outcomes so far."""
        if self._sends:
            self._call(Phase.DELIVERING)

    def _call(self, phase: Phase) -> None:
        if self._callback is None or self._run is None:
            return
        run, control = self._run
        counts = {status.value: control.counts[status] for status in Status}
        self._callback(RunProgress(run.run_id, run.job, phase, self._rows, counts, control.waiting_for, control))
