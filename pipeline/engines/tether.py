"""The tether between a run's own process and one of its crews: questions one way, answers and news the other."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from pipeline.by_values import ByValues
from pipeline.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Call(ByValues):
    """A question of a crew, by its name."""

    serial: int
    question: str
    args: tuple[object, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Return(ByValues):
    """The answer to a question; `news` is how the run stands since. `is_known`: there was an answer."""

    serial: int
    value: object = field(repr=False)
    news: object = field(repr=False)
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Done:
    """The crew has nothing left to do."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The crew can't go on, and is at rest."""

    error: PipelineError


class Dismissed(Exception):
    """There is no answer: the run has failed where the question was asked, and tells why."""


def end_at_once() -> None:
    """End this process as a crash would: whoever it worked for is gone, and nothing more may be sent."""
    os._exit(1)


class Tether:
    """
    The crew's end: many threads ask at once, and each waits for its own answer.

    `listen` begins to take in what comes; news is handed to `hear` before the answer that it came with. `lost` is
    called, in a thread of its own accord, when the other end is gone: it does not return.
    """

    def __init__(self, connection: "Connection[Any, Any]", lost: Callable[[], None] = end_at_once) -> None:
        self._connection = connection
        self._lost = lost
        self._lock = threading.Lock()
        self._serial = 0
        self._is_ended = False
        self._waiting: dict[int, SimpleQueue[Return]] = {}

    def listen(self, hear: Callable[[Any], None]) -> None:
        """Take in answers and news from here on, in a thread of its own."""
        threading.Thread(target=self._listen, args=(hear,), name="tether", daemon=True).start()

    def ask(self, question: str, *args: object) -> Any:
        """Ask, and wait for the answer; raise Dismissed where there is none."""
        mailbox: SimpleQueue[Return] = SimpleQueue()
        with self._lock:
            self._serial += 1
            self._waiting[self._serial] = mailbox
            self._send(Call(self._serial, question, args))
        answer = mailbox.get()
        if not answer.is_known:
            raise Dismissed
        return answer.value

    def end(self, last: Done | Failed) -> None:
        """Say the last word."""
        with self._lock:
            self._is_ended = True
            self._send(last)

    def _send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except OSError:
            self._lost()

    def _listen(self, hear: Callable[[Any], None]) -> None:
        try:
            while True:
                message = self._connection.recv()
                if isinstance(message, Return):
                    hear(message.news)
                    self._waiting.pop(message.serial).put(message)
                else:
                    hear(message)
        except (EOFError, OSError):
            return
        finally:
            # Whatever it was: a crew that hears nothing any more must not go on.
            if not self._is_ended:
                self._lost()
