"""Ctrl-C while no run is active ends the command, also while it imports modules."""

import signal
import sys
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.cli.interrupts import interruptible_command

# An extension in C may do this.
_SWALLOWS = """
import signal
try:
    signal.raise_signal(signal.SIGINT)
    reached = True
except KeyboardInterrupt:
    reached = False
"""


def _import_and_wait(name: str) -> None:
    import_module(name)
    while True:
        signal.pause()


def test_a_signal_is_not_raised_in_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The import ends as without the signal, and the signal is raised soon after it."""
    (tmp_path / "swallowing.py").write_text(_SWALLOWS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt), interruptible_command():
        _import_and_wait("swallowing")

    assert sys.modules.pop("swallowing").reached


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
