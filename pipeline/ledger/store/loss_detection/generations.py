"""
Generations of the ledger. `--resync` begins a new one, in which earlier balances and states do not count.

For balances and states an account has another number in each generation. What the ledger has under the old number
stays, and is not read any more. For orders and tasks the number stays: the platform counts their keys once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import orjson

from pipeline.ledger.records import Due
from pipeline.ledger.store.loss_detection.marks import Mark
from pipeline.ledger.store.port import Connection
from pipeline.model import Api

# APIs that count each key once: their deliveries need no order, and no keys of a generation.
_COUNTED = (Api.CUMULATION,)
# The number of the first generation.
_FIRST = 1
# The zone of `biz_time`.
_BEIJING = timezone(timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class Generation:
    """A line of the table `generations`. `sequence` counts the commits after which requests left."""

    generation: int
    name: str
    begun_at: str
    sequence: int

    @property
    def salt(self) -> str:
        """The text that keys made from rows are also made of; empty in the first generation."""
        return "" if self.generation == _FIRST else self.name

    def of_account(self, api: Api) -> int:
        """Return the generation whose account number is used for this API."""
        return _FIRST if api in _COUNTED else self.generation


def current(connection: Connection) -> Generation:
    """Return the ledger's current generation."""
    line = connection.execute(
        "SELECT generation, name, begun_at, sequence FROM generations ORDER BY generation DESC LIMIT 1"
    ).fetchone()
    return Generation(*line)


def begin(connection: Connection, name: str, begun_at: str) -> None:
    """Begin a generation; its name has to be new."""
    connection.execute("INSERT INTO generations (name, begun_at) VALUES (?, ?)", (name, begun_at))


def count(connection: Connection) -> Mark:
    """Count a commit after which requests leave; return the mark to write before they do."""
    line = connection.execute(
        "UPDATE generations SET sequence = sequence + 1 WHERE generation = (SELECT max(generation) FROM generations)"
        " RETURNING name, sequence"
    ).fetchone()
    return Mark(*line)


def may_have_been_sent(generation: Generation, api: Api, due: Due) -> bool:
    """
    Return whether the platform may have counted a delivery that the ledger does not know.

    That is possible if it happened before the resync. A refusal then proves nothing: under another key it would count
    twice.
    """
    if generation.generation == _FIRST or api not in _COUNTED:
        return False
    begun = datetime.fromisoformat(generation.begun_at).astimezone(_BEIJING)
    return bool(orjson.loads(due.body).get("biz_time", "") <= begun.strftime("%Y-%m-%d %H:%M:%S"))
