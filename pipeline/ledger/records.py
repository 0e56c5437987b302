"""The values that go into the ledger and come out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipeline.model import Api, Balance, Export, ObjectState, Status
from pipeline.tables.fault_groups import FaultGroups

# A place among all rows ever staged: the run's number, and in the lower bits the row's number in its run.
ROW_BITS = 40


def position(run_no: int, row_no: int) -> int:
    """Return the place of a row among all rows ever staged."""
    return (run_no << ROW_BITS) | row_no


class Phase(StrEnum):
    """How far a run has come; see docs/design.md."""

    STAGING = "staging"
    DELIVERING = "delivering"
    CONCLUDED = "concluded"


class RunState(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


class DeliveryState(StrEnum):
    """
    What the ledger knows of a delivery that was attempted, or was about to be.

    SENDING is the intent: after a crash it means that the platform may have applied it.
    """

    SENDING = "sending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    UNSENT = "unsent"


@dataclass(frozen=True, slots=True)
class NewRun:
    """
    What a run is about; `options` are those of the command line that `resume` has to know.

    Inputs are among them, and a URI may hold credentials.
    """

    run_id: str
    job: str
    export: Export
    api: Api
    account: str
    limit_per_s: float
    started_at: str
    parent: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One line of the table `runs`. `state` and what follows are None until the run concludes."""

    run_no: int
    run_id: str
    job: str
    export: Export
    api: Api
    account: str
    account_no: int
    parent: str | None
    options: Mapping[str, Any] = field(repr=False)
    phase: Phase
    state: RunState | None
    exit_code: int | None
    reason: str | None
    throttled: int
    limit_per_s: float
    started_at: str
    finished_at: str | None
    elapsed_s: float
    sending_s: float
    waits: Sequence[Mapping[str, Any]] = ()

    @property
    def is_rerun(self) -> bool:
        """Whether its rows were copied from `parent`; else it read its own, and `parent` is the run that it fixes."""
        return "only" in self.options


@dataclass(frozen=True, slots=True)
class InputRecord:
    """
    One input file of a run: `name` as reports show it, `location` as it is found again.

    `encoding` is None where the format has one of its own.
    """

    file_no: int
    name: str
    location: str
    columns: tuple[str, ...]
    rows: int
    sha256: str
    encoding: str | None = None


@dataclass(slots=True)
class Decided:
    """What was decided on the rows of a run: how many there are but for filtered ones, and which are invalid."""

    rows: int = 0
    invalid: int = 0
    faults: FaultGroups = field(default_factory=FaultGroups)


def let_pass(_decided: Decided) -> None:
    """Let all rows be sent, whatever was decided."""


@dataclass(frozen=True, slots=True)
class Due:
    """
    What a run still has to deliver.

    `position` orders balances and states by when they were first staged; for a state it is that of the last row which
    says the same.
    """

    due_no: int
    row_no: int
    request_key: str
    identity: str
    digest: bytes = field(repr=False)
    body: bytes = field(repr=False)
    lane: bytes = field(repr=False)
    refund_of: str | None
    balance: Balance | None
    position: int
    state: ObjectState | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """
    How a due ended in this run.

    `leaves` is what the ledger then knows of the delivery; None forgets an intent that nothing came of. `is_open`:
    the run was stopped before this came to its end, so `resume` goes on with it.
    """

    status: Status
    code: str
    message: str = ""
    http_status: int | None = None
    attempts: int = 0
    first_sent_at: str | None = None
    finished_at: str | None = None
    latency_ms: int | None = None
    trace_id: str | None = None
    wants_new_key: bool = False
    is_open: bool = False
    leaves: DeliveryState | None = None
