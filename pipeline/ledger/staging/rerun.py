"""Rerun: copies the open rows of a run into a new one, with the same identities and bytes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.ledger.records import DeliveryState, Rekey, RunRecord
from pipeline.ledger.rules.known_deliveries import last_successor, state_of
from pipeline.ledger.staging.refunds import Retarget, follow_new_keys
from pipeline.ledger.store.port import Connection
from pipeline.model import Status, digest
from pipeline.tables.outcome_page import Outcome

# Write the inputs of a run for its rerun; the rows of each are counted at the end.
_COPY_INPUTS = """
INSERT INTO inputs (run_no, file_no, name, location, columns, rows, sha256, encoding)
SELECT ?, file_no, name, location, columns, 0, sha256, encoding FROM inputs WHERE run_no = ?
"""
# Count the copied rows of each input.
_COUNT_ROWS = """
UPDATE inputs SET rows = (
    SELECT count(*) FROM rows AS w WHERE w.run_no = inputs.run_no AND w.file_no = inputs.file_no
)
WHERE run_no = ?
"""
# Copy a row.
_COPY_ROW = """
INSERT INTO rows (run_no, row_no, file_no, source_row, request_key, cells, file_line)
SELECT ?, ?, file_no, source_row, request_key, cells, file_line FROM rows WHERE run_no = ? AND row_no = ?
"""
# Copy the dues of a row that are not done; of the others the bodies are deleted.
_COPY_DUES = """
INSERT INTO dues (run_no, row_no, part, position, request_key, identity, key_is_derived, digest, body, lane,
    refund_of, card, points, version, object, last_position)
SELECT ?, ?, part, position, request_key, identity, key_is_derived, digest, body, lane,
    refund_of, card, points, version, object, last_position
FROM dues WHERE run_no = ? AND row_no = ?
    AND body IS NOT NULL AND coalesce(status, 'unsent') NOT IN ('succeeded', 'skipped', 'invalid')
"""
# The dues of a row whose delivery was refused.
_REFUSED_DUES = """
SELECT d.due_no, d.identity, v.successor, d.body
FROM dues AS d JOIN deliveries AS v ON v.account_no = ? AND v.api = ? AND v.identity = d.identity
WHERE d.run_no = ? AND d.row_no = ? AND v.state = 'rejected'
"""
# Give a due another key.
_GIVE_KEY = "UPDATE dues SET request_key = ?, identity = ?, body = ?, digest = ? WHERE due_no = ?"
# Give its row that key too, if the row is known by the old one.
_GIVE_ROW_KEY = "UPDATE rows SET request_key = ? WHERE run_no = ? AND row_no = ? AND request_key = ?"
# Note which key a refused delivery was given.
_SET_SUCCESSOR = "UPDATE deliveries SET successor = ? WHERE account_no = ? AND api = ? AND identity = ?"


@dataclass(frozen=True, slots=True)
class Selection:
    """
    The rows that a rerun sends again: those with these statuses and, if any are given, these codes.

    `new_keys` adds refused rows for which the platform asked for a new key; `limit` is the largest number of rows.
    """

    statuses: frozenset[Status]
    codes: frozenset[str] = frozenset()
    new_keys: bool = False
    limit: int | None = None

    def as_options(self) -> dict[str, Any]:
        """Return the selection as options of a run."""
        return {
            "only": sorted(self.statuses),
            "codes": sorted(self.codes),
            "new_keys": self.new_keys,
            "rerun_limit": self.limit,
        }

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Selection":
        """Return the selection that `as_options` was called on."""
        statuses = frozenset(Status(text) for text in options["only"])
        return cls(statuses, frozenset(options["codes"]), options["new_keys"], options["rerun_limit"])

    def takes(self, outcome: Outcome) -> bool:
        """Return whether a row with this outcome is selected."""
        if self.codes and outcome.code not in self.codes:
            return False
        if self.new_keys and outcome.status is Status.REJECTED and outcome.wants_new_key:
            return True
        return outcome.status in self.statuses


@dataclass(frozen=True, slots=True)
class Rewrites:
    """The functions that put another request key into a body, and another payment into a refund."""

    rekey: Rekey
    retarget: Retarget


# The number of a row in the run that it is copied from, and whether the platform asks for a new key.
Chosen = tuple[int, bool]


def chosen(
    ended: Iterable[Outcome], selection: Selection, is_done: Callable[[int], bool] = lambda _row_no: False
) -> Iterator[Chosen]:
    """
    Yield the selected rows of a run; `ended` are the outcomes of all of its rows, in source order.

    `is_done` says whether another rerun or a fix has finished the row with a number.
    """
    taken = 0
    for row_no, outcome in enumerate(ended, 1):
        if taken == selection.limit:
            return
        if selection.takes(outcome) and outcome.status is not Status.INVALID and not is_done(row_no):
            taken += 1
            yield row_no, selection.new_keys and outcome.wants_new_key


def copy_inputs(connection: Connection, parent: RunRecord, run: RunRecord) -> None:
    """Write the inputs of `parent` for a new run. `complete` counts their rows later."""
    connection.execute(_COPY_INPUTS, (run.run_no, parent.run_no))


def copy_rows(
    connection: Connection,
    parent: RunRecord,
    run: RunRecord,
    rows: Sequence[Chosen],
    *,
    first: int,
    rekey: Rekey,
) -> None:
    """Copy rows of `parent` into a new run, numbered from `first`."""
    for number, (row_no, wants_new_key) in enumerate(rows, first):
        places = (run.run_no, number, parent.run_no, row_no)
        connection.execute(_COPY_ROW, places)
        connection.execute(_COPY_DUES, places)
        if wants_new_key:
            _give_new_keys(connection, run, number, rekey)


def complete(connection: Connection, run: RunRecord, retarget: Retarget) -> None:
    """Complete a rerun once all rows are copied: refunds name the last keys, inputs have their numbers of rows."""
    follow_new_keys(connection, run, retarget)
    connection.execute(_COUNT_ROWS, (run.run_no,))


def _give_new_keys(connection: Connection, run: RunRecord, row_no: int, rekey: Rekey) -> None:
    """
    Derive another key for each due of a row that was refused, where the platform asked for one.

    Any other delivery keeps its key: it may have been applied under that.
    """
    refused = connection.execute(_REFUSED_DUES, (run.account_no, run.api, run.run_no, row_no)).fetchall()
    for due_no, key, successor, body in refused:
        new_key = _key_after(connection, run, key, successor)
        new_body = rekey(body, new_key)
        connection.execute(_GIVE_KEY, (new_key, new_key, new_body, digest(new_body), due_no))
        connection.execute(_GIVE_ROW_KEY, (new_key, run.run_no, row_no, key))


def _key_after(connection: Connection, run: RunRecord, key: str, successor: str | None) -> str:
    """
    Return the next key of a refused delivery.

    That is the key it was given before, unless it was refused under that as well. Under a second new key it would
    count twice.
    """
    last, state = last_successor(connection, run, successor)
    if last is not None and state is not DeliveryState.REJECTED:
        return last
    refused = last or key
    fresh = _unused_key(connection, run, refused)
    connection.execute(_SET_SUCCESSOR, (fresh, run.account_no, run.api, refused))
    return fresh


def _unused_key(connection: Connection, run: RunRecord, key: str) -> str:
    count = 2
    while state_of(connection, run, f"{key}-k{count}")[0] is not None:
        count += 1
    return f"{key}-k{count}"
