"""Calls to a store, which may wait for the network within a library that hears no signal."""

import atexit
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def interruptible(call: Callable[[], T]) -> T:
    """
    Return what a call returns, or raise what it raises; meanwhile this thread hears signals.

    The call goes on in a thread that ends with the process, so a signal that ends the command does not wait for it.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - raised again where the caller waits
            future.set_exception(error)

    Thread(target=work, daemon=True).start()
    try:
        return future.result()
    except KeyboardInterrupt:
        _leave_s3_open()
        raise


def _leave_s3_open() -> None:
    """Let the process end: pyarrow closes S3 at its end, and waits there for the call that was given up."""
    with suppress(ImportError):  # built without S3
        from pyarrow.fs import ensure_s3_finalized  # noqa: PLC0415 - as above

        atexit.unregister(ensure_s3_finalized)
