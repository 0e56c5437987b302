"""Ctrl-C while no run is active: it ends the command, but never in the middle of an import."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Interval at which a signal that came during an import is sent again.
_AGAIN_SECONDS = 0.02
_IMPORTING = "<frozen importlib._bootstrap>"


def interrupt(number: int, frame: FrameType | None) -> None:
    """
    Raise KeyboardInterrupt; the handler of a signal. While a module is imported, have the signal sent again.

    Extensions in C may swallow what is raised while they are imported, or raise another error for it.
    """
    if not _is_importing(frame):
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
    # Again and again: a signal that comes just before a call that waits does not end that call.
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS, _AGAIN_SECONDS)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            return True
        frame = frame.f_back
    return False


@contextmanager
def interruptible_command() -> Iterator[None]:
    """Handle SIGINT by `interrupt`, where it would raise KeyboardInterrupt by default."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    alarm = signal.getsignal(signal.SIGALRM)
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        signal.signal(signal.SIGINT, signal.default_int_handler)
