"""The first act alone, on a scratch ledger: what a run would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from pipeline.ledger.ledger import Ledger, RunLedger
from pipeline.model import Outcome, Status
from pipeline.write.masking import safe_text

_SAMPLES = 3
_PROBLEMS = 10
# Whoever reads a plan over somebody's shoulder should learn nothing of a user. In the last two there may be anything.
_PRIVATE = frozenset(
    {"user_id", "open_id", "openid", "user_card_code", "card_id", "agreement_no", "ext_info", "biz_data"}
)


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a run would do: rows by fate, the first problems, sample payloads without ids of users, and for how long.

    `to_send` counts requests, which are more than rows where a task was completed several times.
    """

    rows: int
    counts: Mapping[str, int]
    codes: Mapping[str, int]
    to_send: int
    lanes: int
    seconds: float
    problems: Sequence[Outcome]
    samples: Sequence[str]


def plan_of(ledger: Ledger, run: RunLedger, limit_per_s: float) -> Plan:
    """Return the plan that a staged run amounts to, at so many requests a second."""
    counts: dict[str, int] = {"to send": 0, **dict.fromkeys((Status.SKIPPED.value, Status.INVALID.value), 0)}
    codes: dict[str, int] = {}
    problems: list[Outcome] = []
    for outcome in ledger.outcomes(run.run):
        is_due = outcome.status not in (Status.SKIPPED, Status.INVALID)
        counts["to send" if is_due else outcome.status] += 1
        if not is_due:
            codes[outcome.code] = codes.get(outcome.code, 0) + 1
        if outcome.status is Status.INVALID and len(problems) < _PROBLEMS:
            problems.append(outcome)
    to_send = lanes = 0
    samples: list[str] = []
    for lane in run.lanes():
        lanes, to_send = lanes + 1, to_send + len(lane)
        samples += (_sample(due.body) for due in islice(lane, _SAMPLES - len(samples)))
    return Plan(
        sum(counts.values()), counts, dict(sorted(codes.items(), key=lambda item: -item[1])), to_send, lanes,
        to_send / limit_per_s, problems, samples,
    )  # fmt: skip


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
