"""Promises that hold after any history, checked from reports and the platform's journal."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pipeline.simulator import Decision, Entry
from tests.kills.exports import Export

Line = Mapping[str, str]

_POINTS_A_SECOND = 5
# Seconds that a request may arrive after its process ended; the next process starts later.
_LATE_SECONDS = 0.05


def all_rows_are_done(export: Export, lines: Sequence[Line], entries: Sequence[Entry]) -> None:
    """Assert that each row has one outcome, and that the platform counted each key once, with one body."""
    _same("rows", [int(line["source_row"]) for line in lines], list(range(1, len(export.rows) + 1)))
    _same("statuses", [line["status"] for line in lines], list(export.statuses))
    nothing_counts_twice(entries)
    applied = sorted(entry.key for entry in entries if entry.decision is Decision.APPLIED)
    _same("keys that the platform counted", applied, sorted(export.keys))


def nothing_counts_twice(entries: Sequence[Entry]) -> None:
    """Assert that no key counts twice, that each has one body, and that there is no other decision."""
    applied = Counter(entry.key for entry in entries if entry.decision is Decision.APPLIED)
    bodies: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        bodies[entry.key].add(entry.body_digest)
    others = {entry.decision for entry in entries} - {Decision.APPLIED, Decision.REPEATED}
    _same("keys that were counted twice", [key for key, count in applied.items() if count > 1], [])
    _same("keys with two bodies", [key for key, digests in bodies.items() if len(digests) > 1], [])
    _same("other decisions of the platform", others, set())


def statuses_are_true(lines: Sequence[Line], entries: Sequence[Entry]) -> None:
    """Assert that succeeded keys were counted by the platform, and unsent ones were not."""
    applied = {entry.key for entry in entries if entry.decision is Decision.APPLIED}
    reported: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        reported[line["status"]].add(line["request_key"])
    _same("keys reported as succeeded that were not counted", reported["succeeded"] - applied, set())
    _same("keys reported as unsent that were counted", reported["unsent"] & applied, set())


def the_quota_was_kept(entries: Sequence[Entry]) -> None:
    """Assert that no second of the platform's clock has more balances than the quota."""
    arrived = sorted(entry.steady for entry in entries)
    spans = [later - first for first, later in zip(arrived, arrived[_POINTS_A_SECOND:], strict=False)]
    assert min(spans, default=1.0) >= 1.0, f"{_POINTS_A_SECOND + 1} balances came within {min(spans):.4f} s"


def _same(what: str, found: object, wanted: object) -> None:
    assert found == wanted, f"{what}: {found}, not {wanted}"


def resent_by_end(entries: Sequence[Entry], ends: Sequence[float]) -> list[int]:
    """
    Return how many requests were sent again because of each violent end; `ends` are steady seconds.

    A request is sent again because of the first end after it was sent before. Without such an end the process sent it
    twice, and the assertion fails.
    """
    resent = [0] * len(ends)
    last_arrivals = [end + _LATE_SECONDS for end in ends]
    sent_before: dict[str, float] = {}
    for entry in sorted(entries, key=lambda entry: entry.steady):
        before = sent_before.get(entry.key)
        if before is not None:
            end = bisect_right(last_arrivals, before)
            assert end < len(ends), f"{entry.key} was sent again and no process had ended"
            assert ends[end] < entry.steady, f"{entry.key} was sent twice by one process"
            resent[end] += 1
        sent_before[entry.key] = entry.steady
    return resent
