"""
The lease of a sender: one of several processes that send for a run, each its own partitions of the run's queue.

A number is never given twice, so it is the fence of the partitions that name it: once the line is deleted, the sender
can write nothing more. The line goes when the sender leaves, or when another process sees that the lease has ended.

A process whose own lease has ended does not know whether others are alive: what held it up, such as a restart of the
server, may have held up all. So it extends their leases with its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.store.lease import IsGone, LeaseOwner, expiry
from pipeline.ledger.store.port import Connection, json_of

_ADD = "INSERT INTO senders (run_no, holder, expires_at) VALUES (?, ?, ?) RETURNING sender_no"
# Lock the sender for a transaction, and count that transaction. Then the count alone.
_LOCK = "UPDATE senders SET commits = commits + 1 WHERE sender_no = ? RETURNING commits"
_COUNT = "SELECT commits FROM senders WHERE sender_no = ? FOR UPDATE"
_RENEW = """
UPDATE senders SET expires_at = :expires_at WHERE sender_no = :sender_no OR (run_no = :run_no AND expires_at <= :now
    AND (SELECT expires_at FROM senders WHERE sender_no = :sender_no) <= :now)
"""
# The senders of a run. The query waits for their transactions.
_OF_RUN = "SELECT sender_no, holder, expires_at FROM senders WHERE run_no = ? ORDER BY sender_no FOR UPDATE"
_FREE_PARTITIONS = """
UPDATE partitions SET sender_no = NULL
WHERE run_no = ? AND sender_no IN (SELECT CAST(value AS BIGINT) FROM json_each(?))
"""
_DELETE = "DELETE FROM senders WHERE sender_no IN (SELECT CAST(value AS BIGINT) FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class SenderLease:
    """The right to write for the partitions that a sender has. See `HeldLease` for the methods."""

    run_no: int
    sender_no: int
    owner: LeaseOwner
    seconds: float

    def lock(self, connection: Connection) -> int:
        """Lock the sender; return the number of the transaction."""
        return self._number(connection, _LOCK)

    def count(self, connection: Connection) -> int:
        """Return the number of the last transaction."""
        return self._number(connection, _COUNT)

    def renew(self, connection: Connection, now: datetime) -> None:
        """Extend the lease from now on; if it has ended, also those of the run's senders that have."""
        values = {"expires_at": expiry(now, self.seconds), "now": now.isoformat()}
        connection.execute(_RENEW, {**values, "sender_no": self.sender_no, "run_no": self.run_no})

    def release(self, connection: Connection) -> None:
        """Return the lease: the partitions are free."""
        end_senders(connection, self.run_no, [self.sender_no])

    def _number(self, connection: Connection, sql: str) -> int:
        line = connection.execute(sql, (self.sender_no,)).fetchone()
        if line is None:
            raise LedgerError(
                t(
                    "this sender was held up for longer than its lease, or the ledger was restored; nothing more is "
                    "sent here"
                )
            )
        return int(line[0])


def add_sender(connection: Connection, run_no: int, owner: LeaseOwner, now: datetime, seconds: float) -> SenderLease:
    """Add a sender to a run."""
    (sender_no,) = connection.execute(_ADD, (run_no, str(owner), expiry(now, seconds))).fetchone()
    return SenderLease(run_no, int(sender_no), owner, seconds)


def end_dead_senders(connection: Connection, run_no: int, now: datetime, is_gone: IsGone) -> int:
    """
    Free the partitions of senders that have surely ended or whose lease has; return how many others are left.

    A process that has a lease of the run renews it before.
    """
    senders = connection.execute(_OF_RUN, (run_no,)).fetchall()
    dead = [number for number, owner, expires_at in senders if expires_at <= now.isoformat() or is_gone(owner)]
    if dead:
        end_senders(connection, run_no, dead)
    return len(senders) - len(dead)


def end_senders(connection: Connection, run_no: int, numbers: Sequence[int]) -> None:
    """Free the partitions of senders. These can't write any more."""
    connection.execute(_FREE_PARTITIONS, (run_no, json_of(numbers)))
    connection.execute(_DELETE, (json_of(numbers),))


def end_all_senders(connection: Connection, run_no: int) -> None:
    """Delete the lines of a run's senders: it has no partitions any more."""
    connection.execute("DELETE FROM senders WHERE run_no = ?", (run_no,))
