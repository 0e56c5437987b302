"""The first act alone, with nothing written: what a run would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipeline.ledger.dry_run import DryRunResult
from pipeline.ledger.records import InputRecord
from pipeline.ledger.staging.staged_chunk import RowDecision
from pipeline.model import Status
from pipeline.tables.fault_groups import GroupedFaults
from pipeline.tables.outcome_page import Outcome
from pipeline.write.answers.masking import safe_text

# Whoever reads a plan over somebody's shoulder should learn nothing of a user. In the last two there may be anything.
_PRIVATE = frozenset(
    {"user_id", "open_id", "openid", "user_card_code", "card_id", "agreement_no", "ext_info", "biz_data"}
)


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a run would do: rows by decision, faults, the first problems, sample payloads, and for how long.

    `to_send` counts requests, which are more than rows where a task was completed several times. `inputs` are those
    that were read, `ignored` the files in their folders that were not. With a `reason` the run would stop before its
    first request.
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
    reason: str | None = None

    @property
    def exit_code(self) -> int:
        """What a plan exits with: 4 where the run would stop itself, 3 where rows are invalid."""
        if self.reason is not None:
            return 4
        return 3 if self.counts[Status.INVALID] else 0


def plan_of(
    seen: DryRunResult,
    limit_per_s: float,
    reason: str | None = None,
    *,
    ignored: Sequence[str] = (),
    show_ids: bool = False,
) -> Plan:
    """
    Return the plan that a rehearsed run amounts to, at so many requests a second; `reason` is why it would stop.

    The sample payloads are without ids of users; with `show_ids` they are what would be sent, to the byte.
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
    codes = sorted((skipped | seen.faults).items(), key=lambda item: -item[1])
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
        reason=reason,
    )


def _sample(body: bytes) -> str:
    fields = orjson.loads(body)
    shown = {name: f"<{len(value)} characters>" if name in _PRIVATE else _safe(value) for name, value in fields.items()}
    return orjson.dumps(shown).decode()


def _safe(value: Any) -> Any:
    """Return a value without what may be an id: a wrong mapping puts a user's id anywhere."""
    match value:
        case str():
            return safe_text(value)
        case list():
            return list(map(_safe, value))
        case dict():
            return {name: _safe(item) for name, item in value.items()}
        case _:
            return value
