"""Copying what a run left open into a new run: the same identities, the same bytes."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.ledger.records import DeliveryState, RunRecord
from pipeline.ledger.rules.known_deliveries import last_successor
from pipeline.ledger.staging.refunds import Retarget, follow_new_keys
from pipeline.model import Status, digest
from pipeline.tables.outcome_page import Outcome


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows to send again: of these statuses and, where any are named, these codes."""

    statuses: frozenset[Status]
    codes: frozenset[str] = frozenset()
    new_keys: bool = False
    limit: int | None = None

    def as_options(self) -> dict[str, Any]:
        """Return the selection as a run keeps it."""
        return {
            "only": sorted(self.statuses),
            "codes": sorted(self.codes),
            "new_keys": self.new_keys,
            "rerun_limit": self.limit,
        }

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> "Selection":
        """Return what `as_options` made."""
        statuses = frozenset(Status(text) for text in options["only"])
        return cls(statuses, frozenset(options["codes"]), options["new_keys"], options["rerun_limit"])

    def takes(self, outcome: Outcome) -> bool:
        """Return whether a row with this outcome is sent again."""
        if self.codes and outcome.code not in self.codes:
            return False
        if self.new_keys and outcome.status is Status.REJECTED and outcome.wants_new_key:
            return True
        return outcome.status in self.statuses


@dataclass(frozen=True, slots=True)
class Rewrites:
    """How a body is given another request key, and a refund another payment."""

    rekey: Callable[[bytes, str], bytes]
    retarget: Retarget


# What a row is known by in the run it is copied from, and whether the platform asks for another key for it.
Chosen = tuple[int, bool]


def chosen(
    ended: Iterable[Outcome], selection: Selection, is_done: Callable[[int], bool] = lambda _row_no: False
) -> Iterator[Chosen]:
    """
    Yield the rows of a run that are selected; `ended` are the outcomes of all of its rows, in source order.

    `is_done` says of a row's number whether another rerun, or a fix, has brought it to an end.
    """
    taken = 0
    for row_no, outcome in enumerate(ended, 1):
        if taken == selection.limit:
            return
        if selection.takes(outcome) and outcome.status is not Status.INVALID and not is_done(row_no):
            taken += 1
            yield row_no, selection.new_keys and outcome.wants_new_key


def copy_inputs(connection: sqlite3.Connection, parent: RunRecord, run: RunRecord) -> None:
    """Write down that a new run has the inputs of `parent`; how many rows it takes of each is told in the end."""
    connection.execute(
        "INSERT INTO inputs (run_no, file_no, name, location, columns, rows, sha256, encoding)"
        " SELECT ?, file_no, name, location, columns, 0, sha256, encoding FROM inputs WHERE run_no = ?",
        (run.run_no, parent.run_no),
    )


def copy_rows(
    connection: sqlite3.Connection,
    parent: RunRecord,
    run: RunRecord,
    rows: Sequence[Chosen],
    *,
    first: int,
    rekey: Callable[[bytes, str], bytes],
) -> None:
    """Copy rows of `parent` into a new run, where they are numbered from `first`."""
    for number, (row_no, wants_new_key) in enumerate(rows, first):
        _copy_row(connection, (parent.run_no, row_no), (run.run_no, number))
        if wants_new_key:
            _give_new_keys(connection, run, number, rekey)


def complete(connection: sqlite3.Connection, run: RunRecord, retarget: Retarget) -> None:
    """Let what was copied fit together, once all of it is there."""
    follow_new_keys(connection, run, retarget)
    connection.execute(
        "UPDATE inputs SET rows = (SELECT count(*) FROM rows AS w WHERE w.run_no = inputs.run_no"
        " AND w.file_no = inputs.file_no) WHERE run_no = ?",
        (run.run_no,),
    )


_COPIED = (
    "request_key, identity, key_is_derived, digest, body, lane, refund_of, card, points, version, object, last_position"
)


def _copy_row(connection: sqlite3.Connection, old: tuple[int, int], new: tuple[int, int]) -> None:
    connection.execute(
        "INSERT INTO rows (run_no, row_no, file_no, source_row, request_key, cells, file_line)"
        " SELECT ?, ?, file_no, source_row, request_key, cells, file_line FROM rows WHERE run_no = ? AND row_no = ?",
        (*new, *old),
    )
    # Parts of the row that are done stay done: their bodies are gone.
    connection.execute(
        f"INSERT INTO dues (run_no, row_no, part, position, {_COPIED})"
        f" SELECT ?, ?, part, position, {_COPIED} FROM dues WHERE run_no = ? AND row_no = ?"
        f" AND body IS NOT NULL AND coalesce(status, 'unsent') NOT IN ('succeeded', 'skipped', 'invalid')",
        (*new, *old),
    )


def _give_new_keys(
    connection: sqlite3.Connection, run: RunRecord, row_no: int, rekey: Callable[[bytes, str], bytes]
) -> None:
    """
    Derive another key for each due of a row that stands refused, where the platform asked for one.

    Any other delivery keeps its key, whatever was asked: it may have been applied under that.
    """
    refused = connection.execute(
        "SELECT d.due_no, d.identity, v.successor, d.body FROM dues AS d JOIN deliveries AS v ON v.account_no = ?"
        " AND v.api = ? AND v.identity = d.identity WHERE d.run_no = ? AND d.row_no = ? AND v.state = 'rejected'",
        (run.account_no, run.api, run.run_no, row_no),
    ).fetchall()
    for due_no, key, successor, body in refused:
        new_key = _key_after(connection, run, key, successor)
        new_body = rekey(body, new_key)
        connection.execute(
            "UPDATE dues SET request_key = ?, identity = ?, body = ?, digest = ? WHERE due_no = ?",
            (new_key, new_key, new_body, digest(new_body), due_no),
        )
        connection.execute(
            "UPDATE rows SET request_key = ? WHERE run_no = ? AND row_no = ? AND request_key = ?",
            (new_key, run.run_no, row_no, key),
        )


def _key_after(connection: sqlite3.Connection, run: RunRecord, key: str, successor: str | None) -> str:
    """
    Return the key that a refused delivery goes out under next.

    That is the one it was given before, unless it was refused under that as well: under a second one it would count
    twice.
    """
    last, state = last_successor(connection, run, successor)
    if last is not None and state is not DeliveryState.REJECTED:
        return last
    refused = last or key
    fresh = _unused_key(connection, run, refused)
    connection.execute(
        "UPDATE deliveries SET successor = ? WHERE account_no = ? AND api = ? AND identity = ?",
        (fresh, run.account_no, run.api, refused),
    )
    return fresh


def _unused_key(connection: sqlite3.Connection, run: RunRecord, key: str) -> str:
    count = 2
    while connection.execute(
        "SELECT 1 FROM deliveries WHERE account_no = ? AND api = ? AND identity = ?",
        (run.account_no, run.api, f"{key}-k{count}"),
    ).fetchone():
        count += 1
    return f"{key}-k{count}"
