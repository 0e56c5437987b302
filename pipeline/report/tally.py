"""Counts of one pass over the outcomes. Memory grows with the number of codes, not with rows."""

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import chain, groupby
from typing import Any

import orjson

from pipeline.model import Status
from pipeline.report.timeline import Timeline
from pipeline.tables.fault_groups import MOST_KINDS, FaultExample, FaultGroups, FaultKind, GroupedFaults
from pipeline.tables.outcome_page import Outcome, OutcomePage

LISTED_ROWS = 50
_DONE = frozenset({Status.SUCCEEDED, Status.SKIPPED})
# Doubt comes first, because only a person can end it; unsent rows, often whole files, come last.
_LISTED = (Status.UNKNOWN, Status.REJECTED, Status.INVALID, Status.BLOCKED, Status.UNSENT)


class Tally:
    """
    Counts of a run's outcomes, faults in groups, times, and the first LISTED_ROWS rows of each open status.

    Faults of more than `most_kinds` kinds are only counted.
    """

    def __init__(self, most_kinds: float = MOST_KINDS) -> None:
        self.rows = 0
        self.attempts = 0
        self.new_keys_wanted = 0
        self.counts = dict.fromkeys(Status, 0)
        self._faults = FaultGroups(most_kinds)
        self._codes: Counter[tuple[Status, str]] = Counter()
        self.timeline = Timeline()
        self._listed: dict[Status, list[Outcome]] = {status: [] for status in _LISTED}

    def add(self, outcomes: OutcomePage) -> None:
        """Count rows."""
        self.attempts += sum(outcomes.attempts)
        self.timeline.add(outcomes)
        at = 0
        kinds = zip(outcomes.status, outcomes.code, outcomes.field, outcomes.column, outcomes.rule, strict=True)
        for kind, same in groupby(kinds):
            rows = len(list(same))
            self._count(FaultKind(*kind), outcomes, range(at, at + rows))
            at += rows
        if any(outcomes.wants_new_key):
            wanting = zip(outcomes.status, outcomes.wants_new_key, strict=True)
            self.new_keys_wanted += sum(wants and status is Status.REJECTED for status, wants in wanting)

    def as_json(self) -> bytes:
        """Return all counts as JSON."""
        plain: dict[str, Any] = {
            "numbers": [self.rows, self.attempts, self.new_keys_wanted],
            "counts": {status.value: count for status, count in self.counts.items()},
            "codes": [[*key, rows] for key, rows in self._codes.items()],
            "faults": self._faults.plain(),
            "timeline": self.timeline.plain(),
            "listed": {status.value: listed for status, listed in self._listed.items()},
        }
        return orjson.dumps(plain)

    def add_json(self, text: bytes) -> None:
        """
        Add the counts of the rows that follow, from their JSON.

        The sum is that of one pass over all rows, if the other tally has kept all kinds of faults.
        """
        plain = orjson.loads(text)
        rows, attempts, new_keys_wanted = plain["numbers"]
        self.rows += rows
        self.attempts += attempts
        self.new_keys_wanted += new_keys_wanted
        for status, count in plain["counts"].items():
            self.counts[Status(status)] += count
        self._codes.update({(Status(status), code): count for status, code, count in plain["codes"]})
        self._faults.add_plain(plain["faults"])
        self.timeline.add_plain(plain["timeline"])
        for status, several in plain["listed"].items():
            listed = self._listed[Status(status)]
            for each in several[: LISTED_ROWS - len(listed)]:
                listed.append(Outcome(**{**each, "status": Status(status)}))

    def _count(self, kind: FaultKind, outcomes: OutcomePage, entries: range) -> None:
        """Count neighbouring rows of one kind."""
        rows = len(entries)
        self.rows += rows
        self.counts[kind.status] += rows
        self._codes[kind.status, kind.code] += rows
        if kind.status not in _DONE:
            self._faults.add(kind, partial(_example, outcomes, entries[0]), rows)
            self._list(kind.status, outcomes, entries)

    def _list(self, status: Status, outcomes: OutcomePage, entries: range) -> None:
        listed = self._listed[status]
        for at in entries[: LISTED_ROWS - len(listed)]:
            listed.append(replace(outcomes[at], cells=None))

    @property
    def faults(self) -> GroupedFaults:
        """Faults of the rows that did not succeed, in groups."""
        return self._faults.listed()

    @property
    def left(self) -> int:
        """Number of rows that neither succeeded nor were skipped."""
        return sum(count for status, count in self.counts.items() if status not in _DONE)

    @property
    def codes(self) -> dict[str, int]:
        """Number of rows by code, most frequent first."""
        codes: Counter[str] = Counter()
        for (_, code), rows in self._codes.items():
            codes[code] += rows
        return dict(sorted(codes.items(), key=lambda item: (-item[1], item[0])))

    @property
    def skipped(self) -> dict[str, int]:
        """Number of skipped rows by code, most frequent first."""
        codes = {code: rows for (status, code), rows in self._codes.items() if status is Status.SKIPPED}
        return dict(sorted(codes.items(), key=lambda item: (-item[1], item[0])))

    def need_attention(self) -> list[Outcome]:
        """Return the first rows of each status that needs attention: `unknown` first, each in source order."""
        return list(chain.from_iterable(self._listed.values()))


def _example(outcomes: OutcomePage, at: int) -> FaultExample:
    row = outcomes[at]
    return FaultExample(row.source_file, row.source_row, row.file_line, row.value, row.message)
