"""A ledger to try things on: it knows what the real one knows, and leaves it untouched."""

import sqlite3
from pathlib import Path

# These tables tell what was delivered. Dropped from the scratch file, their names mean the real ledger's.
_HISTORY = ("deliveries", "cards")


def look_into(connection: sqlite3.Connection, past: Path) -> None:
    """Attach the real ledger, read-only, to a connection of the scratch ledger."""
    connection.execute("ATTACH ? AS past", (f"{past.absolute().as_uri()}?mode=ro",))


def take_over_the_past(connection: sqlite3.Connection) -> None:
    """Let the scratch ledger's history be the real one's, and its runs come after the real ones."""
    for table in _HISTORY:
        connection.execute(f"DROP TABLE main.{table}")
    connection.execute("INSERT INTO main.accounts SELECT * FROM past.accounts")
    connection.execute("INSERT INTO main.runs SELECT * FROM past.runs ORDER BY run_no DESC LIMIT 1")
