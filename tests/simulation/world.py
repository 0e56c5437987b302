"""
Virtual time: one thread, many greenlets, and one order of events that a seed fixes.

A waiting greenlet switches to the hub, which runs the next event. Nothing runs between two waits, so every effect can
be counted, and a process can die between any two of them.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from greenlet import getcurrent, greenlet

from pipeline.ledger.store.lease import LeaseOwner

_EPOCH = datetime(2025, 11, 20, 16, 0, tzinfo=UTC)
_MOST_EVENTS = 2_000_000


class Killed(BaseException):
    """The process is dead: it has no effects any more."""


class Livelock(AssertionError):
    """Events go on without end."""


@dataclass(order=True)
class _Event:
    when: float
    chance: float
    serial: int
    act: Callable[[], None] = field(compare=False)
    owner: "Process | None" = field(compare=False, default=None)
    cancelled: bool = field(compare=False, default=False)


class World:
    """Time, randomness, and all future events."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = 0.0
        self.wall_offset = 0.0
        self.processes: list[Process] = []
        self._queue: list[_Event] = []
        self._serial = 0
        self._hub = getcurrent()
        self._events = 0

    def wall(self) -> datetime:
        """Return the wall clock, which may step."""
        return _EPOCH + timedelta(seconds=self.now + self.wall_offset)

    def server_time(self) -> datetime:
        """Return the clock of a server, which nobody sets."""
        return _EPOCH + timedelta(seconds=self.now)

    def steady(self) -> float:
        """Return the machine's steady clock, which all processes share."""
        return self.now + 1000.0

    def at(self, when: float, act: Callable[[], None], owner: "Process | None" = None) -> _Event:
        """Add an event; events of the same time run in random order."""
        self._serial += 1
        event = _Event(max(when, self.now), self.chance.random(), self._serial, act, owner)
        heapq.heappush(self._queue, event)
        return event

    def run(self) -> None:
        """Run all events until none is left."""
        while self._queue:
            event = heapq.heappop(self._queue)
            if event.cancelled:
                continue
            if event.owner is not None and event.owner.frozen_until > event.when:
                event.when = event.owner.frozen_until
                heapq.heappush(self._queue, event)
                continue
            self._events += 1
            if self._events > _MOST_EVENTS:
                raise Livelock(f"more than {_MOST_EVENTS} events by {self.now:.1f} s")
            self.now = event.when
            event.act()

    def wait(self, seconds: float, owner: "Process") -> "Sleep":
        """Switch to the hub for this many seconds; return the sleep, so that others can end it early."""
        sleep = Sleep(self, owner)
        sleep.begin(seconds)
        return sleep

    @property
    def hub(self) -> greenlet:
        """The greenlet that runs events."""
        return self._hub


class Sleep:
    """The waiting of one greenlet."""

    def __init__(self, world: World, owner: "Process") -> None:
        self._world = world
        self._owner = owner
        self._sleeper = getcurrent()
        self._event: _Event | None = None

    def begin(self, seconds: float) -> None:
        """Wait; raise Killed if the process died meanwhile."""
        owner = self._owner
        self._event = self._world.at(self._world.now + max(0.0, seconds), self._sleeper.switch, owner)
        owner.asleep.append(self)
        try:
            self._world.hub.switch()
        finally:
            owner.asleep.remove(self)
        owner.check()

    def end(self) -> None:
        """Wake the sleeper at once."""
        if self._event is not None:
            self._event.cancelled = True
        self._event = self._world.at(self._world.now, self._sleeper.switch, self._owner)


class Process:
    """
    A process: greenlets and files that die together, after `dies_after` effects if given.

    Processes of another namespace cannot be seen, as from one container into another on the same host.
    """

    def __init__(self, world: World, pid: int, dies_after: int | None = None, namespace: str = "one") -> None:
        self.world = world
        self.pid = pid
        self.namespace = namespace
        self.is_dead = False
        self.frozen_until = 0.0
        self.asleep: list[Sleep] = []
        # What closes each of its connections.
        self.closes: list[Callable[[], None]] = []
        self.effects = 0
        self._dies_after = dies_after
        world.processes.append(self)

    @property
    def owner(self) -> LeaseOwner:
        """This process as the ledger names it."""
        return LeaseOwner(host="host", boot="boot", pid=self.pid, began="0", namespace=self.namespace)

    def spawn(self, act: Callable[[], None]) -> None:
        """Start a greenlet of this process."""
        thread = greenlet(self._until_killed(act), parent=self.world.hub)
        self.world.at(self.world.now, thread.switch, self)

    def _until_killed(self, act: Callable[[], None]) -> Callable[[], None]:
        def body() -> None:
            try:
                self.check()
                act()
            except Killed:
                return

        return body

    def check(self) -> None:
        """Raise Killed if the process is dead."""
        if self.is_dead:
            raise Killed

    def effect(self) -> None:
        """Mark a point between two effects: the process may die here."""
        self.check()
        self.effects += 1
        if self._dies_after is not None and self.effects > self._dies_after:
            self.kill()
            raise Killed

    def end(self) -> None:
        """End normally: close files and stop all greenlets."""
        if not self.is_dead:
            self.kill()

    def kill(self) -> None:
        """Die: uncommitted data is lost."""
        self.is_dead = True
        self.frozen_until = 0.0
        for sleep in self.asleep:
            sleep.end()
        for close in self.closes:
            close()


class ProcessClock:
    """A process's view of time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._woken = False
        self._asleep: list[Sleep] = []

    def now(self) -> datetime:
        """Return the wall clock."""
        return self._process.world.wall()

    def steady(self) -> float:
        """Return seconds that never go back."""
        return self._process.world.steady()

    def sleep(self, seconds: float) -> None:
        """Wait for this many seconds, or until woken."""
        self._process.check()
        if self._woken:
            seconds = 0.0
        sleep = Sleep(self._process.world, self._process)
        self._asleep.append(sleep)
        try:
            sleep.begin(seconds)
        finally:
            self._asleep.remove(sleep)

    def pause(self, seconds: float) -> None:
        """Wait for this many seconds, also after `wake`."""
        self._process.check()
        Sleep(self._process.world, self._process).begin(seconds)

    def wake(self) -> None:
        """End all sleeps."""
        self._woken = True
        for sleep in self._asleep:
            sleep.end()
