"""Values that go into the ledger and come out of it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipeline.model import Api, Balance, Export, ObjectState, Status
from pipeline.tables.fault_groups import FaultGroups

# Bits of a position that hold the row's number in its run; the run's number is above them.
ROW_BITS = 40


def position(run_no: int, row_no: int) -> int:
    """Return the position of a row among all rows ever staged: later runs, and later rows of a run, are larger."""
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

    SENDING is the intent: after a crash it means that the platform may have applied the delivery.
    """

    SENDING = "sending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    UNSENT = "unsent"


@dataclass(frozen=True, slots=True)
class NewRun:
    """
    A run that is to begin. `options` are those of the command line that `resume` needs.

    They include inputs, and a URI may hold credentials: so they are in no `repr`.
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
    """One line of the table `runs`. `state` and later fields have these values until the run concludes."""

    run_no: int
    run_id: str
    job: str
    export: Export
    api: Api
    account: str
    account_no: int
    parent: str | None
    options: Mapping[str, Any] = field(repr=False)
    limit_per_s: float
    started_at: str
    phase: Phase = Phase.STAGING
    state: RunState | None = None
    exit_code: int | None = None
    reason: str | None = None
    throttled: int = 0
    finished_at: str | None = None
    elapsed_s: float = 0.0
    sending_s: float = 0.0
    waits: Sequence[Mapping[str, Any]] = ()

    @property
    def is_rerun(self) -> bool:
        """Whether its rows were copied from `parent`. Otherwise it read its inputs, and `parent` is a run it fixes."""
        return "only" in self.options


@dataclass(frozen=True, slots=True)
class InputRecord:
    """
    An input file of a run: `name` for reports, `location` to open it again.

    `encoding` is None where the format defines it. `delimiter` is that of a CSV; the ledger does not keep it.
    """

    file_no: int
    name: str
    location: str
    columns: tuple[str, ...]
    rows: int
    sha256: str
    encoding: str | None = None
    delimiter: str | None = None


@dataclass(slots=True)
class StagedCounts:
    """
    A run after the decision.

    - `rows`, `invalid`, `faults`: rows without filtered ones: all, the invalid ones, and their faults in groups
    - `skipped`: skipped rows, also filtered ones
    - `requests`, `bodies`: requests to send, and the SHA-256 of their bodies in the order of their rows, if wanted
    """

    rows: int = 0
    invalid: int = 0
    faults: FaultGroups = field(default_factory=FaultGroups)
    skipped: int = 0
    requests: int = 0
    bodies: "hashlib._Hash | None" = field(default=None, repr=False)


# Puts another request key into a body.
Rekey = Callable[[bytes, str], bytes]


def accept_any(_counts: StagedCounts) -> None:
    """Raise nothing: all rows may be sent."""


@dataclass(frozen=True, slots=True)
class Due:
    """
    What a run still has to deliver for a row.

    `position` orders balances and states by staging; for a state it is that of the last row that says the same.
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
class NamedDue:
    """A due with the name of its row (file, row number, line of the file), and code and message if it ended."""

    file: str
    source_row: int
    file_line: int | None
    code: str
    message: str
    due: Due


@dataclass(frozen=True, slots=True)
class Settlement:
    """
    How a due ended in this run.

    `leaves` is what the ledger then knows of the delivery; None deletes its intent, since nothing was sent. `is_open`
    means that the run was stopped before the due ended, so `resume` continues it.
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


@dataclass(frozen=True, slots=True)
class RunEnding:
    """Why a run ends with rows left: the name of an `Ending`, the reason for people, and the code of a halt."""

    ending: str
    reason: str
    halt_code: str | None = None


REQUESTS = ("attempts", "retries", "throttled")
"""Counted requests of a run: all, those that repeat another one, and those that the platform throttled."""


@dataclass(frozen=True, slots=True)
class SenderNews:
    """
    What a sender adds to the state of its run.

    - `counts`: rows that ended, by status, and requests, by the names in `REQUESTS`
    - `is_proven`: the platform accepts the caller, and not all rows end alike, so others may send too
    - `ending`: why the whole run has to end, if it does
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    is_proven: bool = False
    ending: RunEnding | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (any(self.counts.values()) or self.is_proven or self.ending)


@dataclass(frozen=True, slots=True)
class SharedState:
    """
    The state that all senders of a run share; `counts` are as in `SenderNews`, of this execution of the run.

    `is_led`: the process that began or resumed the run is alive, as far as its lease says.
    """

    is_led: bool
    is_proven: bool = False
    max_failures: float | None = None
    ending: RunEnding | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
