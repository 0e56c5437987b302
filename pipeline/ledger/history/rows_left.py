"""What is left of a run: its rows that neither the run nor any rerun or fix of it has finished."""

from collections import Counter
from collections.abc import Callable, Iterator

from pipeline.ledger.history.origins import RowId, first_origins_between
from pipeline.ledger.history.outcomes import outcome_pages
from pipeline.ledger.history.runs import with_numbers
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.port import Connection, Sql
from pipeline.model import Status
from pipeline.tables.outcome_page import OutcomePage

# Called now and then during a long operation.
Tick = Callable[[], None]

DONE = frozenset({Status.SUCCEEDED, Status.SKIPPED})
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


def left_of(connection: Connection, run: RunRecord, tick: Tick = lambda: None) -> Counter[Status]:
    """Count the rows of a run that are left, by their status in it; `tick` is called now and then."""
    done = DoneRows(connection, run, tick) if has_family(connection, run) else None
    left: Counter[Status] = Counter()
    for first, page in _pages(connection, run, tick):
        open_rows = [first + at for at, status in enumerate(page.status) if status not in DONE]
        is_done = done.among(first, first + len(page) - 1) if done is not None and open_rows else ()
        left.update(page.status[row_no - first] for row_no in open_rows if row_no not in is_done)
    return left


class DoneRows:
    """The rows of a run that it, or another run of its family, has finished. It takes a byte a row of the first run."""

    def __init__(self, connection: Connection, run: RunRecord, tick: Tick = lambda: None) -> None:
        self._tick = tick
        self._connection = connection
        self._run = run
        self._of_runs: dict[int, bytearray] = {}

    def among(self, first: int, last: int) -> set[int]:
        """Return the numbers of the done rows, from `first` to `last`."""
        origins = first_origins_between(self._connection, self._run, first, last)
        itself = ((row_no, (self._run.run_no, row_no)) for row_no in range(first, last + 1) if row_no not in origins)
        return {row_no for row_no, origin in (*origins.items(), *itself) if self._is_done(origin)}

    def holds(self, row_no: int) -> bool:
        """Return whether a row is done."""
        return row_no in self.among(row_no, row_no)

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
    found = bytearray()
    for first, page in _pages(connection, run, tick):
        origins = first_origins_between(connection, run, first, first + len(page) - 1)
        for row_no, status in enumerate(page.status, first):
            run_no, at = origins.get(row_no, (run.run_no, row_no))
            if run_no == root:
                found.extend(bytes(max(0, at + 1 - len(found))))
                found[at] = max(found[at], _ALL if status in DONE else _NOT_ALL)
    return found


def _pages(connection: Connection, run: RunRecord, tick: Tick) -> Iterator[tuple[int, OutcomePage]]:
    """Yield the outcomes of a run in pages, with the number of the first row of each."""
    first = 1
    for page in outcome_pages(connection, run):
        tick()
        yield first, page
        first += len(page)
