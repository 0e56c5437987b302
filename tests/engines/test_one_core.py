"""Keeping busy threads on one core."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import repeat

import pytest

from pipeline.engines.one_core import Cores, LinuxCores, OneCore, Seat, system_cores
from pipeline.engines.threads import ThreadEngine

ALL = {0, 1, 2, 3}


@dataclass
class FakeCores:
    """Four cores; the calling thread is on one core after the other. Notes who is kept where."""

    woken_on: Iterator[int] = field(default_factory=lambda: iter(()))
    refuses: bool = False
    seat: Seat = field(default_factory=Seat)
    kept: list[tuple[str, set[int]]] = field(default_factory=list)

    def here(self) -> set[int]:
        return {next(self.woken_on)}

    def allowed(self) -> set[int]:
        return ALL

    def own(self) -> set[int]:
        return self.seat.cores(ALL)

    def keep(self, thread: threading.Thread, cores: set[int]) -> None:
        if self.refuses:
            raise PermissionError
        self.kept.append((thread.name, cores))


def look(cores: Cores, used: Sequence[float]) -> OneCore:
    """Look after a worker once a second, in each of which so much CPU time was used; return who looked."""
    total = iter([sum(used[:n]) for n in range(len(used) + 1)])
    steady = iter(range(len(used) + 1))
    one_core = OneCore(cores, used=lambda: next(total), steady=lambda: next(steady))
    for _ in used:
        one_core.look_after([threading.Thread(name="worker")])
    return one_core


@pytest.mark.parametrize(
    ("used", "woken_on", "kept"),
    [
        pytest.param([0.1, 0.5], [], [], id="idle: nobody is moved"),
        pytest.param([0.9], [2], [{2}], id="busy: to where the caller was woken"),
        pytest.param([0.9, 0.8], [2, 2], [{2}], id="still there: not moved again"),
        pytest.param([0.9, 0.9], [2, 1], [{2}, {1}], id="another core was free: to that"),
        pytest.param([0.9, 0.1, 0.1], [2], [{2}, ALL], id="no longer busy: to any"),
        pytest.param([1.6], [3], [{3}], id="busy on two cores: to one"),
    ],
)
def test_busy_threads_stay_together(used: list[float], woken_on: list[int], kept: list[set[int]]) -> None:
    """Threads that use more than half of a core are kept on the core of whoever looks after them, others on none."""
    cores = FakeCores(iter(woken_on))
    look(cores, used)

    assert cores.kept == [("worker", cores) for cores in kept]


def test_where_the_system_refuses_threads_stay_as_they_are() -> None:
    """That a thread can't be kept on a core stops nothing, and is tried again the next time."""
    cores = FakeCores(iter([1, 2]), refuses=True)
    look(cores, [0.9])
    cores.refuses = False
    look(cores, [0.9])

    assert cores.kept == [("worker", {2})]


@pytest.mark.parametrize(
    ("among", "own"),
    [
        pytest.param(1, [ALL], id="one process: all"),
        pytest.param(2, [{0, 2}, {1, 3}], id="two processes: half of them each"),
        pytest.param(3, [{0, 3}, {1}, {2}], id="three processes: one each, and one has the last"),
        pytest.param(5, [{0}, {1}, {2}, {3}, {0}], id="more processes than cores: shared one by one"),
    ],
)
def test_processes_part_the_cores(among: int, own: list[set[int]]) -> None:
    """Each process has a core of its own at least where there are enough."""
    assert [Seat(number, among).cores(ALL) for number in range(among)] == own


@pytest.mark.parametrize(
    ("used", "kept"),
    [
        pytest.param([0.1, 0.5], [], id="idle: nobody is moved"),
        pytest.param([0.9, 0.9], [("MainThread", {1, 3}), ("worker", {3})], id="busy: to its own cores"),
        pytest.param(
            [0.9, 0.1],
            [("MainThread", {1, 3}), ("worker", {3}), ("MainThread", ALL), ("worker", ALL)],
            id="no longer busy: all to any",
        ),
    ],
)
def test_a_busy_process_among_several_stays_on_its_own_cores(
    used: list[float], kept: list[tuple[str, set[int]]]
) -> None:
    """Where the caller is woken the busy threads go: so it is woken on the process's own cores while they are busy."""
    cores = FakeCores(repeat(3), seat=Seat(1, 2))
    look(cores, used)

    assert cores.kept == kept


def test_the_watching_thread_is_left_as_it_was_found() -> None:
    """Whoever looked after busy threads may run on all cores once they are done."""
    cores = FakeCores(repeat(3), seat=Seat(1, 2))
    one_core = look(cores, [0.9])
    one_core.let_go()
    one_core.let_go()

    assert cores.kept == [("MainThread", {1, 3}), ("worker", {3}), ("MainThread", ALL)]


@pytest.mark.parametrize("fails", [False, True])
def test_no_setting_outlives_an_engine(*, fails: bool) -> None:
    """However the work of a busy process among several ends, its calling thread may run where it could before."""
    cores = FakeCores(repeat(3), seat=Seat(1, 2))

    def compute(_task: int) -> None:
        give_up_at = time.monotonic() + 30
        while len(cores.kept) < 2 and time.monotonic() < give_up_at:
            pass
        if fails:
            raise InterruptedError

    engine = ThreadEngine(0.01, cores=cores)
    with pytest.raises(InterruptedError) if fails else nullcontext():
        engine.run(iter(range(1)), compute, workers=1, tick=lambda: None, give_up=lambda: None)

    watched_from = [on for name, on in cores.kept if name == "MainThread"]
    assert (watched_from[0], watched_from[-1]) == ({1, 3}, ALL)


def test_an_engine_keeps_its_threads_on_one_core_while_they_are_busy() -> None:
    """Each busy worker of an engine is kept on the core on which the watching thread was woken."""
    cores = FakeCores(repeat(2))

    def compute(_task: int) -> None:
        give_up_at = time.monotonic() + 30
        while len(cores.kept) < 2 and time.monotonic() < give_up_at:
            pass

    engine = ThreadEngine(0.01, cores=cores)
    engine.run(iter(range(2)), compute, workers=2, tick=lambda: None, give_up=lambda: None)

    assert cores.kept[:2] == [("worker-0", {2}), ("worker-1", {2})]


@pytest.mark.skipif(system_cores() is None, reason="threads can't be kept on a core here")
def test_a_process_that_computes_little_is_left_alone() -> None:
    """Also where several share the work, threads of one that is not busy run wherever there is room."""
    before, seen = os.sched_getaffinity(0), []
    engine = ThreadEngine(cores=system_cores(Seat(1, 2)))
    engine.run(
        iter(range(1)),
        lambda _: seen.append(os.sched_getaffinity(0)),
        workers=1,
        tick=lambda: None,
        give_up=lambda: None,
    )

    assert (seen, os.sched_getaffinity(0)) == ([before], before)


@pytest.mark.skipif(system_cores() is None, reason="threads can't be kept on a core here")
def test_linux_keeps_a_thread_on_a_core() -> None:
    """A thread that is kept on the core of the caller may run there alone; the caller and the dead are left alone."""
    cores, done = LinuxCores(Seat()), threading.Event()
    thread = threading.Thread(target=done.wait)
    before, here = cores.allowed(), cores.here()
    thread.start()
    try:
        cores.keep(thread, here)
        assert thread.native_id is not None
        assert (os.sched_getaffinity(thread.native_id), cores.allowed()) == (here, before)
    finally:
        done.set()
        thread.join()

    cores.keep(thread, here)
