"""Progress callback, `cancel`, and SIGINT."""

import signal
import threading
from pathlib import Path

import pandas as pd
import pytest

from pipeline.library import RunInterrupted, RunProgress, resume, run
from pipeline.simulator import Simulator


def test_a_callback_sees_the_progress_of_a_run(config: Path, frame: pd.DataFrame) -> None:
    """It is called at the begin, after each chunk, and while requests are sent."""
    seen: list[RunProgress] = []

    result = run(config, "orders", frame, progress=seen.append, environ={})

    assert {(each.run_id, each.job) for each in seen} == {(result.run_id, "orders")}
    assert [(each.phase, each.rows) for each in seen[:2]] == [("staging", 0), ("staging", 2)]
    assert (seen[-1].phase, seen[-1].rows, seen[-1].waiting_for) == ("delivering", 2, "")
    assert seen[-1].counts == result.counts


def test_cancel_drains_a_run_and_resume_continues_it(config: Path, frame: pd.DataFrame, simulator: Simulator) -> None:
    """A cancelled run returns as interrupted, with a report; `resume` reads the saved table again and sends it."""
    cancelled = run(config, "orders", frame, progress=RunProgress.cancel, environ={})
    requests = len(simulator.journal.entries)
    resumed = resume(config, environ={})

    assert (cancelled.state, cancelled.exit_code, cancelled.reason) == (
        "interrupted",
        5,
        "cancelled; continue with `backfill resume`",
    )
    assert (requests, (cancelled.report / "summary.json").is_file()) == (0, True)
    assert (resumed.run_id, resumed.exit_code, resumed.counts["succeeded"]) == (cancelled.run_id, 0, 2)


def test_another_thread_may_cancel(config: Path, frame: pd.DataFrame) -> None:
    """The thread that started the run need not be the one that cancels it."""

    def cancel_elsewhere(progress: RunProgress) -> None:
        thread = threading.Thread(target=progress.cancel)
        thread.start()
        thread.join()

    assert run(config, "orders", frame, progress=cancel_elsewhere, environ={}).state == "interrupted"


def test_an_exception_of_the_callback_is_like_a_crash(config: Path, frame: pd.DataFrame) -> None:
    """It leaves `run`; the job is free again, and `resume` continues the run."""

    def fail(progress: RunProgress) -> None:
        if progress.rows:
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        run(config, "orders", frame, progress=fail, environ={})

    assert resume(config, environ={}).counts["succeeded"] == 2


def test_sigint_drains_the_run_and_leaves_as_keyboard_interrupt(config: Path, frame: pd.DataFrame) -> None:
    """The report is written before RunInterrupted leaves; it has the result, and `resume` continues."""

    def interrupt_once(progress: RunProgress) -> None:
        if progress.rows and not interrupted:
            interrupted.append(progress.run_id)
            signal.raise_signal(signal.SIGINT)

    interrupted: list[str] = []
    with pytest.raises(RunInterrupted, match="2 rows are left; continue it with resume") as caught:
        run(config, "orders", frame, progress=interrupt_once, environ={})
    result = caught.value.result

    assert isinstance(caught.value, KeyboardInterrupt)
    assert (result.run_id, result.state, result.exit_code, result.left) == (interrupted[0], "interrupted", 5, 2)
    assert list(result.outcome()["code"]) == ["interrupted", "interrupted"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert resume(config, environ={}).exit_code == 0


def test_a_second_sigint_ends_the_call_at_once(config: Path, frame: pd.DataFrame) -> None:
    """It is a plain KeyboardInterrupt, like a crash; `resume` continues the run."""

    def interrupt_twice(progress: RunProgress) -> None:
        if progress.rows:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        run(config, "orders", frame, progress=interrupt_twice, environ={})

    assert caught.type is KeyboardInterrupt
    assert resume(config, environ={}).counts["succeeded"] == 2


def test_a_handler_of_the_application_stays(config: Path, frame: pd.DataFrame) -> None:
    """If the program handles SIGINT itself, the library leaves that to it."""
    received: list[int] = []

    def interrupt(progress: RunProgress) -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, lambda number, _frame: received.append(number))
    try:
        result = run(config, "orders", frame, progress=interrupt, environ={})
    finally:
        signal.signal(signal.SIGINT, before)

    assert (set(received), result.exit_code) == ({signal.SIGINT}, 0)


def test_a_run_in_another_thread_leaves_signals_alone(config: Path, frame: pd.DataFrame) -> None:
    """Only the main thread can handle signals; a run elsewhere works without."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(run(config, "orders", frame, environ={}).exit_code))
    thread.start()
    thread.join()

    assert results == [0]
