"""Crews that share one run: what each of them asks, and what all of them hear."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pipeline.ledger.admission import Admission, Go, Skip
from pipeline.ledger.records import Due, Settlement
from pipeline.model import Status
from pipeline.write.afar import FarCourse, FarGate, FarLedger, FarWatch
from pipeline.write.bridge import Bridge
from pipeline.write.course import Course, Drained, Ending
from pipeline.write.gate import Gate, Pass
from pipeline.write.lanes import Lane
from pipeline.write.suspicion import Monotony, Suspicion
from pipeline.write.verdict import Halt, Refused, Succeeded, TryAgain
from pipeline.write.watch import Watch
from tests.moved_clock import MovedClock
from tests.write.rehearsal import due

DONE = Succeeded("SUCCESS")
DOWN = TryAgain("timeout", "no answer", may_have_acted=True, platform_down=True)
ILLEGAL = Refused("REQUEST_ACCESS_ILLEGAL", "no access", halts_after=3)
FREE = Pass(alone=False, probing=False)
ALONE = Pass(alone=True, probing=False)
LOOK = 0.02
SENT = Settlement(Status.SUCCEEDED, "SUCCESS")
REFUSED = Settlement(Status.REJECTED, "X")


@dataclass
class Records:
    """A ledger that keeps what was written at once, and admits all but what it knows."""

    known: Mapping[str, Admission] = field(default_factory=dict)
    written: list[list[tuple[str, Status | None]]] = field(default_factory=list)
    error: Exception | None = None
    renewed_at: float = 0.0

    def record(self, entries: Sequence[tuple[Due, Settlement | None]]) -> list[Admission | None]:
        if self.error is not None:
            raise self.error
        self.written.append([(due.identity, end.status if end else None) for due, end in entries])
        return [None if end else self.known.get(due.identity, Go(doubt=False)) for due, end in entries]


class Crew:
    """A crew without a process: it hears news with each answer."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self.asked: list[str] = []
        self.course = FarCourse(run.clock, self.ask)
        self.gate = FarGate(self.course, self.ask)
        self.watch = FarWatch(self.course, self.ask)
        self.ledger = FarLedger(self.ask, workers=2)

    def ask(self, question: str, *args: object) -> Any:
        self.asked.append(question)
        answer = self._run.bridge.answer(question, args)
        self.course.hear(self._run.bridge.standing())
        return answer

    def hear(self) -> None:
        """Hear how the run stands."""
        self.course.hear(self._run.bridge.standing())

    def attempt(self, row: int, verdict: Any) -> list[Halt | None]:
        """Pass the gate, and say what came of it to gate and watch."""
        held = self.gate.enter()
        assert isinstance(held, Pass)
        return [self.gate.leave(held, row, verdict), self.watch.attempted(row, verdict), self.watch.settled(verdict)]


class Run:
    """A run with three crews."""

    def __init__(self, lanes: Sequence[list[Due]] = (), clock: MovedClock | None = None) -> None:
        self.clock = clock or MovedClock()
        self.course = Course(self.clock)
        self.records = Records(renewed_at=self.clock.steady())
        self.bridge = Bridge(
            self.records, iter(lanes), course=self.course, gate=Gate(self.clock, 300.0),
            watch=Watch(Suspicion(), Monotony()),
        )  # fmt: skip
        self.crews = [Crew(self) for _ in range(3)]

    def calm(self) -> "Run":
        """Let the platform accept a row, and all crews hear of it."""
        assert self.crews[0].attempt(0, DONE) == [None, None, None]
        for crew in self.crews:
            crew.hear()
            crew.asked.clear()
        return self


@pytest.fixture
def run() -> Run:
    """A run whose platform has not answered yet."""
    return Run()


def test_one_request_of_all_crews_goes_first(run: Run) -> None:
    """Until the platform has looked at a row, one crew sends, and the others wait."""
    first, second, third = run.crews

    assert [first.gate.enter(), second.gate.enter(), third.gate.enter()] == [ALONE, LOOK, LOOK]
    first.gate.abandon(ALONE)
    assert [second.gate.enter(), first.gate.enter()] == [ALONE, LOOK]
    second.gate.leave(ALONE, 1, DONE)
    assert [third.gate.enter(), first.gate.enter()] == [FREE, FREE]


