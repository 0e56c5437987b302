"""The first act alone, with nothing written: what a run would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from pipeline.ledger.leaf import Fate
from pipeline.ledger.rehearsal import Prospect
from pipeline.model import Status
from pipeline.outcome import Outcome
from pipeline.write.masking import safe_text

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


def plan_of(seen: Prospect, limit_per_s: float) -> Plan:
    """Return the plan that a rehearsed run amounts to, at so many requests a second."""
    skipped = {fate.code: rows for fate, rows in seen.fates.items() if fate not in (Fate.DUE, Fate.INVALID)}
    counts = {
        "to send": seen.fates[Fate.DUE],
        Status.SKIPPED.value: sum(skipped.values()),
        Status.INVALID.value: seen.fates[Fate.INVALID],
    }
    codes = sorted((skipped | seen.faults).items(), key=lambda item: -item[1])
    return Plan(
        rows=seen.fates.total(),
        counts=counts,
        codes=dict(codes),
        to_send=seen.to_send,
        lanes=seen.lanes,
        seconds=seen.to_send / limit_per_s,
        problems=seen.problems,
        samples=[_sample(body) for body in seen.samples],
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
