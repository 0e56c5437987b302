"""The input files of a run, and how what was staged of them is deleted."""

import orjson

from pipeline.ledger.records import InputRecord, RunRecord, position
from pipeline.ledger.rules.fixes import forget_fixes
from pipeline.ledger.store.port import Connection, Sql

_INSERT = """
INSERT INTO inputs (run_no, file_no, name, location, columns, rows, sha256, encoding)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_no, file_no) DO UPDATE SET name = excluded.name, location = excluded.location,
    columns = excluded.columns, rows = excluded.rows, sha256 = excluded.sha256, encoding = excluded.encoding
"""
# The inputs of a run, in the order of reading.
_OF_RUN = """
SELECT file_no, name, location, columns, rows, sha256, encoding FROM inputs WHERE run_no = ? ORDER BY file_no
"""
# A file has no slices.
_DELETE_SLICES = Sql("SELECT ?", postgresql="DELETE FROM slices WHERE run_no = ?")
_DELETE_BLOCKS = Sql("SELECT ?", postgresql="DELETE FROM blocks WHERE run_no = ?")


def add_input(connection: Connection, run: RunRecord, source: InputRecord) -> None:
    """Write an input file, or what is known of it once it was read to its end."""
    columns = orjson.dumps(source.columns).decode()
    connection.execute(
        _INSERT,
        (run.run_no, source.file_no, source.name, source.location, columns, source.rows, source.sha256,
         source.encoding),
    )  # fmt: skip


def inputs_of(connection: Connection, run: RunRecord) -> list[InputRecord]:
    """Return the input files of a run, in the order of reading."""
    return [
        InputRecord(
            file_no=file_no,
            name=name,
            location=location,
            columns=tuple(orjson.loads(columns)),
            rows=rows,
            sha256=sha256,
            encoding=encoding,
        )
        for file_no, name, location, columns, rows, sha256, encoding in connection.execute(_OF_RUN, (run.run_no,))
    ]


def all_locations(connection: Connection) -> list[str]:
    """Return the locations of the inputs of all runs."""
    return [location for (location,) in connection.execute("SELECT DISTINCT location FROM inputs")]


def forget_inputs(connection: Connection, run: RunRecord) -> None:
    """Delete the inputs of a run that sent nothing, its skipped rows, and what was noted of its fixed rows."""
    for table in ("packs", "inputs"):
        connection.execute(f"DELETE FROM {table} WHERE run_no = ?", (run.run_no,))
    forget_slices(connection, run.run_no)
    forget_fixes(connection, position(run.run_no, 0), position(run.run_no + 1, 0))


def forget_slices(connection: Connection, run_no: int) -> None:
    """Delete the slices of a run, and then their blocks: a process that has one can't finish it any more."""
    connection.execute(_DELETE_SLICES, (run_no,))
    connection.execute(_DELETE_BLOCKS, (run_no,))