def test_while_all_is_calm_nobody_asks(run: Run) -> None:
    """Once the platform takes us, gate and watch of a crew answer for themselves."""
    crews = run.calm().crews

    assert [crew.attempt(row, DONE) for row, crew in enumerate(crews)] == [[None, None, None]] * 3
    assert crews[1].attempt(7, Refused("INVALID_PARAMETER", "mend it")) == [None, None, None]
    crews[2].gate.abandon(FREE)
    assert [crew.asked for crew in crews] == [[], [], []]


def test_signs_of_an_outage_are_counted_over_all_crews(run: Run) -> None:
    """Five signs from three rows, whichever crews see them, close the gate for all; one probe goes, and opens it."""
    crews = run.calm().crews
    for row, crew in enumerate((*crews, crews[0], crews[1])):
        crew.gate.leave(FREE, row, DOWN)
    closed = [crew.gate.enter() for crew in crews]
    run.clock.move(1.0)
    probing = [crew.gate.enter() for crew in crews]
    crews[0].gate.leave(Pass(alone=True, probing=True), 0, DONE)
    crews[2].hear()
    crews[2].asked.clear()

    assert closed == [1.0, 1.0, 1.0]
    assert probing == [Pass(alone=True, probing=True), LOOK, LOOK]
    assert (crews[2].gate.enter(), crews[2].asked) == (FREE, [])


def test_an_answer_in_between_ends_the_signs_of_an_outage(run: Run) -> None:
    """After the first sign all crews tell of their answers, so that one success among failures shows."""
    crews = run.calm().crews
    for row in range(4):
        crews[0].gate.leave(FREE, row, DOWN)
    crews[1].hear()
    crews[1].gate.leave(FREE, 9, DONE)
    crews[0].gate.leave(FREE, 5, DOWN)

    assert crews[1].asked == ["leave"]
    assert [crew.gate.enter() for crew in crews] == [FREE, FREE, FREE]


def test_refusals_in_a_row_are_counted_over_all_crews(run: Run) -> None:
    """The third row that is refused alike stops the run, though each crew has seen one."""
    crews = run.calm().crews
    halts = [crew.watch.attempted(row, ILLEGAL) for row, crew in enumerate(crews)]

    assert halts == [None, None, Halt("REQUEST_ACCESS_ILLEGAL", "3 rows in a row ended alike: no access")]


def test_rows_that_all_end_alike_are_counted_over_all_crews(run: Run) -> None:
    """The twentieth delivery from the start that ends as all before it stops the run."""
    crews = run.crews
    halts = [crews[row % 3].watch.settled(Refused("X", "no")) for row in range(20)]

    assert halts[:19] == [None] * 19
    assert halts[19] is not None
    assert halts[19].code == "X"


def test_a_halt_of_one_crew_drains_all() -> None:
    """Where one crew drains the run, it and all others end for the same reason, and get no more lanes."""
    run = Run([[due("A")], [due("B")]])
    first, second, _ = run.crews
    assert first.ask("record", [], 1) == ([], [Lane([[due("A")]], [Go(doubt=False)])])

    first.course.drain(Ending.STOPPED, "refused", halt_code="NO_AUTH")
    second.hear()

    for course in (run.course, first.course, second.course):
        assert (course.ending, course.reason, course.halt_code) == (Ending.STOPPED, "refused", "NO_AUTH")
    with pytest.raises(Drained):
        second.course.go_on()
    assert second.ask("record", [], 1) == ([], [])


def test_older_news_changes_nothing(run: Run) -> None:
    """News that comes late, after an answer that was later, is not taken for how the run stands."""
    before = run.bridge.standing()
    crew = run.calm().crews[1]
    crew.course.hear(before)

    assert crew.course.is_calm


def test_news_is_told_once(run: Run) -> None:
    """What has changed for the crews is news until it was told."""
    told = [run.bridge.news() is not None, run.bridge.news() is not None]
    run.calm()
    told += [run.bridge.news() is not None, run.bridge.news() is not None]
    run.course.drain(Ending.DEADLINE, "time is up")
    told += [run.bridge.news() is not None, run.bridge.news() is not None]

    assert told == [True, False] * 3


