"""The states of a whole run are decided on in the same way whether rows and history are in memory or not."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.ledger.history import runs
from pipeline.ledger.records import NewRun, RunRecord, position
from pipeline.ledger.rules.objects import identity_of
from pipeline.ledger.staging.duplicates.rulings import Rulings
from pipeline.ledger.staging.staged_chunk import staged_chunk
from pipeline.ledger.staging.states import StagedStates, noted_states
from pipeline.ledger.store.database import open_for_reading
from pipeline.model import Api, Export, ObjectState, digest
from tests.ledger_runs.staged_rows import StagedRow, mapped_of, state

KEYS = st.sampled_from(["A", "B"])
CODES = st.sampled_from(["FROZEN", "ACTIVE"])
TIMES = st.sampled_from([None, "2025-11-20T01:00:00.000000Z", "2025-11-20T02:00:00.000000Z"])
ROWS = st.lists(st.builds(lambda key, code, time: state(key, code, version=time), KEYS, CODES, TIMES), min_size=1)
# Objects of a ledger of version 1 have no principal.
PAST = st.lists(
    st.tuples(
        KEYS, CODES, st.sampled_from(["film", "film", ""]), st.sampled_from(["succeeded", "unknown", "rejected", None])
    )
)


def ledger_with(connection: sqlite3.Connection, earlier: Sequence[tuple[str, str, str, str | None]]) -> RunRecord:
    """Write the states of a run, the newest of each object as that of the platform; return the next run."""
    runs.bind_account(connection, "zhima", "an app", 1)
    before, now = (runs.begin(connection, run(number), 1) for number in (1, 2))
    for n, (key, code, principal, delivery) in enumerate(earlier, 1):
        at, obj = position(before.run_no, n), f"{key}\x1f{principal}"
        identity, content = identity_of(ObjectState(obj), at), digest(state(key, code).payloads[0].body)
        connection.execute(
            "INSERT INTO dues (due_no, run_no, row_no, part, position, request_key, identity, key_is_derived, digest,"
            " lane, status, object) VALUES (?, ?, ?, 0, ?, ?, ?, 0, ?, x'00', ?, ?)",
            (n, before.run_no, n, at, key, identity, content, delivery, obj),
        )
        if delivery is not None:
            connection.execute(
                "INSERT INTO deliveries (account_no, api, identity, digest, state, due_no) VALUES (1, ?, ?, ?, ?, ?)",
                (Api.STATE, identity, content, delivery, n),
            )
        if delivery in ("succeeded", "unknown"):
            connection.execute(
                "INSERT OR REPLACE INTO objects (account_no, object, identity, digest, position, unsettled)"
                " VALUES (1, ?, ?, ?, ?, ?)",
                (obj, identity, content, at, delivery == "unknown"),
            )
    return now


def run(number: int) -> NewRun:
    return NewRun(
        run_id=f"RUN-{number}",
        job="states",
        export=Export.STATES,
        api=Api.STATE,
        account="zhima",
        limit_per_s=5.0,
        started_at="2025-11-21T00:00:00.000Z",
    )


def decided(
    connection: sqlite3.Connection, now: RunRecord, rows: Sequence[StagedRow], folder: Path, rows_at_once: int
) -> tuple[list[int], list[str], list[str]]:
    """Return the rulings on the rows, and their identities and times."""
    rulings, chunk = Rulings(len(rows)), staged_chunk(1, 1, mapped_of(rows, Api.STATE))
    with closing(StagedStates(now, folder, rows_at_once=rows_at_once)) as staged:
        staged.add(noted_states(chunk, {}))
        staged.decide(connection, rulings, lambda: None)
        staged.apply(chunk)
    return np.asarray(rulings.of_row).tolist(), chunk.parts.values("identity"), chunk.parts.values("version")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, earlier=PAST)
def test_an_object_of_many_rows_is_decided_on_as_one_of_few(
    tmp_path: Path, rows: list[StagedRow], earlier: list[tuple[str, str, str, str | None]]
) -> None:
    """Whether its rows are read from the disk or are in memory: the same rows are sent, under the same identities."""
    with closing(open_for_reading(tmp_path / "none.db")) as connection:
        now = ledger_with(connection, earlier)

        assert decided(connection, now, rows, tmp_path, 1) == decided(connection, now, rows, tmp_path, 1000)
