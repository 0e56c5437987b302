"""Properties of delivery that hold for any rows, answers, crashes, resumes and reruns."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Due, Phase, RunRecord, RunState
from pipeline.ledger.rules.admission import Go
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.staging.rerun import Selection
from pipeline.model import Export, Status
from pipeline.write.answers.verdict import Succeeded, Verdict
from tests.ledger_runs.job_runs import (
    ASKS_FOR_NEW_KEY,
    DONE,
    LOST,
    NOT_CONNECTED,
    OPEN,
    REFUSED,
    THROTTLED,
    JobRuns,
    NewLedger,
    conclude,
    ended,
    in_a_file,
)
from tests.ledger_runs.staged_rows import StagedRow, balance, invalid, order, state, task
from tests.moved_clock import MovedClock

ROWS: dict[Export, list[StagedRow]] = {
    Export.ORDERS: [
        *(order("A"), order("A", "2"), order("B", user="v"), invalid("A")),
        *(order("R", refund_of="A"), order("S", refund_of="B")),
    ],
    Export.TASKS: [task("A", 2), task("A", 3), task("A", 2, "2"), task("B")],
    Export.POINTS: [
        *(balance("X", 5), balance("X", 7), balance("X", 9, key="K")),
        *(balance("Y", 1), balance("Y", 2, key="L")),
    ],
    Export.STATES: [state("A", "SIGNED"), state("A", "ENDED"), state("A", "ENDED", "2"), state("B", "SIGNED")],
}
# The platform's answer, and whether it applies the request.
ANSWERS: list[tuple[Verdict, bool]] = [
    *((DONE, True), (LOST, True), (LOST, False), (NOT_CONNECTED, False)),
    *((REFUSED, False), (ASKS_FOR_NEW_KEY, False), (THROTTLED, False)),
]
SELECTIONS = [Selection(OPEN), Selection(OPEN, new_keys=True), Selection(frozenset({Status.REJECTED}), new_keys=True)]


@dataclass
class PlannedRun:
    """A run of the scenario: the rows that were staged for it, or the run that it copies."""

    run_id: str
    rows: Sequence[StagedRow] = ()
    parent: RunRecord | None = None
    selection: Selection | None = None
    count: int = 0


@dataclass
class Scenario:
    """
    Runs over one ledger, and a platform that applies each key once.

    `acted` is what the platform applied. `confirmed` is what the ledger has on disk as delivered, `uncommitted` what it
    was given since its last commit. `newest` is the position of each card's newest confirmed balance, `places` that of
    the newest row that was sent under each key.
    """

    job_runs: JobRuns
    ledger: Ledger
    data: st.DataObject
    runs: list[PlannedRun] = field(default_factory=list)
    acted: dict[str, bytes] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    uncommitted: list[Due] = field(default_factory=list)
    newest: dict[bytes, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def chance(self, one_in: int) -> bool:
        return self.data.draw(st.integers(1, one_in)) == one_in

    def run(self) -> None:
        rows = self.data.draw(st.lists(st.sampled_from(ROWS[self.job_runs.export]), min_size=1, max_size=4))
        run = self.job_runs.begin(self.ledger)
        self.runs.append(PlannedRun(run.run.run_id, rows))
        self.stage(run, self.runs[-1])

    def rerun(self) -> None:
        parent = self.record(self.data.draw(st.sampled_from(self.runs)))
        if parent.phase is Phase.STAGING:
            return
        run = self.job_runs.begin(self.ledger, parent.run_id)
        self.runs.append(PlannedRun(run.run.run_id, (), parent, self.data.draw(st.sampled_from(SELECTIONS))))
        self.stage(run, self.runs[-1])

    def resume(self) -> None:
        planned = self.data.draw(st.sampled_from(self.runs))
        record = self.record(planned)
        run = self.ledger.resume(record, self.job_runs.owner)
        if record.phase is Phase.STAGING:
            self.stage(run, planned)
        else:
            self.send(run)

    def record(self, planned: PlannedRun) -> RunRecord:
        return self.ledger.find(planned.run_id)

    def stage(self, run: RunLedger, planned: PlannedRun) -> None:
        """Stage a run, or die before that is done."""
        is_done = not self.chance(8)
        if planned.parent is None or planned.selection is None:
            run.unstage()
            self.job_runs.stage(run, planned.rows, decide=is_done)
            # A process that dies while it reads loses its rows: `resume` reads them again.
            planned.count = len(planned.rows) if is_done else 0
        elif is_done:
            planned.count = self.job_runs.copy(run, planned.parent, planned.selection)
        if is_done:
            self.send(run)

    def send(self, run: RunLedger) -> None:
        """Send some of the dues; conclude the run, or die, perhaps with a request in flight."""
        dues = [due for lane in run.lanes() for due in lane]
        most = self.data.draw(st.integers(0, len(dues))) if self.chance(4) else len(dues)
        for due in dues[:most]:
            self.carry(run, due)
        if not self.chance(3):
            conclude(run, RunState.COMPLETED if most == len(dues) else RunState.INTERRUPTED)
            self.note_commit()
        elif most < len(dues):
            self.carry(run, dues[most], dies=True)
        self.uncommitted.clear()

    def carry(self, run: RunLedger, due: Due, *, dies: bool = False) -> None:
        admission = self.job_runs.intend(run, due)
        self.note_commit()
        answer: Verdict = DONE
        if isinstance(admission, Go):
            assert due.identity not in self.confirmed, "what is known as delivered is never sent again"
            # A request stands for the newest row with its key, whichever run sends it.
            place = self.places[due.identity] = max(due.position, self.places.get(due.identity, 0))
            assert due.balance is None or place >= self.newest.get(due.balance.card, 0), "no balance goes back"
            answer = self.answer(due)
        if not dies:
            run.settle(due, ended(admission, answer))
            self.uncommitted += [due] if isinstance(admission, Go) and isinstance(answer, Succeeded) else []

    def note_commit(self) -> None:
        """Note the deliveries that a commit has put on disk."""
        for due in self.uncommitted:
            self.confirmed.add(due.identity)
            if due.balance is not None:
                self.newest[due.balance.card] = self.places[due.identity]
        self.uncommitted.clear()

    def answer(self, due: Due) -> Verdict:
        """Answer a request and maybe apply it. A request that was applied before is answered with success or lost."""
        verdict, acts = self.data.draw(st.sampled_from(ANSWERS))
        if due.identity in self.acted:
            assert self.acted[due.identity] == due.body, "a retry sends the same bytes"
            return verdict if verdict in (LOST, NOT_CONNECTED) else DONE
        if acts:
            self.acted[due.identity] = due.body
        return verdict


@in_a_file
@pytest.mark.parametrize("export", ROWS)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_the_properties_hold_after_any_crashes(new_ledger: NewLedger, export: Export, data: st.DataObject) -> None:
    """Each row has one outcome, nothing delivered is sent again, retries are equal, and no row counts twice."""
    play(new_ledger, export, data)


@pytest.mark.parametrize("new_ledger", ["postgresql"], indirect=True, scope="session")
@pytest.mark.parametrize("export", ROWS)
@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_the_properties_hold_on_a_server(new_ledger: NewLedger, export: Export, data: st.DataObject) -> None:
    """The same with a ledger on a server; an example takes ten times as long there."""
    play(new_ledger, export, data)


def play(new_ledger: NewLedger, export: Export, data: st.DataObject) -> None:
    with new_ledger(MovedClock()) as opens:
        scenario = Scenario(JobRuns(opens, export), opens(), data)
        scenario.run()
        for _ in range(data.draw(st.integers(1, 7))):
            data.draw(st.sampled_from([scenario.run, scenario.resume, scenario.rerun]))()

        for planned in scenario.runs:
            assert len(list(scenario.ledger.outcomes(scenario.record(planned)))) == planned.count
        rows = [re.sub(r"(-k\d+)+$", "", key) for key in scenario.acted]
        assert len(rows) == len(set(rows)), scenario.acted
