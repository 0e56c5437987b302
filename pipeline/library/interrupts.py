"""SIGINT during a call: Ctrl-C in a terminal, or "interrupt the kernel" in a notebook."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

from pipeline.language import t
from pipeline.library.results import RunResult
from pipeline.write.brakes.run_control import Ending, RunControl


class RunInterrupted(KeyboardInterrupt):
    """A run was drained by SIGINT. Its report is written; `result` says what is left, and `resume` continues it."""

    def __init__(self, result: RunResult) -> None:
        self.result = result
        super().__init__(
            t("run {run} was interrupted: {left} rows are left; continue it with resume()",
              run=result.run_id, left=f"{result.left:,}")
        )  # fmt: skip


class Interrupts:
    """
    Drains the run at the first SIGINT; raises KeyboardInterrupt at a second one, and before the run began.

    It acts only where KeyboardInterrupt would be raised by default: in the main thread, without a handler of the
    application.
    """

    def __init__(self, control: Callable[[], RunControl | None]) -> None:
        self.received = False
        self._control = control
        self._is_handler = False

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._on_signal)
            self._is_handler = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_handler:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        control = self._control()
        if control is None or self.received:
            raise KeyboardInterrupt
        self.received = True
        control.drain(
            Ending.INTERRUPTED,
            t("stopped by {name}; {advice}", name="SIGINT", advice=t("continue with `backfill resume`")),
        )
