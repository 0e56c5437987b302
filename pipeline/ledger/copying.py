"""`copy_ledger`: moves a ledger between a file and a server. Nothing is sent, and the old one stays as it is."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.clock import Clock
from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.database import Database, open_database
from pipeline.ledger.store import lease
from pipeline.ledger.store.database import connect, empty_ledger
from pipeline.ledger.store.lease import LeaseOwner
from pipeline.ledger.store.loss_detection.marks import Marks
from pipeline.ledger.store.port import Connection, Server, Sql, insert_many, stream

# The tables, each after those that its lines name; and the columns that a line is known by.
_TABLES = {
    "generations": "generation",
    "known_traces": "name",
    "accounts": "account_no",
    "jobs": "job",
    "runs": "run_no",
    "inputs": "run_no, file_no",
    "rows": "run_no, row_no",
    "packs": "run_no, first_row_no",
    "dues": "due_no",
    "deliveries": "account_no, api, identity",
    "cards": "account_no, card",
    "objects": "account_no, object",
    "origins": "run_no, row_no",
    "variants": "origin, variant, part, identity, digest",
    "contents": "account_no, api, content, variant",
    "pruned_runs": "run_no",
}
# Tables whose lines the database numbers.
_NUMBERED = ("generations", "accounts", "runs", "dues")
# Lines that are written at once.
_LINES = 2_000
# After a copy a server goes on with the next number; a file does so by itself.
_GO_ON = "SELECT setval(pg_get_serial_sequence('{table}', '{key}'), max({key})) FROM {table}"


def copy_ledger(
    source: Path | Server,
    target: Path | Server,
    clock: Clock,
    owner: LeaseOwner,
    tick: Callable[[str, int], None] = lambda _table, _lines: None,
) -> dict[str, int]:
    """
    Copy all lines of a ledger into an empty one; return their number by table.

    All are written, or none. `tick` gets the table and its lines so far. Raises LedgerError if a run uses the source,
    or if the target has runs.
    """
    if isinstance(source, Path) and not source.exists():
        raise LedgerError(t("ledger {name}: there is no such file", name=source))
    with (
        closing(open_database(source, clock, Marks([]), connect)) as old,
        closing(open_database(target, clock, Marks([]), connect)) as new,
    ):
        live = old.read(lambda c: lease.live_runs(c, old.now(c), lambda other: lease.is_dead(other, owner)))
        if live:
            raise LedgerError(
                t("ledger {name}: run {run} uses it; wait until it has ended", name=old.name, run=min(live))
            )
        # Nobody may write to the old one meanwhile.
        with old.clear_errors(), new.clear_errors():
            counts = old.transactions().run(
                lambda reading: new.transactions().run(lambda writing: _copy_all(reading, writing, new, tick))
            )
        # Requests may have left moments ago, by the quotas of the old one.
        new.quotas()
        new.forget_quotas()
    return counts


def _copy_all(old: Connection, new: Connection, target: Database, tick: Callable[[str, int], None]) -> dict[str, int]:
    if new.execute("SELECT EXISTS (SELECT 1 FROM accounts)").fetchone()[0]:
        raise LedgerError(
            t("ledger {name}: it is in use already; name an empty database, or a new file", name=target.name)
        )
    new.execute("DELETE FROM generations")
    counts = {table: _copy(old, new, table, tick) for table in _TABLES}
    # Leases are not moved: each job is free.
    new.execute("UPDATE jobs SET expires_at = ''")
    return counts


def _copy(old: Connection, new: Connection, table: str, tick: Callable[[str, int], None]) -> int:
    names = ", ".join(_columns(table))
    insert, count = insert_many(table, names), 0
    for lines in _batches(stream(old, f"SELECT {names} FROM {table} ORDER BY {_TABLES[table]}")):
        new.executemany(insert, lines)
        count += len(lines)
        tick(table, count)
    if table in _NUMBERED:
        new.execute(Sql("SELECT 1", postgresql=_GO_ON.format(table=table, key=_TABLES[table])))
    return count


def _columns(table: str) -> list[str]:
    """Return the columns of a table that both databases have."""
    with closing(empty_ledger()) as empty:
        return [name for _, name, *_ in empty.execute(f"PRAGMA table_info({table})")]


def _batches(lines: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(lines)
    while batch := list(islice(rest, _LINES)):
        yield batch
