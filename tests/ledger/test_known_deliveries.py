"""Lookups of the keys of an export in the ledger."""

import sqlite3
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ledger.history import runs
from pipeline.ledger.records import DeliveryState, NewRun, RunRecord
from pipeline.ledger.rules.known_deliveries import known_deliveries_among, known_deliveries_of
from pipeline.ledger.store.database import open_for_reading
from pipeline.model import Api, Export, digest

# Temporary files, which no test makes with the ledger in memory.
NOWHERE = Path("nowhere")
API = Api.CUMULATION
# Keys side by side and far apart, with letters of 1 to 4 bytes.
KEYS = [*(f"D{number:03}" for number in range(40)), "", "A", "Z-9", "é", "消费", "～", "😀1", "😀2"]
keys = st.lists(st.sampled_from(KEYS))
# Only a later key is given as a successor, so that there is no circle.
known = st.dictionaries(
    st.sampled_from(KEYS), st.tuples(st.sampled_from(DeliveryState), st.none() | st.sampled_from(KEYS))
).map(
    lambda drawn: {
        key: (state, None if after is None or after <= key else after) for key, (state, after) in drawn.items()
    }
)


def ledger_of(deliveries: dict[str, tuple[DeliveryState, str | None]]) -> tuple[sqlite3.Connection, RunRecord]:
    """Return a ledger of two accounts with the same keys, and a run of the account that has these deliveries."""
    connection = open_for_reading(NOWHERE)
    for name in ("zhima", "other"):
        runs.bind_account(connection, name, f"{name}'s merchant", 1)
    connection.executemany(
        "INSERT INTO deliveries (account_no, api, identity, digest, state, due_no, successor)"
        " VALUES (?, ?, ?, ?, ?, 1, ?)",
        [
            *((1, API, key, digest(key), state, successor) for key, (state, successor) in deliveries.items()),
            *((1, Api.STATE, key, digest("state"), DeliveryState.SUCCEEDED, None) for key in KEYS),
            *((2, API, key, digest("another"), DeliveryState.SUCCEEDED, None) for key in KEYS),
        ],
    )  # fmt: skip
    new = NewRun(
        run_id="RUN",
        job="orders",
        export=Export.ORDERS,
        api=API,
        account="zhima",
        limit_per_s=5.0,
        started_at="2026-03-01T12:00:00.000Z",
    )
    return connection, runs.begin(connection, new, 1)


@settings(deadline=None)
@given(deliveries=known, wanted=keys)
def test_many_keys_are_looked_up_as_each_is(
    deliveries: dict[str, tuple[DeliveryState, str | None]], wanted: list[str]
) -> None:
    """A lookup of many keys returns the same as a lookup of each, wherever they lie in the ledger."""
    connection, run = ledger_of(deliveries)
    with closing(connection):
        together = known_deliveries_among(connection, run, wanted)

        assert {key: together.known(key) for key in wanted} == {
            key: known_deliveries_of(connection, run, [key]).known(key) for key in wanted
        }
        assert {key for key in wanted if key in together} == set(wanted) & deliveries.keys()


def test_keys_between_are_read_only_while_few() -> None:
    """Keys side by side are found by reading from the first to the last; with many others between, by name."""
    connection, run = ledger_of({f"D{number:03}": (DeliveryState.SUCCEEDED, None) for number in range(40)})
    with closing(connection):
        assert len(known_deliveries_among(connection, run, ["D003", "D000"]).delivered) == 4
        assert len(known_deliveries_among(connection, run, ["D039", "D000"]).delivered) == 2
