"""Lookups of many deliveries in the ledger at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.ledger.records import DeliveryState, RunRecord
from pipeline.ledger.rules.admission import KnownDelivery
from pipeline.ledger.store.port import Connection, json_of

# Other deliveries that may lie between those wanted, as a multiple of these. Reading past a delivery is a few times
# cheaper than finding it by its identity.
_MOST_BETWEEN = 4

# Deliveries by identity. CROSS JOIN keeps the order: each wanted identity is one lookup in the primary key.
_BY_IDENTITY = """
SELECT d.identity, d.state, d.digest, d.successor
FROM json_each(?) AS wanted
CROSS JOIN deliveries AS d ON d.account_no = ? AND d.api = ? AND d.identity = wanted.value
"""
# The number of deliveries from one identity to another, counted up to a limit. Without an order PostgreSQL may read the
# table from its start, also where other accounts have millions of lines before the first that is wanted.
_COUNT_BETWEEN = """
SELECT count(*) FROM (
    SELECT 1 FROM deliveries WHERE account_no = ? AND api = ? AND identity BETWEEN ? AND ? ORDER BY identity LIMIT ?
) AS found
"""
# Delivered ones from one identity to another.
_DELIVERED_BETWEEN = """
SELECT identity, digest FROM deliveries
WHERE account_no = ? AND api = ? AND identity BETWEEN ? AND ? AND state = 'succeeded'
"""
# All others from one identity to another.
_OTHERS_BETWEEN = """
SELECT identity, state, digest, successor FROM deliveries
WHERE account_no = ? AND api = ? AND identity BETWEEN ? AND ? AND state <> 'succeeded'
"""
# The state of one delivery, and the key that it was given instead.
_STATE = "SELECT state, successor FROM deliveries WHERE account_no = ? AND api = ? AND identity = ?"


@dataclass(frozen=True, slots=True)
class KnownDeliveries:
    """
    What the ledger knows of some identities: digests of delivered ones, and a `KnownDelivery` for each other.

    Nearly all are delivered or not known at all, and a digest needs less memory than a `KnownDelivery`.
    """

    delivered: Mapping[str, bytes] = field(repr=False)
    others: Mapping[str, KnownDelivery] = field(repr=False)

    def known(self, identity: str) -> KnownDelivery | None:
        """Return what is known of one identity."""
        digest = self.delivered.get(identity)
        return self.others.get(identity) if digest is None else KnownDelivery(DeliveryState.SUCCEEDED, digest)

    def __contains__(self, identity: str) -> bool:
        return identity in self.delivered or identity in self.others

    def __bool__(self) -> bool:
        return bool(self.delivered or self.others)


def known_deliveries_of(connection: Connection, run: RunRecord, identities: Iterable[str]) -> KnownDeliveries:
    """Return what the ledger knows of these identities, for the run's account and API."""
    wanted = json_of(identities)
    found = connection.execute(_BY_IDENTITY, (wanted, run.account_no, run.api)).fetchall()
    delivered = {identity: digest for identity, state, digest, _ in found if state == DeliveryState.SUCCEEDED}
    return KnownDeliveries(delivered, _others(connection, run, [line for line in found if line[0] not in delivered]))


def _others(
    connection: Connection, run: RunRecord, lines: Iterable[tuple[str, str, bytes, str | None]]
) -> dict[str, KnownDelivery]:
    """Return deliveries given as identity, state, digest and successor."""
    return {
        identity: KnownDelivery(DeliveryState(state), digest, *last_successor(connection, run, successor))
        for identity, state, digest, successor in lines
    }


def known_deliveries_among(connection: Connection, run: RunRecord, identities: Sequence[str]) -> KnownDeliveries:
    """
    Return what the ledger knows of these identities, and maybe of some between them.

    Keys of an export that comes again lie side by side in the ledger; keys of a new export have no others between
    them. In both cases reading from the first to the last is quicker than a lookup for each key.
    """
    if not identities:
        return KnownDeliveries({}, {})
    wanted = sorted(identities)
    between = (run.account_no, run.api, wanted[0], wanted[-1])
    most = _MOST_BETWEEN * len(wanted)
    (count,) = connection.execute(_COUNT_BETWEEN, (*between, most)).fetchone()
    if count == most:
        return known_deliveries_of(connection, run, wanted)
    if not count:
        return KnownDeliveries({}, {})
    delivered = dict(connection.execute(_DELIVERED_BETWEEN, between))
    return KnownDeliveries(delivered, _others(connection, run, connection.execute(_OTHERS_BETWEEN, between).fetchall()))


def state_of(connection: Connection, run: RunRecord, identity: str) -> tuple[DeliveryState | None, str | None]:
    """Return the state of a delivery, and the key that it was given instead; None where there is none."""
    state, successor = connection.execute(_STATE, (run.account_no, run.api, identity)).fetchone() or (None, None)
    return None if state is None else DeliveryState(state), successor


def last_successor(
    connection: Connection, run: RunRecord, successor: str | None
) -> tuple[str | None, DeliveryState | None]:
    """Follow the keys that a delivery was given, one instead of another; return the last one and its state."""
    last, state = None, None
    while successor is not None:
        last = successor
        state, successor = state_of(connection, run, last)
    return last, state
