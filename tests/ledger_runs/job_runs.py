"""Runs of one job whose rows are staged, sent and settled, or whose process dies."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Protocol

import orjson
import pytest

from pipeline.ledger.batch_sizes import DEFAULT_SIZES, BatchSizes
from pipeline.ledger.dry_run import DryRun
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Due, InputRecord, NewRun, RunRecord, RunState, Settlement
from pipeline.ledger.rules.admission import Admission, Blocked, Conflict, Go, OtherSenders, Skip
from pipeline.ledger.run_ledger import RunLedger
from pipeline.ledger.staging.rerun import Rewrites, Selection
from pipeline.ledger.store.database import Connect, connect
from pipeline.ledger.store.lease import LeaseOwner, this_process
from pipeline.map import rekey, retarget
from pipeline.model import Api, Export, Status
from pipeline.write.answers.verdict import Refused, Succeeded, TryAgain, Verdict
from pipeline.write.settlement import DeliveryHistory, settle
from tests.ledger_runs.staged_rows import StagedRow, mapped_of
from tests.moved_clock import MovedClock

# Larger than any process id that Linux gives out.
GONE = 2**22 + 1
DEAD = LeaseOwner(host="here", boot="boot", pid=GONE, began="1", namespace="one")
ALIVE = this_process()
ME = "Alipay app 2021000000000001"

DONE = Succeeded("SUCCESS")
REFUSED = Refused("INVALID_PARAMETER", "fix the row")
ASKS_FOR_NEW_KEY = Refused("IDEMPOTENT_ERROR", "take another number", wants_new_key=True)
LOST = TryAgain("timeout", "no answer", may_have_acted=True)
THROTTLED = TryAgain("http_429", "too many", may_have_acted=False, slow=True)
NOT_CONNECTED = TryAgain("not_connected", "no connection", may_have_acted=False)

# Status and code of a row.
SENT = (Status.SUCCEEDED, "SUCCESS")
CONFLICT = (Status.INVALID, "key_conflict")
CONTRADICTION = (Status.INVALID, "contradiction")
DELIVERED = (Status.SKIPPED, "already_succeeded")
DUPLICATE = (Status.SKIPPED, "duplicate_row")
SUPERSEDED = (Status.SKIPPED, "superseded")
UNCHANGED = (Status.SKIPPED, "unchanged")

ReportedRow = tuple[str, Status, str]
OPEN = frozenset({Status.UNKNOWN, Status.BLOCKED, Status.UNSENT})

API = {
    Export.ORDERS: Api.CUMULATION,
    Export.TASKS: Api.CUMULATION,
    Export.POINTS: Api.POINTS,
    Export.STATES: Api.STATE,
}


def fast_connect(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    """Connect without waiting for the disk: processes die in these tests, machines do not."""
    connection = connect(path, durable=durable)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


# For tests of what only a file has: its connections, or this machine's clock for leases.
in_a_file = pytest.mark.parametrize("new_ledger", ["sqlite"], indirect=True, scope="session")


class Opens(Protocol):
    """Opens the ledger under test, the same file each time."""

    def __call__(self, owner: LeaseOwner = DEAD) -> Ledger: ...


class OpensWith(Protocol):
    """Opens it with other connections or sizes."""

    def __call__(
        self, owner: LeaseOwner = DEAD, *, connect: Connect = fast_connect, sizes: BatchSizes = DEFAULT_SIZES
    ) -> Ledger: ...


NewLedger = Callable[[MovedClock], AbstractContextManager[OpensWith]]


@dataclass
class JobRuns:
    """
    The runs of one job over a ledger. Each is a process of its own, and dies unless it is concluded.

    `answers` are the platform's answers by the name of a due; the default is success. `sent` lists name and body of
    each request, in order. `unchanged_for` is how long a balance is trusted that others send too; None: nobody does.
    """

    opens: Opens
    export: Export = Export.ORDERS
    account: str = "zhima"
    owner: str = ME
    job: str = "orders"
    clock: MovedClock = field(default_factory=MovedClock)
    sent: list[tuple[str, bytes]] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=count)
    unchanged_for: timedelta | None = None

    @property
    def api(self) -> Api:
        return API[self.export]

    def new(self, parent: str | None = None) -> NewRun:
        run_id = f"{self.job.upper()}-{next(self.ids):04}"
        return NewRun(
            run_id=run_id,
            job=self.job,
            export=self.export,
            api=self.api,
            account=self.account,
            limit_per_s=5.0,
            started_at="2026-03-01T12:00:00.000Z",
            parent=parent,
        )

    def begin(self, ledger: Ledger | None = None, parent: str | None = None) -> RunLedger:
        return (ledger or self.opens()).begin(self.new(parent), self.owner)

    def stage(self, run: RunLedger | DryRun, rows: Sequence[StagedRow], *, decide: bool = True) -> None:
        source = InputRecord(
            file_no=1,
            name="orders.csv",
            location="exports/orders.csv",
            columns=("key", "content"),
            rows=len(rows),
            sha256="00",
        )
        run.add_input(source)
        run.stage(1, 1, mapped_of(rows, self.api), retarget)
        if decide:
            others = None if self.unchanged_for is None else OtherSenders.at(self.clock.now(), self.unchanged_for)
            run.start_delivering(self.rekey, others=others)

    def rekey(self, body: bytes, key: str) -> bytes:
        return rekey(body, self.api, key)

    def intend(self, run: RunLedger, due: Due) -> Admission:
        """Write the intent of a due; note the request as sent if it is admitted."""
        (admission,) = run.intend([due])
        if isinstance(admission, Go):
            self.sent.append((named(due), due.body))
        return admission

    def carry(self, run: RunLedger, due: Due, answer: Verdict) -> None:
        """Send one due as a worker does, with this answer."""
        run.settle(due, ended(self.intend(run, due), answer))

    def deliver(self, run: RunLedger, answers: Mapping[str, Verdict], most: int | None = None) -> RunRecord:
        """Send what is due, at most `most` dues, and conclude the run."""
        dues = [due for lane in run.lanes() for due in lane]
        for due in dues[:most]:
            self.carry(run, due, answers.get(named(due), DONE))
        is_cut = most is not None and most < len(dues)
        return conclude(run, RunState.INTERRUPTED if is_cut else RunState.COMPLETED)

    def run(self, *rows: StagedRow, answers: Mapping[str, Verdict] | None = None, most: int | None = None) -> RunRecord:
        """Run the job over these rows, to its end or for at most `most` dues."""
        run = self.begin()
        self.stage(run, rows)
        return self.deliver(run, answers or {}, most)

    def resume(
        self, record: RunRecord, answers: Mapping[str, Verdict] | None = None, most: int | None = None
    ) -> RunRecord:
        """Resume a run whose rows are staged."""
        return self.deliver(self.opens().resume(record, self.owner), answers or {}, most)

    def rerun(
        self,
        parent: RunRecord,
        answers: Mapping[str, Verdict] | None = None,
        selection: Selection | None = None,
    ) -> RunRecord:
        """Send again the rows that a run left open."""
        chosen = selection or Selection(OPEN)
        run = self.opens().begin(replace(self.new(parent.run_id), options=chosen.as_options()), self.owner)
        self.copy(run, parent, chosen)
        return self.deliver(run, answers or {})

    def copy(self, run: RunLedger, parent: RunRecord, selection: Selection) -> int:
        """Copy the open rows of a run into a new one; return how many."""
        return run.copy_from(parent, selection, Rewrites(self.rekey, retarget))

    def reported_rows(self, record: RunRecord) -> list[ReportedRow]:
        """Return key, status and code of each row of a run."""
        return [(o.request_key, o.status, o.code) for o in self.opens().outcomes(record)]

    def keys_sent(self) -> list[str]:
        """Return the names of the requests sent since the last call."""
        keys = [key for key, _ in self.sent]
        self.sent.clear()
        return keys


def named(due: Due) -> str:
    """Return the name of a due in these tests: its identity, or number and code of a state."""
    return due.identity if due.state is None else f"{due.request_key}/{orjson.loads(due.body)['biz_state_code']}"


def first_due(run: RunLedger) -> Due:
    """Return the first due of the first lane of a run."""
    return next(iter(next(run.lanes())))


def ended(admission: Admission, answer: Verdict) -> Settlement:
    """Return the settlement of a due with this admission, and with this answer if it was sent."""
    match admission:
        case Go(doubt, before):
            return settle(DeliveryHistory(before=before, doubt=doubt).after(answer), answer)
        case Skip(code):
            return Settlement(Status.SKIPPED, code)
        case Conflict(message):
            return Settlement(Status.INVALID, "key_conflict", message)
        case Blocked(code, message):
            return Settlement(Status.BLOCKED, code, message)


def conclude(run: RunLedger, state: RunState, code: str = "interrupted") -> RunRecord:
    """Conclude a run; its open rows are cut off."""
    reason = None if state is RunState.COMPLETED else "cut off"
    record = run.conclude(
        state=state,
        reason=reason,
        finished_at="2026-03-01T12:00:09.000Z",
        open_as=(code, reason or ""),
        progress={"throttled": 0, "elapsed_s": 9.0, "sending_s": 8.0},
    )
    run.release()
    return record


class NewJobRuns(Protocol):
    """Makes a job's runs over the ledger under test."""

    def __call__(
        self, export: Export = Export.ORDERS, *, account: str = "zhima", owner: str = ME, job: str = "orders"
    ) -> JobRuns: ...
