"""Signals in tests."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def python_handles_sigint() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, also where the tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
