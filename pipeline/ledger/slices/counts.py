"""The counts of a written slice as JSON, and back."""

import orjson

from pipeline.ledger.records import StagedCounts


def counts_as_json(counts: StagedCounts) -> str:
    """Return counts as JSON, without the hash of the bodies: slices end in any order."""
    plain = {
        "numbers": [counts.rows, counts.invalid, counts.skipped, counts.requests],
        "faults": counts.faults.plain(),
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
    counts.faults.add_plain(plain["faults"])
