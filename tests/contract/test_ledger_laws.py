"""The laws of delivery, whatever rows, answers, crashes, resumes and reruns there are."""

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
from tests.contract.nights import (
    ASKS_FOR_NEW_KEY,
    DONE,
    LOST,
    NOT_CONNECTED,
    OPEN,
    REFUSED,
    THROTTLED,
    NewLedger,
    Nights,
    conclude,
    ended,
)
from tests.contract.staged_rows import StagedRow, balance, invalid, order, state, task
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
# Whether the platform acts on the request goes along with what it answers.
ANSWERS: list[tuple[Verdict, bool]] = [
    *((DONE, True), (LOST, True), (LOST, False), (NOT_CONNECTED, False)),
    *((REFUSED, False), (ASKS_FOR_NEW_KEY, False), (THROTTLED, False)),
]
SELECTIONS = [Selection(OPEN), Selection(OPEN, new_keys=True), Selection(frozenset({Status.REJECTED}), new_keys=True)]


@dataclass
class AnswerContent:
    """A run of the story: what was staged for it, or what it was copied from."""

    run_id: str
    rows: Sequence[StagedRow] = ()
    parent: RunRecord | None = None
    selection: Selection | None = None
    count: int = 0


@dataclass
class Story:
    """
    Nights over one ledger, and a platform that acts on each key once.

    `acted` is what the platform acted on; `confirmed` what the ledger has on disk as delivered, and `in_hand` what it
    was told of since its last commit; `newest` the place of each card's newest balance that was confirmed.
    """

    nights: Nights
    ledger: Ledger
    data: st.DataObject
    runs: list[AnswerContent] = field(default_factory=list)
    acted: dict[str, bytes] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    in_hand: list[Due] = field(default_factory=list)
    newest: dict[bytes, int] = field(default_factory=dict)

    def chance(self, one_in: int) -> bool:
        return self.data.draw(st.integers(1, one_in)) == one_in

    def night(self) -> None:
        rows = self.data.draw(st.lists(st.sampled_from(ROWS[self.nights.export]), min_size=1, max_size=4))
        run = self.nights.begin(self.ledger)
        self.runs.append(AnswerContent(run.run.run_id, rows))
        self.stage(run, self.runs[-1])

    def rerun(self) -> None:
        parent = self.record(self.data.draw(st.sampled_from(self.runs)))
        if parent.phase is Phase.STAGING:
            return
        run = self.nights.begin(self.ledger, parent.run_id)
        self.runs.append(AnswerContent(run.run.run_id, (), parent, self.data.draw(st.sampled_from(SELECTIONS))))
        self.stage(run, self.runs[-1])

    def resume(self) -> None:
        reported_rows = self.data.draw(st.sampled_from(self.runs))
        record = self.record(reported_rows)
        run = self.ledger.take_up(record, self.nights.owner)
        if record.phase is Phase.STAGING:
            self.stage(run, reported_rows)
        else:
            self.send(run)

    def record(self, reported_rows: AnswerContent) -> RunRecord:
        return self.ledger.find(reported_rows.run_id)

    def stage(self, run: RunLedger, reported_rows: AnswerContent) -> None:
        """Stage a run, or die before that is done."""
        is_done = not self.chance(8)
        if reported_rows.parent is None or reported_rows.selection is None:
            run.unstage()
            self.nights.stage(run, reported_rows.rows, decide=is_done)
            # What was read goes with a process that dies before all was read: `resume` reads it again.
            reported_rows.count = len(reported_rows.rows) if is_done else 0
        elif is_done:
            reported_rows.count = self.nights.copy(run, reported_rows.parent, reported_rows.selection)
        if is_done:
            self.send(run)

    def send(self, run: RunLedger) -> None:
        """Send some of what is due; conclude the run, or die, perhaps with a request in the air."""
        dues = [due for lane in run.lanes() for due in lane]
        most = self.data.draw(st.integers(0, len(dues))) if self.chance(4) else len(dues)
        for due in dues[:most]:
            self.carry(run, due)
        if not self.chance(3):
            conclude(run, RunState.COMPLETED if most == len(dues) else RunState.INTERRUPTED)
            self.take_in()
        elif most < len(dues):
            self.carry(run, dues[most], dies=True)
        self.in_hand.clear()

    def carry(self, run: RunLedger, due: Due, *, dies: bool = False) -> None:
        admission = self.nights.intend(run, due)
        self.take_in()
        answer: Verdict = DONE
        if isinstance(admission, Go):
            assert due.identity not in self.confirmed, "what is known as delivered is never sent again"
            assert due.balance is None or due.position >= self.newest.get(due.balance.card, 0), "no balance goes back"
            answer = self.answer(due)
        if not dies:
            run.settle(due, ended(admission, answer))
            self.in_hand += [due] if isinstance(admission, Go) and isinstance(answer, Succeeded) else []

    def take_in(self) -> None:
        """Note as confirmed what a commit has put on disk."""
        for due in self.in_hand:
            self.confirmed.add(due.identity)
            if due.balance is not None:
                self.newest[due.balance.card] = due.position
        self.in_hand.clear()

    def answer(self, due: Due) -> Verdict:
        """Answer a request, and act on it or not. A platform that acted before says so, if it is heard."""
        verdict, acts = self.data.draw(st.sampled_from(ANSWERS))
        if due.identity in self.acted:
            assert self.acted[due.identity] == due.body, "a retry sends the same bytes"
            return verdict if verdict in (LOST, NOT_CONNECTED) else DONE
        if acts:
            self.acted[due.identity] = due.body
        return verdict


@pytest.mark.parametrize("export", ROWS)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_the_laws_hold_after_any_crashes(new_ledger: NewLedger, export: Export, data: st.DataObject) -> None:
    """Each row has one outcome, nothing delivered goes out again, retries are equal, and no row counts twice."""
    with new_ledger(MovedClock()) as opens:
        story = Story(Nights(opens, export), opens(), data)
        story.night()
        for _ in range(data.draw(st.integers(1, 7))):
            data.draw(st.sampled_from([story.night, story.resume, story.rerun]))()

        for reported_rows in story.runs:
            assert len(list(story.ledger.outcomes(story.record(reported_rows)))) == reported_rows.count
        rows = [re.sub(r"(-k\d+)+$", "", key) for key in story.acted]
        assert len(rows) == len(set(rows)), story.acted
