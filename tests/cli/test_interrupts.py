"""Ctrl-C while no run is active ends the command, also while it imports modules."""

import signal
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from threading import Event

import pytest

from pipeline.cli.interrupts import interruptible_command
from tests import signals

# An extension in C may do this.
_SWALLOWS = """
import signal
try:
    signal.raise_signal(signal.SIGINT)
    reached = True
except KeyboardInterrupt:
    reached = False
"""


python_handles_sigint = signals.python_handles_sigint


@pytest.fixture
def swallowing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the name of a module that swallows a signal while it is imported."""
    (tmp_path / "swallowing.py").write_text(_SWALLOWS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "swallowing"
    del sys.modules["swallowing"]


def _import_and_wait(name: str, before_wait: Callable[[], None] = lambda: None) -> None:
    import_module(name)
    before_wait()
    Event().wait(60)


def test_a_signal_is_not_raised_in_an_import(swallowing: str) -> None:
    """The import ends as without the signal, and the signal is raised soon after it."""
    with pytest.raises(KeyboardInterrupt), interruptible_command():
        _import_and_wait(swallowing)

    assert sys.modules[swallowing].reached


def test_a_signal_is_sent_again_until_it_is_raised(swallowing: str) -> None:
    """One that comes just before a call that waits has no effect on that call."""
    lost = list[int]()

    def lose_three() -> None:
        raises = signal.getsignal(signal.SIGALRM)

        def lose(number: int, _: object) -> None:
            lost.append(number)
            if len(lost) == 3:
                signal.signal(signal.SIGALRM, raises)

        signal.signal(signal.SIGALRM, lose)

    with pytest.raises(KeyboardInterrupt), interruptible_command():
        _import_and_wait(swallowing, lose_three)

    assert len(lost) == 3


def test_a_signal_between_imports_is_raised_at_once() -> None:
    """As without the handler; behind the command the handlers are those before it."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyboardInterrupt), interruptible_command():
        signal.raise_signal(signal.SIGINT)

    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGALRM)) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_handler_of_the_application_stays() -> None:
    """Only the default is replaced."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible_command():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
