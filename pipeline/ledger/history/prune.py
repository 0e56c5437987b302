"""
Deletes old runs, in short transactions.

A run is deleted together with its reruns and fixes, and only if no resume or rerun would send any row of it. What the
ledger knows of deliveries, cards, objects and fixed rows stays: nothing is sent again because its run was deleted.

First the line in `runs` is deleted, and the id is written into `known_traces`: from then on nobody finds the run. Its
other lines follow in slices. After a crash between two of them the next prune deletes the rest.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import chain

from pipeline.ledger.history import inputs, runs
from pipeline.ledger.history.row_ranges import delete_range, row_ranges
from pipeline.ledger.records import Phase, RunRecord
from pipeline.ledger.store.loss_detection import generations
from pipeline.ledger.store.port import Connection, Read, Sql, json_of
from pipeline.model import Api

# Whether a resume or rerun of a run would send any due. It does not send one whose key has ended in any run, nor one
# that a newer confirmed balance or state has overtaken. A state in doubt is sent all the same.
_HAS_ROWS_LEFT = """
SELECT EXISTS (
    SELECT 1 FROM dues AS d
    LEFT JOIN deliveries AS v ON v.account_no = :account_no AND v.api = :api AND v.identity = d.identity
    LEFT JOIN cards AS c ON c.account_no = :account_no AND c.card = d.card AND c.unsettled = 0
        AND c.newest_identity <> d.identity
    LEFT JOIN objects AS h ON h.account_no = :account_no AND h.object = d.object AND h.unsettled = 0
        AND h.identity <> d.identity
    WHERE d.run_no = :run_no AND coalesce(d.status, 'unsent') IN ('unknown', 'blocked', 'unsent')
        AND coalesce(v.state, 'unsent') NOT IN ('succeeded', 'rejected')
        AND (CASE WHEN d.version <> c.newest_version THEN d.version < c.newest_version
            ELSE d.position < c.newest_position END) IS NOT TRUE
        AND NOT (d.status <> 'unknown' AND coalesce(v.state, 'unsent') = 'unsent'
            AND (CASE WHEN d.version <> h.version THEN d.version < h.version
                ELSE d.position < h.position END) IS TRUE)
)
"""
# Remember the report of a pruned run as no sign of a loss.
_INSERT_TRACE = (
    "INSERT INTO known_traces (name, run_no) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET run_no = excluded.run_no"
)
# Remember that other lines of a run are still to be deleted.
_INSERT_PRUNED = """
INSERT INTO pruned_runs (run_no, account_no, api, export, started_at)
SELECT run_no, account_no, api, export, started_at FROM runs WHERE run_no = ?
"""
# Whether a run outside of a family is a rerun or fix of one of its runs.
_IS_FOLLOWED = """
WITH family (run_no) AS (SELECT CAST(value AS BIGINT) FROM json_each(:numbers))
SELECT EXISTS (
    SELECT 1 FROM runs
    WHERE parent IN (SELECT value FROM json_each(:names)) AND run_no NOT IN (SELECT run_no FROM family)
) OR EXISTS (
    SELECT 1 FROM family AS f CROSS JOIN origins AS o ON o.origin_run_no = f.run_no
    WHERE o.run_no NOT IN (SELECT run_no FROM family)
)
"""
# Tables with lines of a run, and the column that orders these. `rows` comes after `dues`: tasks need the keys of rows.
_TABLES: Mapping[str, str] = {"dues": "row_no", "rows": "row_no", "origins": "row_no", "packs": "first_row_no"}
# Deliveries of a ledger of version 7 have no age; they get that of their run.
_AGE = """
UPDATE deliveries SET intended_at = {seconds}
FROM pruned_runs AS p CROSS JOIN dues AS d ON d.run_no = p.run_no
WHERE p.run_no = :run_no AND d.row_no BETWEEN :first AND :last
    AND deliveries.account_no = p.account_no AND deliveries.api = p.api AND deliveries.identity = d.identity
    AND deliveries.intended_at IS NULL
"""
_KEEP_AGE = Sql(
    _AGE.format(seconds="CAST(strftime('%s', p.started_at) AS INTEGER)"),
    postgresql=_AGE.format(seconds="CAST(extract(epoch FROM CAST(p.started_at AS timestamptz)) AS BIGINT)"),
)
# A task that was done n times has n deliveries. Later the task is recognised in its other form by its row's key.
_KEEP_ROW_KEY = """
UPDATE deliveries SET row_key = w.request_key
FROM pruned_runs AS p CROSS JOIN dues AS d ON d.run_no = p.run_no
CROSS JOIN rows AS w ON w.run_no = d.run_no AND w.row_no = d.row_no AND w.request_key <> d.request_key
WHERE p.run_no = :run_no AND p.export = 'tasks' AND d.row_no BETWEEN :first AND :last
    AND deliveries.account_no = p.account_no AND deliveries.api = p.api AND deliveries.identity = d.identity
