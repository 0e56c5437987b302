"""Work spread over processes that ask; here most of them are threads at the end of a real tether."""

import errno
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.processes import ProcessEngine
from pipeline.engines.spawning import Started, spawned
from pipeline.engines.tether import Dismissed, Done, Failed, Tether
from pipeline.errors import CrewLost, LedgerError

Work = Callable[[Tether, Any], None]
_PATIENCE_SECONDS = 20.0


@dataclass
class Bridge:
    """Answers with numbers up to a last one, then with None; news is how many were asked for so far."""

    last: int = 30
    asked: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    is_news: bool = False

    def answer(self, question: str, args: tuple[Any, ...]) -> int | None:
        if question == "fail":
            raise LedgerError("the disk is full", users_fault=False)
        self.asked.append((question, args))
        return len(self.asked) if len(self.asked) <= self.last else None

    def standing(self) -> int:
        return len(self.asked)

    def news(self) -> str | None:
        told, self.is_news = self.is_news, False
        return "news" if told else None


@dataclass
class SlowBridge(Bridge):
    """Does not answer before it may."""

    go: threading.Event = field(default_factory=threading.Event)

    def answer(self, question: str, args: tuple[Any, ...]) -> int | None:
        assert self.go.wait(_PATIENCE_SECONDS)
        return super().answer(question, args)


class Thread:
    """A process that is a thread: its tether ends when its work does, or when it is killed."""

    pid = 4711

    def __init__(self, work: Work, end: socket.socket, exit_code: int) -> None:
        self._end = end
        self._exit_code = exit_code
        self._thread = threading.Thread(target=self._live, args=(work,))
        self.killed = threading.Event()
        self.waited_for = threading.Event()
        self._thread.start()

    def _live(self, work: Work) -> None:
        # Not closed here, where its tether may still listen: it is once nobody holds it.
        connection: Connection[Any, Any] = Connection(self._end.detach())
        self._hang_up = partial(_hang_up, connection)
        work(Tether(connection, lambda: None), connection.recv())
        self._hang_up()

    def kill(self) -> None:
        self._exit_code = -signal.SIGKILL
        self._hang_up()
        self.killed.set()

    def wait(self, timeout: float | None = None) -> int:
        self.waited_for.set()
        self._thread.join(_PATIENCE_SECONDS)
        return self._exit_code


def _hang_up(connection: "Connection[Any, Any]") -> None:
    with socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)


@dataclass
class Fleet:
    """An engine over threads that do this work, and what was seen."""

    work: Work
    bridge: Bridge = field(default_factory=Bridge)
    exit_code: int = 0
    processes: list[Thread] = field(default_factory=list)
    given_up: threading.Event = field(default_factory=threading.Event)
    ticks: int = 0

    def start(self) -> Started:
        ours, theirs = socket.socketpair()
        self.processes.append(Thread(self.work, theirs, self.exit_code))
        return Started(self.processes[-1], Connection(ours.detach()))

    def tick(self) -> None:
        self.ticks += 1

    def run(self, *briefs: object, tick: Callable[[], None] | None = None) -> None:
        ProcessEngine(self.start, 0.001).run(briefs, self.bridge, tick=tick or self.tick, give_up=self.given_up.set)


class Unheard:
    """What cannot be read at the other end."""

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return unreadable, ()


def unreadable() -> object:
    raise RuntimeError("nobody can read this")


def ask_until_none(tether: Tether, brief: Any) -> None:
    tether.listen(lambda _: None)
    while tether.ask("more", brief) is not None:
        pass
    tether.end(Done())


def test_every_crew_is_answered_until_it_is_done() -> None:
    """Each question is answered once, with what the bridge says; the engine returns when the last crew is done."""
    fleet = Fleet(ask_until_none)
    fleet.run("a", "b", "c")

    assert {question for question, _ in fleet.bridge.asked} == {"more"}
    assert {args for _, args in fleet.bridge.asked} <= {("a",), ("b",), ("c",)}
    assert len(fleet.bridge.asked) == 30 + 3
    assert not fleet.given_up.is_set()