class HeardWhileAsleep(MovedClock):
    """A clock on which a run gives a sign of life while others sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.tell: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.tell()


def test_nothing_is_started_while_the_run_is_silent() -> None:
    """A crew that heard nothing for a third of the lease waits until it hears again."""
    clock = HeardWhileAsleep()
    run = Run(clock=clock).calm()
    crew = run.crews[1]

    def tell() -> None:
        if len(clock.sleeps) == 3:
            run.records.renewed_at = clock.steady()
        crew.hear()

    clock.tell = tell
    clock.move(9.9)
    crew.course.go_on()
    awake = list(clock.sleeps)
    clock.move(0.2)
    crew.course.go_on()

    assert (awake, clock.sleeps) == ([], [0.05] * 3)


def test_what_a_run_tells_does_not_prove_that_it_holds_its_job(run: Run) -> None:
    """However often a run speaks that was held up: until it has renewed its lease, nobody sends for it."""
    until = run.bridge.standing().good_until
    run.clock.move(40.0)
    told = [run.bridge.standing().good_until, run.crews[0].ask("report", 0) or run.bridge.standing().good_until]
    run.records.renewed_at = run.clock.steady()

    assert told == [until, until]
    assert until < run.clock.steady() < run.bridge.standing().good_until


def test_what_a_crew_writes_goes_over_at_once() -> None:
    """A settlement goes with the next intents, before them; what is settled is counted, and forgotten here."""
    run = Run([[due("A", number=1), due("R", number=2, refund_of="A")], [due("B", number=3)], [due("C", number=4)]])
    run.records.known = {"B": Skip("already_succeeded")}
    crew = run.crews[0]

    refunded, skipped = crew.ledger.next_lanes()
    (payment,), (refund,) = refunded.stretches
    crew.ledger.settle(payment, SENT)
    admissions = crew.ledger.intend([refund])
    crew.ledger.settle(refund, REFUSED)
    (last,) = crew.ledger.next_lanes()
    crew.ledger.flush()

    assert (refunded.first, skipped.first, admissions) == (
        [Go(doubt=False)],
        [Skip("already_succeeded")],
        [Go(doubt=False)],
    )
    assert (last.stretches, crew.asked) == ([[due("C", number=4)]], ["record"] * 3)
    assert run.records.written == [
        [("A", None), ("B", None)],
        [("A", Status.SUCCEEDED), ("R", None)],
        [("R", Status.REJECTED), ("C", None)],
    ]
    assert run.course.counts == {Status.SUCCEEDED: 1, Status.REJECTED: 1}
    assert crew.ledger.next_lanes() == []
    crew.ledger.settle(payment, SENT)
    with pytest.raises(KeyError):
        crew.ledger.flush()


def test_no_more_outcomes_wait_than_may() -> None:
    """Where more outcomes wait than after a crash may be sent again, they are written at once."""
    run = Run([[due("A", number=1), due("B", number=2), due("C", number=3)]])
    crew = run.crews[0]
    (lane,) = crew.ledger.next_lanes()
    for waiting, one in enumerate(lane.stretches[0], 1):
        crew.ledger.settle(one, SENT)
        crew.ledger.limit_waiting(2)
        assert len(run.records.written) == 1 + (waiting > 2)

    assert run.records.written[1] == [(key, Status.SUCCEEDED) for key in "ABC"]


def test_a_ledger_that_failed_is_asked_no_more() -> None:
    """Where the ledger refuses what a crew writes, all its threads learn of it."""
    run = Run([[due("A")]])
    crew = run.crews[0]
    ((one,),) = crew.ledger.next_lanes()[0].stretches
    run.records.error = OSError("disk full")

    for _ in range(2):
        with pytest.raises(OSError, match="disk full"):
            crew.ledger.intend([one])
    assert crew.asked == ["record", "record"]


def test_one_failure_too_many_drains_all() -> None:
    """Failures of all crews add up to what --max-failures allows."""
    run = Run([[due(key, number=number)] for number, key in enumerate("ABC")])
    run.course.allow_failures(1)
    lanes = [crew.ask("record", [], 1)[1] for crew in run.crews]
    for crew, (lane,) in zip(run.crews, lanes, strict=True):
        ((one,),) = lane.stretches
        crew.ledger.settle(one, REFUSED)
        crew.course.count(Status.REJECTED)
        crew.ledger.flush()

    assert run.crews[2].course.halt_code == "too_many_failures"
    assert run.course.counts == {Status.REJECTED: 3}


def test_throttled_answers_are_added_up(run: Run) -> None:
    """The summary counts the throttled answers of all crews."""
    for throttled, crew in enumerate(run.crews):
        crew.ask("report", throttled)

    assert run.bridge.throttled == 3
