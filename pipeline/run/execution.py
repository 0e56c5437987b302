"""What one execution of a run does, from its first act or from where an earlier one stopped, to its end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pipeline.clock import Clock
from pipeline.errors import SettingsError, SourceError
from pipeline.ledger.records import Due, RunRecord, RunState
from pipeline.ledger.run_ledger import RunLedger
from pipeline.model import LaneOrder, Status, Wait
from pipeline.run.waits import Waits
from pipeline.write.brakes.run_control import Drained, Ending, RunControl
from pipeline.write.delivery import timestamp

T = TypeVar("T")


class Engine(Protocol):
    """How several lanes are carried at once."""

    def run(
        self,
        tasks: Iterator[T],
        work: Callable[[T], None],
        *,
        workers: int,
        tick: Callable[[], None],
        give_up: Callable[[], None],
    ) -> None:
        """Work off all tasks; call `tick` a few times a second; raise the first exception once all is at rest."""
        ...


class Deliver(Protocol):
    """How the lanes of a run are carried."""

    def __call__(self, lanes: Iterator[list[Due]], *, tick: Callable[[], None]) -> None:
        """Carry all lanes; call `tick` a few times a second; raise the first exception once all is at rest."""
        ...


@dataclass(frozen=True, slots=True)
class Cast:
    """
    Who takes part in an execution.

    `throttled` returns how many answers were throttled so far, `waiting` what sending waits for now; `said` takes a
    line when such a wait begins or ends. `report` writes the report of the concluded run and
    returns the exit code. With `most_rows` no more than so many of the rows that are left are delivered.
    """

    run: RunLedger
    deliver: Deliver
    control: RunControl
    throttled: Callable[[], int]
    clock: Clock
    tick: Callable[[], None]
    report: Callable[[RunRecord], int]
    order: LaneOrder = LaneOrder.SOURCE
    most_rows: int | None = None
    waiting: Callable[[], Sequence[Wait]] = tuple
    said: Callable[[str], None] = lambda _line: None


def execute(cast: Cast, stage: Callable[[], object] | None) -> int:
    """
    Stage, where that is still to be done, deliver, conclude and report; return the exit code.

    A fault of an input concludes the run and is raised: nothing was sent. Any other exception leaves the run as a
    crash would: `resume` goes on with it.
    """
    try:
        return _Execution(cast).carry_out(stage)
    finally:
        cast.run.leave()


class _Execution:
    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._started = cast.clock.steady()
        self._is_staged = False
        self._sending_seconds = 0.0
        self._waits = Waits(cast.clock)

    def carry_out(self, stage: Callable[[], object] | None) -> int:
        cast = self._cast
        try:
            if stage is not None:
                stage()
            self._is_staged = True
            self._deliver()
        except Drained:
            pass
        except (SourceError, SettingsError) as exc:
            cast.control.drain(Ending.STOPPED, str(exc), halt_code="input")
            self._conclude()
            cast.run.finish(2)
            raise
        exit_code = cast.report(self._conclude())
        cast.run.finish(exit_code)
        return exit_code

    def _deliver(self) -> None:
        cast = self._cast
        cast.control.check_running()
        started = cast.clock.steady()
        cast.deliver(cast.run.lanes(cast.order, cast.most_rows), tick=self._tick)
        cast.run.keep_up()
        if cast.most_rows is not None:
            cast.control.drain(Ending.INTERRUPTED, f"no more than {cast.most_rows} rows were to be delivered (--limit)")
        self._sending_seconds = cast.clock.steady() - started

    def _tick(self) -> None:
        # All workers may be waiting, for long, when the deadline comes: draining wakes them.
        with suppress(Drained):
            self._cast.control.check_running()
        self._cast.run.keep_up()
        lines = self._waits.observe(self._cast.waiting())
        self._cast.control.waiting_for = self._waits.shown()
        # Last: these may write to a terminal that takes nothing.
        for line in lines:
            self._cast.said(line)
        self._cast.tick()

    def _conclude(self) -> RunRecord:
        cast, control = self._cast, self._cast.control
        state = self._state()
        return cast.run.conclude(
            state=state,
            reason=None if state is RunState.COMPLETED else control.reason,
            finished_at=timestamp(cast.clock.now()),
            open_as=control.open_as,
            progress={
                "throttled": cast.throttled(),
                "elapsed_s": cast.clock.steady() - self._started,
                "sending_s": self._sending_seconds,
            },
            waits=self._waits.end(),
        )

    def _state(self) -> RunState:
        if self._cast.control.ending in (Ending.STOPPED, Ending.TOO_MANY_INVALID):
            return RunState.STOPPED
        if self._cast.control.ending is None:
            return RunState.COMPLETED
        # A deadline or a signal that came when all was done took nothing away.
        is_done = self._is_staged and not self._cast.run.has_open_dues()
        return RunState.COMPLETED if is_done else RunState.INTERRUPTED


def exit_code_of(state: RunState, counts: Mapping[Status, int]) -> int:
    """Return the exit code that says how a run ended."""
    match state:
        case RunState.STOPPED:
            return 4
        case RunState.INTERRUPTED:
            return 5
        case RunState.COMPLETED:
            done = counts[Status.SUCCEEDED] + counts[Status.SKIPPED]
            return 0 if done == sum(counts.values()) else 3