"""
# The object of a state: its identity without the last separator and what follows that.
_UP_TO_OBJECT = "rtrim(v.identity, replace(v.identity, char(31), ''))"
_OBJECT = f"CASE WHEN v.api = :state THEN substr({_UP_TO_OBJECT}, 1, length({_UP_TO_OBJECT}) - 1) END"
# Deliveries that may be deleted: old ones that have ended and that nothing needs. These are kept:
# - balances: one that comes back would be sent under a key that the platform may answer from memory;
# - the newest state of each object and the one before, fixed rows, and keys that were given another key;
# - deliveries with a due of a run that is kept.
_DELETABLE = f"""
v.intended_at < :before AND v.state <> 'sending' AND v.api IN (:cumulation, :state)
AND NOT EXISTS (SELECT 1 FROM dues AS d WHERE d.identity = v.identity)
AND NOT EXISTS (SELECT 1 FROM variants AS x WHERE x.digest = v.digest AND x.identity = v.identity)
AND NOT EXISTS (
    SELECT 1 FROM deliveries AS s
    WHERE s.account_no = v.account_no AND s.api = v.api AND s.identity = v.successor
)
AND NOT EXISTS (
    SELECT 1 FROM objects AS h
    WHERE v.api = :state AND h.account_no = v.account_no
        AND h.object = {_OBJECT} AND v.identity IN (h.identity, h.before_identity)
)
"""
# The next deliveries that may be deleted, after one.
_NEXT_DELETABLE = f"""
SELECT v.account_no, v.api, v.identity FROM deliveries AS v
WHERE (v.account_no, v.api, v.identity) > (:account_no, :api, :identity) AND {_DELETABLE}
ORDER BY v.account_no, v.api, v.identity LIMIT :lines
"""
# Delete these, as far as they may still be deleted: a run may have begun to send one of them again.
_DELETE_DELIVERIES = f"""
DELETE FROM deliveries AS v
WHERE (v.account_no, v.api, v.identity) IN (
    SELECT CAST(value ->> 0 AS BIGINT), value ->> 1, value ->> 2 FROM json_each(:found)
) AND {_DELETABLE}
"""


class Kept(StrEnum):
    """Why an old run is kept."""

    RUNNING = "running"
    UNFINISHED = "unfinished"
    ROWS_LEFT = "rows_left"
    LAST_OF_JOB = "last_of_job"
    FAMILY = "family"


@dataclass(slots=True)
class Pruned:
    """The deleted runs, the old runs that were kept with the reason, and the number of deleted deliveries."""

    runs: list[RunRecord] = field(default_factory=list)
    kept: list[tuple[RunRecord, Kept]] = field(default_factory=list)
    deliveries: int = 0


@dataclass(frozen=True, slots=True)
class PruneFile:
    """
    The ledger as pruning reads and writes it.

    `commit` runs one transaction, and then leaves the write lock to others for a while. `live_runs` returns the ids of
    the runs that some process executes. One transaction deletes at most `lines` lines.
    """

    read: Read
    commit: Read
    live_runs: Callable[[Connection], Collection[str]]
    lines: int


# Runs that are reruns or fixes of one another, oldest first: all of them are deleted, or none.
_Family = list[RunRecord]


def prune(file: PruneFile, *, runs_before: datetime, deliveries_before: datetime | None) -> Pruned:
    """
    Delete the runs that ended before a moment; return what was deleted and what was kept.

    With `deliveries_before` also delete deliveries whose last intent is older, if no run has them any more.
    """
    pruned = Pruned()
    old_families = _judge_all(file, runs_before, pruned)
    refused = file.commit(lambda c: _delete_runs(c, old_families, file.live_runs)) if old_families else set[int]()
    for run in chain.from_iterable(old_families):
        if run.run_no in refused:
            pruned.kept.append((run, Kept.RUNNING))
        else:
            pruned.runs.append(run)
    pruned.runs.sort(key=lambda run: run.run_no)
    pruned.kept.sort(key=lambda kept: kept[0].run_no)
    _delete_lines(file)
    if deliveries_before is not None:
        pruned.deliveries = _delete_deliveries(file, int(deliveries_before.timestamp()))
    return pruned


def _judge_all(file: PruneFile, before: datetime, pruned: Pruned) -> list[_Family]:
    """Return the families that may be deleted; add the old runs of the others to the kept ones."""
    families = file.read(_families)
    # The newest run of all is one of these, so that no number of a run is given twice.
    in_order = sorted(chain.from_iterable(families), key=lambda run: run.run_no)
    last_of_jobs = set({run.job: run.run_no for run in in_order}.values())
    deletable: list[_Family] = []
    for family in families:
        old = [run for run in family if _ended_at(run) < before]
        if old:
            reasons = {run.run_no: _reason(file, run, last_of_jobs) for run in family}
            if len(old) == len(family) and not any(reasons.values()):
                deletable.append(family)
            else:
                pruned.kept += [(run, reasons[run.run_no] or Kept.FAMILY) for run in old]
    return deletable


def _families(connection: Connection) -> list[_Family]:
    """Return all runs, each with its reruns and fixes."""
    found = runs.recent(connection)
    by_id = {run.run_id: run.run_no for run in found}
    first = {run.run_no: run.run_no for run in found}

    def root(run_no: int) -> int:
        while first[run_no] != run_no:
            run_no = first[run_no]
        return run_no

    links = [(run.run_no, by_id[run.parent]) for run in found if run.parent in by_id]
    links += connection.execute("SELECT DISTINCT run_no, origin_run_no FROM origins").fetchall()
    for one, other in links:
        if one in first and other in first:
            first[root(one)] = root(other)
    families: dict[int, _Family] = defaultdict(list)
    for run in reversed(found):
        families[root(run.run_no)].append(run)
    return list(families.values())


def _ended_at(run: RunRecord) -> datetime:
    return datetime.fromisoformat(run.finished_at or run.started_at)


def _reason(file: PruneFile, run: RunRecord, last_of_jobs: Collection[int]) -> Kept | None:
    """Return why a run may not be deleted, if so."""
    if run.run_id in file.read(file.live_runs):
        return Kept.RUNNING
    if run.state is None or (run.phase is Phase.STAGING and run.exit_code != 2):
        # A resume continues it, or stages it again.
        return None if file.read(lambda c: _is_of_former_generation(c, run)) else Kept.UNFINISHED
    if file.read(lambda c: _has_rows_left(c, run)):
        return Kept.ROWS_LEFT
    return Kept.LAST_OF_JOB if run.run_no in last_of_jobs else None


def _is_of_former_generation(connection: Connection, run: RunRecord) -> bool:
    """Return whether a run has balances or states from before a resync: it is neither resumed nor rerun."""
    query = "SELECT generation FROM accounts WHERE account_no = ?"
    generation = connection.execute(query, (run.account_no,)).fetchone()
    return generation is not None and generation[0] < generations.current(connection).of_account(run.api)


def _has_rows_left(connection: Connection, run: RunRecord) -> bool:
    """Return whether a resume or a rerun of a run would send anything."""
    if _is_of_former_generation(connection, run):
        return False
    values = {"run_no": run.run_no, "account_no": run.account_no, "api": run.api}
    return bool(connection.execute(_HAS_ROWS_LEFT, values).fetchone()[0])


def _delete_runs(
    connection: Connection,
    families: Iterable[_Family],
    live_runs: Callable[[Connection], Collection[str]],
) -> set[int]:
    """Delete whole families of runs; return the numbers of those that are in use by now."""
    refused: set[int] = set()
    live = live_runs(connection)
    for family in families:
        if _has_changed(connection, family) or any(run.run_id in live for run in family):
            refused.update(run.run_no for run in family)
            continue
        for run in family:
            connection.execute(_INSERT_TRACE, (run.run_id, run.run_no))
            connection.execute(_INSERT_PRUNED, (run.run_no,))
            connection.execute("DELETE FROM runs WHERE run_no = ?", (run.run_no,))
    return refused


def _has_changed(connection: Connection, family: _Family) -> bool:
    """Return whether a run of a family has changed, or has a new rerun or fix, since the family was read."""
    numbers, names = [run.run_no for run in family], [run.run_id for run in family]
    values = {"numbers": json_of(numbers), "names": json_of(names)}
    is_followed = connection.execute(_IS_FOLLOWED, values).fetchone()[0]
    return bool(is_followed) or runs.with_numbers(connection, numbers) != family


def _delete_lines(file: PruneFile) -> None:
    """Delete all lines of pruned runs, slice by slice; also those that a killed prune left."""
    pruned = file.read(lambda c: c.execute("SELECT run_no FROM pruned_runs ORDER BY run_no").fetchall())
    for (run_no,) in pruned:
        for table, number in _TABLES.items():
            for first, last in row_ranges(file.read, run_no, table, number=number, lines=file.lines):
                file.commit(partial(_delete_range, first=first, last=last, run_no=run_no, table=table))
        file.commit(partial(_delete_last_lines, run_no=run_no))


def _delete_range(connection: Connection, first: int, last: int, run_no: int, table: str) -> None:
    if table == "dues":
        rows = {"run_no": run_no, "first": first, "last": last}
        connection.execute(_KEEP_AGE, rows)
        connection.execute(_KEEP_ROW_KEY, rows)
    delete_range(connection, first, last, run_no, table, number=_TABLES[table])


def _delete_last_lines(connection: Connection, run_no: int) -> None:
    inputs.forget_slices(connection, run_no)
    for table in ("inputs", "pruned_runs"):
        connection.execute(f"DELETE FROM {table} WHERE run_no = ?", (run_no,))


def _delete_deliveries(file: PruneFile, before: int) -> int:
    """Delete old deliveries; return how many."""
    values = {"before": before, "cumulation": Api.CUMULATION, "state": Api.STATE, "lines": file.lines}
    last, count = {"account_no": 0, "api": "", "identity": ""}, 0
    while found := file.read(lambda c: c.execute(_NEXT_DELETABLE, values | last).fetchall()):  # noqa: B023 - as above
        last = dict(zip(last, found[-1], strict=True))
        some = values | {"found": json_of(found)}
        count += file.commit(lambda c: c.execute(_DELETE_DELIVERIES, some).rowcount)  # noqa: B023 - as above
    return count
