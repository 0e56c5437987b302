"""Errors of the server as messages that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from pipeline.errors import LedgerError
from pipeline.language import t
from pipeline.ledger.store.port import Damaged

# States in which the config or the rights of the user are wrong; none: the URL can't be read.
_OF_THE_CONFIG = (None, "3F000", "42501", "42P07")


@contextmanager
def with_clear_errors(name: str) -> Iterator[None]:
    """Raise LedgerError, with the cause and the next step, for each error of the server inside."""
    try:
        yield
    except (psycopg.Error, Damaged) as exc:
        raise LedgerError(f"ledger {name}: {_sentence(exc)}", users_fault=_is_users_fault(exc)) from exc


def _is_users_fault(exc: psycopg.Error | Damaged) -> bool:
    if isinstance(exc, Damaged):
        return False
    return isinstance(exc, psycopg.OperationalError) or exc.sqlstate in _OF_THE_CONFIG


def _sentence(exc: psycopg.Error | Damaged) -> str:
    if isinstance(exc, Damaged):
        return t("the data is damaged; restore it from a backup, as docs/how-to/postgresql.md says")
    advice = {
        "25006": t("the server is a standby, or read-only; name the primary in [ledger] url"),
        "3F000": t("the search path names no schema that exists; check `options` in [ledger] url"),
        "42501": t("the user may not do that there; let the user own the database, or a schema of its own"),
        "42P07": t("the database has tables of another program; name another database, or a schema of its own"),
        "53100": t("the server's disk is full; free space and resume the run: what was delivered is kept"),
        "55P03": t("another process keeps it locked; wait for that process or end it, then try again"),
    }
    state = exc.sqlstate or ""
    known = next((text for prefix, text in advice.items() if state.startswith(prefix)), None)
    if known is not None:
        return f"{known} ({state})"
    if isinstance(exc, psycopg.ProgrammingError) and not state:
        return t("[ledger] url can't be used: {reason}", reason=str(exc).strip())
    if isinstance(exc, psycopg.OperationalError):
        reason = (str(exc).strip().splitlines() or [type(exc).__name__])[0].strip()
        return t(
            "the server can't be used ({reason}); check [ledger] url and the server, then resume the run: "
            "what was delivered is kept",
            reason=reason,
        )
    # The detail of the server's message may have values of a line, and so a user's id.
    return f"{exc.diag.message_primary or type(exc).__name__} ({state or type(exc).__name__})"
