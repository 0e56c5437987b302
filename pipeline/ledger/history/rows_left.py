"""What is left of a run: its rows that neither the run nor any rerun or fix of it has finished."""

from collections import Counter
from collections.abc import Callable, Collection
from itertools import islice

from pipeline.ledger.history.origins import RowId, first_origins_between
from pipeline.ledger.history.run_counts import open_rows, rows_of
from pipeline.ledger.history.runs import parent_of, with_numbers
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.port import Connection, Sql
from pipeline.model import Status

# Called now and then during a long operation.
Tick = Callable[[], None]

# Rows that are looked up at once.
_BATCH = 1000
# What a run did for a row of the first run: nothing, all of its rows for it are done, or not all. Several rows of one
# run may stand for the same row.
_NOTHING, _ALL, _NOT_ALL = range(3)

# Whether a run has a rerun or a fix, or fixes rows itself.
_HAS_FAMILY = """
SELECT EXISTS (SELECT 1 FROM runs WHERE parent = :run_id) OR EXISTS (SELECT 1 FROM origins WHERE run_no = :run_no)
    OR EXISTS (SELECT 1 FROM origins WHERE origin_run_no = :run_no)
"""
# The reruns and fixes of a run, and the reruns and fixes of those.
_FOLLOWERS = Sql(
    """
WITH RECURSIVE family (run_no, run_id) AS (
    SELECT :run_no, :run_id
    UNION
    SELECT r.run_no, r.run_id FROM family AS f JOIN runs AS r ON r.parent = f.run_id
    UNION
    SELECT r.run_no, r.run_id FROM family AS f
    JOIN runs AS r ON r.run_no IN (SELECT o.run_no FROM origins AS o WHERE o.origin_run_no = f.run_no)
)
SELECT run_no FROM family WHERE run_no <> :run_no ORDER BY run_no
""",
    # PostgreSQL takes only one branch that refers to the result.
    postgresql="""
WITH RECURSIVE family (run_no, run_id) AS (
    SELECT run_no, run_id FROM runs WHERE run_no = :run_no AND run_id = :run_id
    UNION
    SELECT r.run_no, r.run_id FROM family AS f JOIN runs AS r ON r.parent = f.run_id
        OR r.run_no IN (SELECT o.run_no FROM origins AS o WHERE o.origin_run_no = f.run_no)
)
SELECT run_no FROM family WHERE run_no <> :run_no ORDER BY run_no
""",
)


def has_family(connection: Connection, run: RunRecord) -> bool:
    """Return whether a run has reruns or fixes, or is one itself."""
    if run.parent is not None:
        return True
    return bool(connection.execute(_HAS_FAMILY, {"run_id": run.run_id, "run_no": run.run_no}).fetchone()[0])


def followers(connection: Connection, run: RunRecord) -> list[RunRecord]:
    """Return the reruns and fixes of a run, and the reruns and fixes of those, oldest first."""
    found = connection.execute(_FOLLOWERS, {"run_no": run.run_no, "run_id": run.run_id})
    return with_numbers(connection, (run_no for (run_no,) in found))


def family_of(connection: Connection, run: RunRecord) -> list[RunRecord]:
    """Return the run that a chain began with, its reruns and fixes, and theirs, oldest first."""
    root = run
    while (parent := parent_of(connection, root)) is not None:
        root = parent
    return [root, *followers(connection, root)]


def left_of(connection: Connection, run: RunRecord, tick: Tick = lambda: None) -> Counter[Status]:
    """Count the rows of a run that are left, by their status in it; `tick` is called now and then."""
    done = DoneRows(connection, run, tick) if has_family(connection, run) else None
    left: Counter[Status] = Counter()
    rows = open_rows(connection, run)
    while batch := dict(islice(rows, _BATCH)):
        tick()
        is_done = done.among(batch) if done is not None else ()
        left.update(status for row_no, status in batch.items() if row_no not in is_done)
    return left


class DoneRows:
    """The rows of a run that it, or another run of its family, has finished. It takes a byte a row of the first run."""

    def __init__(self, connection: Connection, run: RunRecord, tick: Tick = lambda: None) -> None:
        self._tick = tick
        self._connection = connection
        self._run = run
        self._of_runs: dict[int, bytearray] = {}

    def among(self, row_nos: Collection[int]) -> set[int]:
        """Return the numbers of those rows that are done, of one row at least."""
        origins = first_origins_between(self._connection, self._run, min(row_nos), max(row_nos))
        return {row_no for row_no in row_nos if self._is_done(origins.get(row_no, (self._run.run_no, row_no)))}

    def holds(self, row_no: int) -> bool:
        """Return whether a row is done."""
        return bool(self.among([row_no]))

    def _is_done(self, origin: RowId) -> bool:
        run_no, row_no = origin
        if run_no not in self._of_runs:
            self._of_runs[run_no] = _done_in_family(self._connection, run_no, self._tick)
        of_run = self._of_runs[run_no]
        return row_no < len(of_run) and of_run[row_no] == _ALL


def _done_in_family(connection: Connection, run_no: int, tick: Tick) -> bytearray:
    """Return, for each row of a first run, whether a run of its family has finished it; nothing for a pruned run."""
    done = bytearray()
    family = [each for run in with_numbers(connection, [run_no]) for each in (run, *followers(connection, run))]
    for run in family:
        by_this = _done_by(connection, run, run_no, tick)
        done.extend(bytes(max(0, len(by_this) - len(done))))
        for row_no in (at for at, what in enumerate(by_this) if what == _ALL):
            done[row_no] = _ALL
    return done


def _done_by(connection: Connection, run: RunRecord, root: int, tick: Tick) -> bytearray:
    """Return what a run did for the rows of `root`, the number of the first run of its family, a byte a row."""
    rows = rows_of(connection, run)
    own = bytearray([_ALL]) * (rows + 1)
    for row_no, _ in open_rows(connection, run):
        own[row_no] = _NOT_ALL
    found = bytearray(own if run.run_no == root else b"")
    for first in range(1, rows + 1, _BATCH):
        tick()
        origins = first_origins_between(connection, run, first, first + _BATCH - 1)
        for row_no, (run_no, at) in origins.items():
            if run.run_no == root:
                # It stands for another row.
                found[row_no] = _NOTHING
            if run_no == root:
                found.extend(bytes(max(0, at + 1 - len(found))))
                found[at] = max(found[at], own[row_no])
    return found
