"""
Generations of the ledger. `--resync` begins one, in which no balance and no state confirmed before counts.

An account has a number of its own in each generation, for balances and states: all that the ledger keeps under the old
number stays, and is not asked any more. Orders and tasks keep their number: the platform counts their keys once.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import orjson

from pipeline.ledger.records import Due
from pipeline.ledger.store.marks import Mark
from pipeline.model import Api

# What they report is counted, each key once: it needs no order, and no key of a generation.
_COUNTED = (Api.CUMULATION,)
_FIRST = 1
_BEIJING = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Generation:
    """One line of the table `generations`. `sequence` counts the commits after which requests left."""

    generation: int
    name: str
    begun_at: str
    sequence: int

    @property
    def salt(self) -> str:
        """What keys made from rows are made of besides: nothing in the first generation."""
        return "" if self.generation == _FIRST else self.name

    def of_account(self, api: Api) -> int:
        """Return the generation whose number an account has for this API."""
        return _FIRST if api in _COUNTED else self.generation


def current(connection: sqlite3.Connection) -> Generation:
    """Return the generation that the ledger is in."""
    line = connection.execute(
        "SELECT generation, name, begun_at, sequence FROM generations ORDER BY generation DESC LIMIT 1"
    ).fetchone()
    return Generation(*line)


def begin(connection: sqlite3.Connection, name: str, begun_at: str) -> None:
    """Begin a generation. No other one may ever have had the name."""
    connection.execute("INSERT INTO generations (name, begun_at) VALUES (?, ?)", (name, begun_at))


def count(connection: sqlite3.Connection) -> Mark:
    """Count a commit after which requests leave; return the mark to note outside of the ledger before they do."""
    line = connection.execute(
        "UPDATE generations SET sequence = sequence + 1 WHERE generation = (SELECT max(generation) FROM generations)"
        " RETURNING name, sequence"
    ).fetchone()
    return Mark(*line)


def may_have_been_sent(generation: Generation, api: Api, due: Due) -> bool:
    """
    Return whether the platform may have counted a delivery that the ledger does not know.

    So it is with one that happened before the ledger was resynced. A refusal then proves nothing: under another key
    it would count twice.
    """
    if generation.generation == _FIRST or api not in _COUNTED:
        return False
    begun = datetime.fromisoformat(generation.begun_at).astimezone(_BEIJING)
    return bool(orjson.loads(due.body).get("biz_time", "") <= begun.strftime("%Y-%m-%d %H:%M:%S"))
