"""What must hold after any history, seen from outside: in the reports, and in the platform's own journal."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pipeline.simulator import Decision, Entry
from tests.kills.exports import Export

Line = Mapping[str, str]

_POINTS_A_SECOND = 5
# What a process sent before its end may arrive so much later; the next process sends nothing as soon as that.
_LATE_SECONDS = 0.05


def all_is_done(export: Export, lines: Sequence[Line], entries: Sequence[Entry]) -> None:
    """Hold that each row has its one outcome, and that the platform counted each key once, with one body."""
    _same("rows", [int(line["source_row"]) for line in lines], list(range(1, len(export.rows) + 1)))
    _same("statuses", [line["status"] for line in lines], list(export.fates))
    nothing_twice(entries)
    applied = sorted(entry.key for entry in entries if entry.decision is Decision.APPLIED)
    _same("keys that the platform counted", applied, sorted(export.keys))


def nothing_twice(entries: Sequence[Entry]) -> None:
    """Hold that no key was counted twice, that each came with one body, and that nothing else was asked."""
    applied = Counter(entry.key for entry in entries if entry.decision is Decision.APPLIED)
    bodies: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        bodies[entry.key].add(entry.body_digest)
    others = {entry.decision for entry in entries} - {Decision.APPLIED, Decision.REPEATED}
    _same("keys that were counted twice", [key for key, count in applied.items() if count > 1], [])
    _same("keys with two bodies", [key for key, digests in bodies.items() if len(digests) > 1], [])
    _same("other decisions of the platform", others, set())


def what_is_told_is_so(lines: Sequence[Line], entries: Sequence[Entry]) -> None:
    """Hold that nothing is called succeeded which the platform did not count, and nothing unsent which it did."""
    applied = {entry.key for entry in entries if entry.decision is Decision.APPLIED}
    reported: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        reported[line["status"]].add(line["request_key"])
    _same("keys told as succeeded that were not counted", reported["succeeded"] - applied, set())
    _same("keys told as unsent that were counted", reported["unsent"] & applied, set())


def the_quota_was_kept(entries: Sequence[Entry]) -> None:
    """Hold that no second of the platform's clock saw more balances than it allows."""
    arrived = sorted(entry.steady for entry in entries)
    spans = [later - first for first, later in zip(arrived, arrived[_POINTS_A_SECOND:], strict=False)]
    assert min(spans, default=1.0) >= 1.0, f"{_POINTS_A_SECOND + 1} balances came within {min(spans):.4f} s"


def _same(what: str, found: object, wanted: object) -> None:
    assert found == wanted, f"{what}: {found}, not {wanted}"


def duplicates_by_end(entries: Sequence[Entry], ends: Sequence[float]) -> list[int]:
    """
    Return how many requests were sent again because of each violent end of a process; `ends` are steady seconds.

    A request is sent again because of the end that came next after it was sent before. Where none did, a process
    has repeated what it knew: that fails.
    """
    repeats = [0] * len(ends)
    last_arrivals = [end + _LATE_SECONDS for end in ends]
    sent_before: dict[str, float] = {}
    for entry in sorted(entries, key=lambda entry: entry.steady):
        before = sent_before.get(entry.key)
        if before is not None:
            end = bisect_right(last_arrivals, before)
            assert end < len(ends), f"{entry.key} was sent again though nothing had ended its process"
            assert ends[end] < entry.steady, f"{entry.key} was sent twice by one process"
            repeats[end] += 1
        sent_before[entry.key] = entry.steady
    return repeats