def test_threads_of_a_crew_get_their_own_answers() -> None:
    """However many threads ask at once, each gets the answer to its own question."""
    told: list[int] = []

    def work(tether: Tether, _: Any) -> None:
        tether.listen(lambda _: None)
        threads = [threading.Thread(target=lambda: told.append(tether.ask("more"))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tether.end(Done())

    Fleet(work).run("a")

    assert sorted(told) == list(range(1, 21))


def test_news_is_heard_before_the_answer_that_brings_it() -> None:
    """Who gets an answer knows how the run stood when it was given."""
    heard: list[Any] = []
    seen: list[tuple[int, Any]] = []

    def work(tether: Tether, _: Any) -> None:
        tether.listen(heard.append)
        for _ in range(5):
            answer = tether.ask("more")
            seen.append((answer, max(number for number in heard if isinstance(number, int))))
        tether.end(Done())

    Fleet(work).run("a")

    assert all(answer <= known for answer, known in seen)
    assert len(seen) == 5


def test_news_reaches_those_who_do_not_ask() -> None:
    """What one crew's question changes is told to the others at once, and all hear how the run stands at each tick."""
    heard = threading.Event()

    def work(tether: Tether, brief: Any) -> None:
        tether.listen(lambda news: heard.set() if news == "news" and brief == "waits" else None)
        if brief == "asks":
            tether.ask("more")
        assert heard.wait(_PATIENCE_SECONDS)
        tether.end(Done())

    fleet = Fleet(work, Bridge(is_news=True))
    # Without ticks: nothing but the news itself wakes the one that waits.
    ProcessEngine(fleet.start, _PATIENCE_SECONDS / 2).run(
        ["waits", "asks"], fleet.bridge, tick=fleet.tick, give_up=fleet.given_up.set
    )

    assert heard.is_set()


def test_a_tick_that_fails_ends_the_work() -> None:
    """Where the calling thread finds that the run can't go on, the crews come to rest and its error is raised."""
    go = threading.Event()

    def work(tether: Tether, _: Any) -> None:
        tether.listen(lambda _: None)
        go.wait(_PATIENCE_SECONDS)
        tether.end(Done())

    fleet = Fleet(work)

    def tick() -> None:
        fleet.ticks += 1
        if fleet.ticks == 4:
            go.set()
            raise LedgerError("another run has the job")

    with pytest.raises(LedgerError, match="another run has the job"):
        fleet.run("a", tick=tick)

    assert (fleet.ticks, fleet.given_up.is_set()) == (4, True)


def test_a_crew_that_fails_tells_why() -> None:
    """The error of a crew is raised once all are at rest, with what it says of whose fault it was."""

    def work(tether: Tether, brief: Any) -> None:
        tether.listen(lambda _: None)
        tether.end(Failed(LedgerError("the quota is locked", users_fault=False)) if brief == "fails" else Done())

    fleet = Fleet(work)
    with pytest.raises(LedgerError, match="the quota is locked") as caught:
        fleet.run("works", "fails")

    assert (caught.value.users_fault, fleet.given_up.is_set()) == (False, True)


def test_a_question_that_can_not_be_answered_dismisses_the_crew() -> None:
    """The error is raised here, where it came up; the crew learns only that there is no answer."""
    dismissed = threading.Event()

    def work(tether: Tether, _: Any) -> None:
        tether.listen(lambda _: None)
        try:
            tether.ask("fail")
        except Dismissed:
            dismissed.set()
        tether.end(Done())

    fleet = Fleet(work)
    with pytest.raises(LedgerError, match="the disk is full"):
        fleet.run("a")

    assert dismissed.is_set()
    assert fleet.given_up.is_set()


@pytest.mark.parametrize(
    ("exit_code", "fate"),
    [
        pytest.param(-signal.SIGKILL, "was killed by SIGKILL", id="killed"),
        pytest.param(-40, "was killed by signal 40", id="killed-by-a-signal-without-a-name"),
        pytest.param(1, "ended with exit code 1", id="ended"),
    ],
)
def test_a_crew_that_dies_is_missed(exit_code: int, fate: str) -> None:
    """A tether that ends without a last word is a crew that died; the others are told to drain, and waited for."""
    rested = threading.Event()

    def work(tether: Tether, brief: Any) -> None:
        if brief == "dies":
            return
        tether.listen(lambda _: None)
        assert fleet.given_up.wait(_PATIENCE_SECONDS)
        rested.set()
        tether.end(Done())

    fleet = Fleet(work, exit_code=exit_code)
    with pytest.raises(CrewLost) as caught:
        fleet.run("works", "dies")

    assert (caught.value.pid, caught.value.fate, rested.is_set()) == (4711, fate, True)


@pytest.mark.parametrize(
    "last_word",
    [
        pytest.param("well", id="other-words"),
        pytest.param(None, id="nothing"),
        pytest.param(Unheard(), id="unreadable"),
    ],
)
def test_a_crew_without_a_last_word_is_not_done(last_word: object) -> None:
    """Whatever ends the talk with a crew, but that it is done, fails the run."""

    def work(tether: Tether, _: Any) -> None:
        tether.end(last_word)  # type: ignore[arg-type] # a fault of the program

    fleet = Fleet(work)
    with pytest.raises((CrewLost, RuntimeError)) as caught:
        fleet.run("a")

    assert str(caught.value).startswith(("process 4711 of the run said something else", "nobody can read this"))
    assert fleet.given_up.is_set()


def test_a_crew_that_says_nothing_is_ended() -> None:
    """A crew that was stopped, or hangs, is killed after so many looks, and does not hold the run for ever."""

    def work(tether: Tether, _: Any) -> None:
        fleet.processes[0].killed.wait(_PATIENCE_SECONDS)

    fleet = Fleet(work)
    with pytest.raises(CrewLost, match="said nothing for a minute, and was ended"):
        fleet.run("a")

    assert fleet.processes[0].killed.is_set()
    assert fleet.ticks >= 299


def test_a_crew_that_waits_for_us_is_not_silent() -> None:
    """However long an answer of ours takes, the crew that waits for it is not blamed; silence counts from then on."""
    slow = SlowBridge()
    fleet = Fleet(ask_until_none, slow)

    def tick() -> None:
        fleet.ticks += 1
        if fleet.ticks >= 700:
            slow.go.set()

    fleet.run("a", "b", tick=tick)

    assert len(slow.asked) == 30 + 2
    assert not [process for process in fleet.processes if process.killed.is_set()]


def test_a_crew_that_is_done_is_not_kept() -> None:
    """A process that has ended is taken note of at once, not only when the last of them is done."""
    taken_note: list[bool] = []

    def work(tether: Tether, brief: Any) -> None:
        tether.listen(lambda _: None)
        if brief == "lasts":
            taken_note.append(fleet.processes[0].waited_for.wait(_PATIENCE_SECONDS / 4))
        tether.end(Done())

    fleet = Fleet(work)
    fleet.run("is done", "lasts")

    assert taken_note == [True]
    assert not [process for process in fleet.processes if process.killed.is_set()]


def test_a_tether_that_closes_after_the_last_word_is_no_loss() -> None:
    """Whoever has said its last word does not miss the other end."""
    ours, theirs = socket.socketpair()
    lost = threading.Event()
    with Connection(ours.detach()) as connection:
        tether = Tether(connection, lost.set)
        tether.listen(lambda _: None)
        tether.end(Done())
        with Connection(theirs.detach()) as other:
            assert other.recv() == Done()
        assert not lost.wait(0.2)


@pytest.mark.parametrize(
    "do",
    [
        pytest.param(lambda other: other.close(), id="closed"),
        pytest.param(lambda other: other.send(Unheard()), id="unreadable"),
        pytest.param(lambda other: other.send("news"), id="news-that-fails"),
    ],
)
def test_a_crew_that_hears_nothing_any_more_does_not_go_on(do: Callable[["Connection[Any, Any]"], None]) -> None:
    """Whatever ends the listening before the last word, the crew that nobody can reach any more is ended."""
    ours, theirs = socket.socketpair()
    is_lost = threading.Event()

    def lost() -> None:
        is_lost.set()
        # It does not return.
        threading.Event().wait()

    def hear(_: Any) -> None:
        unreadable()

    with Connection(ours.detach()) as connection, Connection(theirs.detach()) as other:
        Tether(connection, lost).listen(hear)
        do(other)

        assert is_lost.wait(_PATIENCE_SECONDS)


def test_a_crew_that_can_not_be_started_stops_the_others() -> None:
    """Where the system gives no more processes, those that there are come to rest first."""
    fleet = Fleet(ask_until_none)
    starts = iter((fleet.start,))

    def start() -> Started:
        for one in starts:
            return one()
        raise BlockingIOError(errno.EAGAIN, "no more processes")

    with pytest.raises(CrewLost, match=rf"process {os.getpid()} of the run could not start another one \(no more proc"):
        ProcessEngine(start, 0.001).run(["a", "b"], fleet.bridge, tick=fleet.tick, give_up=fleet.given_up.set)

    assert fleet.given_up.is_set()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module whose processes answer what they hear, and fall silent at "die"."""
    (tmp_path / "echoing.py").write_text(
        "import os, signal\nfrom multiprocessing.connection import Connection\n"
        "def main(number):\n    connection = Connection(number)\n"
        "    for word in iter(connection.recv, 'end'):\n"
        "        connection.send((word, os.getpid(), sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))))\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "echoing"


@pytest.fixture
def started(module: str) -> Iterator[Started]:
    """A real process."""
    one = spawned(module)
    yield one
    one.connection.close()
    one.process.kill()
    one.process.wait()
    assert isinstance(one.process, subprocess.Popen)


def test_a_process_speaks_over_its_tether(started: Started) -> None:
    """A process finds the modules that this one finds, and hears and answers until it is told to end."""
    started.connection.send("hello")

    assert started.connection.recv()[:2] == ("hello", started.process.pid)
    started.connection.send("end")
    assert started.process.wait(_PATIENCE_SECONDS) == 0


def test_a_signal_from_the_terminal_is_not_for_crews(started: Started) -> None:
    """SIGINT and SIGTERM do not reach a crew, and this process has them as before."""
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(started.process.pid, number)
    started.connection.send("still there")

    assert started.connection.recv() == ("still there", started.process.pid, [signal.SIGINT, signal.SIGTERM])
    assert not {signal.SIGINT, signal.SIGTERM} & signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_process_that_dies_closes_its_tether(started: Started) -> None:
    """However a process ends, its tether says so."""
    started.process.kill()

    with pytest.raises(EOFError):
        started.connection.recv()


def test_a_real_process_that_dies_is_missed(module: str) -> None:
    """The fate of a process is told as the system tells it."""
    fleet = Fleet(ask_until_none)

    def start() -> Started:
        one = partial(spawned, module)()
        one.process.kill()
        return one

    with pytest.raises(CrewLost, match="was killed by SIGKILL; nothing that was delivered is forgotten"):
        ProcessEngine(start, 0.001).run(["a"], fleet.bridge, tick=fleet.tick, give_up=fleet.given_up.set)
