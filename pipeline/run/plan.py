"""The plan of a run: the result of staging without sending."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from pipeline.language import t
from pipeline.ledger.dry_run import DryRunResult
from pipeline.ledger.records import InputRecord
from pipeline.ledger.staging.changes import ExportDifferences
from pipeline.ledger.staging.staged_chunk import RowDecision
from pipeline.model import Status
from pipeline.resources import private_fields
from pipeline.run.input_columns import OF_ANY_CONTENT, InputColumns
from pipeline.tables.fault_groups import GroupedFaults
from pipeline.tables.outcome_page import Outcome
from pipeline.write.answers.masking import safe_text


@dataclass(frozen=True, slots=True)
class Plan:
    """
    The result of a run without sending.

    - `rows`: rows read; `counts`: rows to send, skipped and invalid; `codes`: skipped and invalid rows by code
    - `to_send`: requests, more than rows if tasks were done several times; `lanes`: their lanes
    - `requests_sha256`: SHA-256 of the bodies of all requests, in the order of their rows, if the plan is to be saved
    - `seconds`: sending time at the quota
    - `problems`: the first invalid rows; `samples`: payloads as JSON
    - `inputs`: files read; `ignored`: other files in the input folders
    - `columns`: those of the first input
    - `warnings`: what the platform may refuse, though the rows are valid
    - `differences`: those from the last completed run, if there is one and they were asked for
    - `reason`: why the run would stop before its first request, else None
    """

    rows: int
    counts: Mapping[str, int]
    codes: Mapping[str, int]
    to_send: int
    lanes: int
    seconds: float
    faults: GroupedFaults
    problems: Sequence[Outcome]
    samples: Sequence[str]
    inputs: Sequence[InputRecord] = field(repr=False)
    ignored: Sequence[str] = ()
    warnings: Sequence[str] = ()
    reason: str | None = None
    columns: InputColumns | None = None
    requests_sha256: str = ""
    differences: ExportDifferences | None = None

    @property
    def exit_code(self) -> int:
        """4 if the run would stop before its first request, 3 if rows are invalid, else 0."""
        if self.reason is not None:
            return 4
        return 3 if self.counts[Status.INVALID] else 0


@dataclass(frozen=True, slots=True)
class SendingTime:
    """When sending ends at the quota if it begins now; a deadline, and the requests that it leaves over."""

    ends_at: datetime
    until: datetime | None
    left: int


def night_of(requests: int, rate: float, now: datetime, until: datetime | None) -> SendingTime:
    """Return the night of these requests, for a rate of requests per second."""
    ends_at = now + timedelta(seconds=requests / rate)
    if until is None:
        return SendingTime(ends_at, None, 0)
    seconds = max(0.0, (until - now).total_seconds())
    return SendingTime(ends_at, until, max(0, requests - math.floor(seconds * rate)))


def plan_of(
    seen: DryRunResult,
    limit_per_s: float,
    reason: str | None = None,
    *,
    ignored: Sequence[str] = (),
    columns: InputColumns | None = None,
    warnings: Sequence[str] = (),
    show_ids: bool = False,
) -> Plan:
    """
    Return the plan of a dry run, for a limit of requests per second.

    `reason` is why the run would stop. Sample payloads have no ids of users; with `show_ids` they are the exact bytes.
    """
    skipped = {
        decision.code: rows
        for decision, rows in seen.decisions.items()
        if decision not in (RowDecision.DUE, RowDecision.INVALID)
    }
    counts = {
        "to_send": seen.decisions[RowDecision.DUE],
        Status.SKIPPED.value: sum(skipped.values()),
        Status.INVALID.value: seen.decisions[RowDecision.INVALID],
    }
    codes = sorted((skipped | seen.faults).items(), key=lambda item: (-item[1], item[0]))
    return Plan(
        rows=seen.decisions.total(),
        counts=counts,
        codes=dict(codes),
        to_send=seen.to_send,
        lanes=seen.lanes,
        seconds=seen.to_send / limit_per_s,
        faults=seen.counts.faults.listed(),
        problems=seen.problems,
        samples=[body.decode() if show_ids else _sample(body) for body in seen.samples],
        inputs=list(seen.inputs.values()),
        ignored=ignored,
        warnings=warnings,
        reason=reason,
        columns=columns,
        requests_sha256=seen.counts.bodies.hexdigest() if seen.counts.bodies else "",
        differences=seen.differences,
    )


def _sample(body: bytes) -> str:
    hidden = private_fields() | OF_ANY_CONTENT
    fields = orjson.loads(body).items()
    shown = {
        name: t("<{count} characters>", count=len(value)) if name in hidden else _safe(value) for name, value in fields
    }
    return orjson.dumps(shown).decode()


def _safe(value: Any) -> Any:
    """Return a value with possible ids masked, because a wrong mapping may put a user's id anywhere."""
    match value:
        case str():
            return safe_text(value)
        case list():
            return list(map(_safe, value))
        case dict():
            return {name: _safe(item) for name, item in value.items()}
        case _:
            return value
