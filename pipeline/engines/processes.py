"""One piece of work, spread over processes that ask the process which started them."""

import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Protocol

from pipeline.engines.spawning import Start, Started
from pipeline.engines.tether import Call, Done, Failed, Return
from pipeline.errors import CrewLost, PipelineError

# A crew speaks several times a second. One that hangs, or was stopped, must not hold a run for ever. Counted are our
# own looks, not seconds: where all processes were stopped together nobody was silent. Nor is a crew that waits for us.
_SILENT_LOOKS = 300
_LAST_WORD_SECONDS = 10.0


class Bridge(Protocol):
    """What crews ask, and how the run stands for them. Thread-safe."""

    def answer(self, question: str, args: tuple[Any, ...]) -> object:
        """Answer a question of a crew."""
        ...

    def standing(self) -> object:
        """Return how the run stands."""
        ...

    def news(self) -> object | None:
        """Return how the run stands where that has changed since it was last asked for here, else None."""
        ...


class ProcessEngine:
    """
    Starts crews and serves them until all are done.

    The calling thread only watches, as that of a ThreadEngine.
    """

    def __init__(self, start: Start, tick_seconds: float = 0.2) -> None:
        self._start = start
        self._tick_seconds = tick_seconds

    def run(
        self, briefs: Sequence[object], bridge: Bridge, *, tick: Callable[[], None], give_up: Callable[[], None]
    ) -> None:
        """
        Start a crew for each brief; return when all of them are done.

        The first exception, of a crew, of `tick` or of an answer, is raised again once all crews have come to rest;
        `give_up` is called at once, so that they soon do. A crew that dies, or can't be started, is a CrewLost.
        """
        fleet = _Fleet(bridge, give_up)
        try:
            for brief in briefs:
                fleet.send_out(self._started(), brief)
            while fleet.wait(self._tick_seconds):
                tick()
                fleet.look_after()
        except BaseException as exc:  # noqa: BLE001 - raised again below, once the crews are at rest
            fleet.fail(exc)
            while fleet.wait(self._tick_seconds):
                fleet.look_after()
        finally:
            fleet.dissolve()
        if fleet.error is not None:
            raise fleet.error

    def _started(self) -> Started:
        try:
            return self._start()
        except OSError as exc:
            fate = f"could not start another one ({exc.strerror or type(exc).__name__})"
            raise CrewLost(os.getpid(), fate) from exc


class _Fleet:
    def __init__(self, bridge: Bridge, give_up: Callable[[], None]) -> None:
        self.bridge = bridge
        self._give_up = give_up
        self._crews: list[_Crew] = []
        self._changed = threading.Event()
        self.looks = 0
        self.error: BaseException | None = None

    def send_out(self, started: Started, brief: object) -> None:
        self._crews.append(_Crew(self, started, brief))
        self._crews[-1].thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait a while, or until a crew is done; return whether any is not."""
        self._changed.wait(seconds)
        self._changed.clear()
        return any(crew.thread.is_alive() for crew in self._crews)

    def look_after(self) -> None:
        """Tell all how the run stands, and end those that were silent for too long."""
        self.looks += 1
        self.tell(self.bridge.standing())
        for crew in self._crews:
            crew.look_after()

    def tell(self, news: object) -> None:
        for crew in self._crews:
            crew.tell(news)

    def fail(self, exc: BaseException) -> None:
        self.error = self.error or exc
        self._give_up()

    def note_end(self) -> None:
        self._changed.set()

    def dissolve(self) -> None:
        for crew in self._crews:
            crew.end()


class _Crew:
    """One process, seen from here, and the thread that answers it."""

    def __init__(self, fleet: _Fleet, started: Started, brief: object) -> None:
        self._fleet = fleet
        self._process = started.process
        self._connection = started.connection
        self._brief = brief
        self._sending = threading.Lock()
        self._heard_at_look = fleet.looks
        self._is_waiting_for_us = False
        self._was_silent = False
        self._has_ended = False
        self.thread = threading.Thread(target=self._serve, name=f"crew-{started.process.pid}", daemon=True)

    def _serve(self) -> None:
        # Only a last word that was heard makes a crew done, whatever else ends this thread.
        error: BaseException | None = CrewLost(self._process.pid, "was not heard to its end")
        try:
            error = self._hear_out()
        except BaseException as exc:  # noqa: BLE001 - handed to the calling thread, which raises it
            error = exc
        finally:
            if error is not None:
                self._fleet.fail(error)
            self.end()
            self._fleet.note_end()

    def _hear_out(self) -> PipelineError | None:
        """Answer the crew until its last word; return what went wrong, None where it is done."""
        try:
            self._send(self._brief)
            while isinstance(message := self._connection.recv(), Call):
                self._answer(message)
        except (EOFError, OSError):
            return self._lost()
        match message:
            case Done():
                self._has_ended = True
                return None
            case Failed(error):
                self._has_ended = True
                return error
            case _:
                return CrewLost(self._process.pid, "said something else than crews say")

    def _answer(self, call: Call) -> None:
        bridge = self._fleet.bridge
        self._is_waiting_for_us = True
        try:
            value, is_known = bridge.answer(call.question, call.args), True
        except Exception as exc:  # noqa: BLE001 - handed to the calling thread; the crew is dismissed
            self._fleet.fail(exc)
            value, is_known = None, False
        self._heard_at_look = self._fleet.looks
        self._is_waiting_for_us = False
        self._send(Return(call.serial, value, bridge.standing(), is_known))
        news = bridge.news()
        if news is not None:
            self._fleet.tell(news)

    def _send(self, message: object) -> None:
        with self._sending:
            self._connection.send(message)

    def tell(self, news: object) -> None:
        """Say how the run stands, unless the tether is busy: it is said again soon, and nobody may wait for a crew."""
        if not self._sending.acquire(blocking=False):
            return
        try:
            if _has_room(self._connection):
                self._connection.send(news)
        except OSError:
            # Its own thread finds out, and says what became of it.
            return
        finally:
            self._sending.release()

    def look_after(self) -> None:
        if self._is_waiting_for_us or self._has_ended or not self.thread.is_alive():
            return
        if self._fleet.looks - self._heard_at_look >= _SILENT_LOOKS:
            self._was_silent = True
            self._process.kill()

    def _lost(self) -> CrewLost:
        if self._was_silent:
            return CrewLost(self._process.pid, "said nothing for a minute, and was ended")
        return CrewLost(self._process.pid, _how_it_ended(self._end_of_process()))

    def end(self) -> None:
        """Let a process that said its last word end, end any other, and close the tether."""
        if not self._has_ended:
            self._process.kill()
        self._end_of_process()
        with self._sending:
            self._connection.close()

    def _end_of_process(self) -> int:
        try:
            return self._process.wait(_LAST_WORD_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _has_room(connection: "Connection[Any, Any]") -> bool:
    room = select.poll()
    room.register(connection, select.POLLOUT)
    return bool(room.poll(0))


def _how_it_ended(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        # Those in real time have no names, but for the first and the last.
        return f"was killed by signal {-exit_code}"
