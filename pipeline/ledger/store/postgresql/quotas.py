"""The store of the quotas of all hosts: on the server, in the server's time."""

import threading
from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.store.lease import LEASE_SECONDS
from pipeline.ledger.store.loss_detection.traces import has_sent
from pipeline.ledger.store.postgresql.connection import ConnectionLost, PostgresConnection
from pipeline.ledger.store.postgresql.errors import with_clear_errors
from pipeline.ledger.store.postgresql.transactions import IDLE_SHARE

T = TypeVar("T")

# A commit may be lost when the server crashes. The table is not logged, so it is empty then.
_NOT_SYNCED = "SET LOCAL synchronous_commit = off"
_ADD = "INSERT INTO quotas (name, state) VALUES (?, ?) ON CONFLICT DO NOTHING"
# The state of a quota, the server's time, and when the server started; both in seconds since 1970. Then the number of
# the table: a restored one has another.
_STATE = """
SELECT state, CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION),
    CAST(extract(epoch FROM pg_postmaster_start_time()) AS DOUBLE PRECISION), CAST(tableoid AS BIGINT)
FROM quotas WHERE name = ? FOR UPDATE
"""
_SET = "UPDATE quotas SET state = ? WHERE name = ?"
# A state of no known format: it makes the limiter begin cautiously.
_FORGOTTEN = b"[0, null]"
# An exchange that took longer says little of the server's time. It waited for another host's transaction, or for the
# server.
_LONG_EXCHANGE_SECONDS = 0.02
# How far the server's clock may jump between two exchanges. Clocks that are set slowly differ by far less.
_MOST_JUMP_SECONDS = 0.05
_TRIES = 3


class ServerQuotaStore:
    """
    A few bytes for each quota, changed by one process at a time, of any host.

    The server's time is this machine's steady time plus `offset`, or up to `error` less: the server read its clock
    during an exchange, which has a length. Both are valid inside `step`. So times are written late rather than early,
    by each host for itself. A start that adds `error` is late enough, whatever the network of the other hosts is.

    `epoch` names this start of the server, and the table: a restored one may lack what was sent last. If the server's
    clock has jumped, `step` gets a state of no known format. So it does if the ledger has sent and knows nothing of the
    quota: after a crash of the server, a resync or a copy.

    A transaction may be idle for `idle_seconds`: a frozen process holds up all others until then.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        name: str,
        clock: Clock,
        *,
        idle_seconds: float = LEASE_SECONDS * IDLE_SHARE,
    ) -> None:
        self._connection = connection
        self._name = name
        self._clock = clock
        bound = f"SET LOCAL idle_in_transaction_session_timeout = {int(idle_seconds * 1000)}"
        self._read_state = f"{_NOT_SYNCED}; {bound}; {_STATE}"
        self._turn = threading.Lock()
        self._is_known: set[str] = set()
        # A ledger that has sent nothing has no quota to be cautious with.
        self._state_of_new = _FORGOTTEN if has_sent(connection) else None
        self._started: float | None = None
        self._table: int | None = None
        self.offset = 0.0
        self.error = 0.0

    def epoch(self, boot: str) -> str:  # noqa: ARG002
        """Return the name of the table in this start of the server."""
        return f"server {self._started} {self._table}"

    def change(self, name: str, step: Callable[[bytes | None], tuple[bytes, T]]) -> T:
        """
        Replace the state of a quota: `step` gets it and returns the new state and a result, which is returned.

        `step` may be called again if the server went away. Then the quota counts more than was given out.
        """
        # A name has the merchant's id, and these statements have their values in the text, which a server may log.
        digest = sha256(name.encode()).hexdigest()
        with self._turn, with_clear_errors(self._name):
            tries_left = _TRIES
            while True:
                tries_left -= 1
                try:
                    return self._change(digest, step)
                except ConnectionLost:
                    if not tries_left:
                        raise
                    self._connection.reconnect()

    def _change(self, name: str, step: Callable[[bytes | None], tuple[bytes, T]]) -> T:
        connection = self._connection
        if name not in self._is_known:
            connection.execute(_ADD, (name, self._state_of_new))
            self._is_known.add(name)
        try:
            state, has_jumped = self._begin(name)
            changed, result = step(_FORGOTTEN if has_jumped else state)
            connection.commit(_SET, (changed, name))
        except BaseException:
            connection.rollback()
            raise
        return result

    def _begin(self, name: str) -> tuple[bytes | None, bool]:
        """Begin a transaction; return the state of a quota, which is locked, and whether the server's clock jumped."""
        sent_at = self._clock.steady()
        line = self._connection.begin(self._read_state, (name,)).fetchone()
        if self._clock.steady() - sent_at > _LONG_EXCHANGE_SECONDS or line is None:
            sent_at = self._clock.steady()
            line = self._read(name)
        state, server_time, started, self._table = line
        return state, self._compare_clocks(server_time, started, sent_at, self._clock.steady())

    def _read(self, name: str) -> tuple[bytes | None, float, float, int]:
        connection = self._connection
        line: tuple[bytes | None, float, float, int] | None = connection.execute(_STATE, (name,)).fetchone()
        if line is not None:
            return line
        if not has_sent(connection):
            # Another run would use another quota.
            raise LedgerError(
                t(
                    "ledger {path}: it was deleted, moved or replaced while a run was on; no further request is "
                    "sent. Put it back, then resume the run",
                    path=self._name,
                )
            )
        connection.execute(_ADD, (name, _FORGOTTEN))
        return self._read(name)

    def _compare_clocks(self, server_time: float, started: float, sent_at: float, answered_at: float) -> bool:
        """
        Correct `offset` and `error` by this exchange; return whether the server's clock has jumped.

        The server read its clock between the two times of this machine's clock.
        """
        least, most = server_time - answered_at, server_time - sent_at
        # Seconds between the offsets that this exchange allows and those that the last one allowed.
        apart = max(least - self.offset, self.offset - self.error - most)
        has_jumped = started == self._started and apart > _MOST_JUMP_SECONDS
        self._started, self.offset, self.error = started, most, most - least
        return has_jumped

    def forget(self) -> None:
        """Make every quota begin cautiously: what was sent in the last moments is not known."""
        with self._turn, with_clear_errors(self._name):
            self._state_of_new = _FORGOTTEN
            self._connection.execute("UPDATE quotas SET state = ?", (_FORGOTTEN,))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
