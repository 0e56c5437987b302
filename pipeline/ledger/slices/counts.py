"""The counts of a written slice as JSON, and back."""

from dataclasses import astuple
from functools import partial

import orjson

from pipeline.ledger.records import StagedCounts
from pipeline.model import Status
from pipeline.tables.fault_groups import FaultExample, FaultKind


def counts_as_json(counts: StagedCounts) -> str:
    """Return counts as JSON, without the hash of the bodies: slices end in any order."""
    faults = counts.faults.all()
    plain = {
        "numbers": [counts.rows, counts.invalid, counts.skipped, counts.requests],
        "faults": [[tuple(group.kind), astuple(group.example), group.rows] for group in faults.groups],
        "others": faults.rows_of_others,
    }
    return orjson.dumps(plain).decode()


def add_counts(counts: StagedCounts, text: str) -> None:
    """Add the counts of the next slice, from their JSON."""
    plain = orjson.loads(text)
    rows, invalid, skipped, requests = plain["numbers"]
    counts.rows += rows
    counts.invalid += invalid
    counts.skipped += skipped
    counts.requests += requests
    for (status, *kind), example, rows in plain["faults"]:
        counts.faults.add(FaultKind(Status(status), *kind), partial(FaultExample, *example), rows)
    counts.faults.add_others(plain["others"])
