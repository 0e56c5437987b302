"""Calls that may wait for a network within a library that hears no signal."""

from collections.abc import Callable
from concurrent.futures import Future
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
    return future.result()
