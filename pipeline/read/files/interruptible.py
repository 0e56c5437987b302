"""Calls to a store that a signal can interrupt, although the library waits for the network."""

import atexit
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def leave_s3_open() -> None:
    """Keep pyarrow from closing S3 at exit, where it would wait for the abandoned call."""
    with suppress(ImportError):  # built without S3
        from pyarrow.fs import ensure_s3_finalized  # noqa: PLC0415 - slow to import

        atexit.unregister(ensure_s3_finalized)


def interruptible(call: Callable[[], T], *, abandon: Callable[[], None] = leave_s3_open) -> T:
    """
    Run a call in another thread, and return its result or raise its exception.

    The calling thread keeps receiving signals. The other thread is a daemon, so the process can end without it:
    `abandon` is called if a signal ends the wait.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again where the caller waits
            future.set_exception(error)

    thread = Thread(target=work, daemon=True)
    try:
        # It waits until the thread runs, and a signal may come meanwhile.
        thread.start()
        return future.result()
    except KeyboardInterrupt:
        abandon()
        raise
