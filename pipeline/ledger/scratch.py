"""A ledger to try things on: it knows what the real one knows, and leaves it untouched."""

import sqlite3
from pathlib import Path

# These tables tell what was delivered: read under their names they are the real ledger's, by views that only this
# connection has. What is written goes to the scratch file's own.
_HISTORY = ("deliveries", "cards")


def look_into(connection: sqlite3.Connection, past: Path) -> None:
    """Let a connection of the scratch ledger read the real one's history; the real one is attached read-only."""
    connection.execute("ATTACH ? AS past", (f"{past.absolute().as_uri()}?mode=ro",))
    for table in _HISTORY:
        connection.execute(f"CREATE TEMP VIEW {table} AS SELECT * FROM past.{table}")


def take_over_the_past(connection: sqlite3.Connection) -> None:
    """Let the scratch ledger's accounts be the real one's, and its runs come after the real ones."""
    connection.execute("INSERT INTO main.accounts SELECT * FROM past.accounts")
    connection.execute("INSERT INTO main.runs SELECT * FROM past.runs ORDER BY run_no DESC LIMIT 1")


def history_of(connection: sqlite3.Connection) -> str:
    """Return where the dues and rows are that deliveries come from: in the ledger itself, or in the one looked into."""
    is_scratch = connection.execute("SELECT 1 FROM pragma_database_list WHERE name = 'past'").fetchone()
    return "past" if is_scratch else "main"
