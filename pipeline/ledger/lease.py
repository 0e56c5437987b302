"""Who holds a job. One run of a job at a time; a dead holder does not block; a late one is refused."""

import os
import socket
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pipeline.errors import LedgerError, RunHeld
from pipeline.ledger.records import RunRecord

LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Holder:
    """A process: on which machine, since which start of it, and when the process itself began."""

    host: str
    boot: str
    pid: int
    began: str

    def __str__(self) -> str:
        """Return the form that the ledger keeps."""
        return f"{self.host} {self.boot} {self.pid} {self.began}"


def this_process() -> Holder:
    """Return the present process as a holder."""
    return Holder(socket.gethostname(), boot_id(), os.getpid(), _began(os.getpid()))


def boot_id() -> str:
    """Return what tells one start of this machine from the next; `-` where the system does not say."""
    return _read("/proc/sys/kernel/random/boot_id").strip() or "-"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _began(pid: int) -> str:
    # Field 22 of /proc/PID/stat; the name in field 2 may hold blanks and ends with the last parenthesis.
    after_name = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return after_name[19] if len(after_name) > 19 else "-"


def is_dead(holder: str, here: Holder) -> bool:
    """Return whether the holder surely runs no more: it was a process of this machine, and that is gone."""
    host, boot, pid, began = holder.split(" ")
    if host != here.host:
        return False
    return boot != here.boot or _is_gone(int(pid)) or _began(int(pid)) != began


def _is_gone(pid: int) -> bool:
    # Not every system has /proc; signal 0 only asks, and a process that may not be asked is there.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


# Whether the holder, in the ledger's form, surely runs no more, as seen from a holder.
IsDead = Callable[[str, Holder], bool]
# The same, as seen from here.
IsGone = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write for a job, until another run takes it."""

    job: str
    run_id: str
    fence: int
    holder: Holder


def acquire(
    connection: sqlite3.Connection, job: str, run_id: str, holder: Holder, now: datetime, is_dead: IsDead = is_dead
) -> Lease:
    """Take the job, or raise RunHeld, which says who holds it."""
    line = connection.execute("SELECT run_id, fence, holder, expires_at FROM jobs WHERE job = ?", (job,)).fetchone()
    if line is not None and line[3] > now.isoformat() and not is_dead(line[2], holder):
        host, _, pid, _ = line[2].split(" ")
        raise RunHeld(f"job {job} is held by run {line[0]} (process {pid} on {host}); wait for it, or end that process")
    fence = 1 if line is None else line[1] + 1
    connection.execute(
        "INSERT INTO jobs (job, run_id, fence, holder, expires_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " run_id = excluded.run_id, fence = excluded.fence, holder = excluded.holder, expires_at = excluded.expires_at",
        (job, run_id, fence, str(holder), _expiry(now)),
    )
    return Lease(job, run_id, fence, holder)


def _expiry(now: datetime) -> str:
    return (now + timedelta(seconds=LEASE_SECONDS)).isoformat()


def check(connection: sqlite3.Connection, lease: Lease) -> None:
    """Raise LedgerError when another run has taken the job since."""
    line = connection.execute("SELECT fence FROM jobs WHERE job = ?", (lease.job,)).fetchone()
    if line is None or line[0] != lease.fence:
        raise LedgerError(
            f"job {lease.job} was taken over by another run while this one was held up; nothing more is sent here; "
            "`backfill runs` shows the other run"
        )


def renew(connection: sqlite3.Connection, lease: Lease, now: datetime) -> None:
    """Keep the job for another while; `check` comes first."""
    connection.execute("UPDATE jobs SET expires_at = ? WHERE job = ?", (_expiry(now), lease.job))


def release(connection: sqlite3.Connection, lease: Lease) -> None:
    """Give the job back; the fence stays, so that it only grows."""
    connection.execute("UPDATE jobs SET expires_at = '' WHERE job = ? AND fence = ?", (lease.job, lease.fence))


def fences_of_others(connection: sqlite3.Connection, job: str) -> tuple[tuple[str, int], ...]:
    """Return the fence of every other job: as long as they stay, nobody has taken one."""
    return tuple(connection.execute("SELECT job, fence FROM jobs WHERE job <> ? ORDER BY job", (job,)))


def is_account_in_use(connection: sqlite3.Connection, run: RunRecord, is_gone: IsGone) -> bool:
    """
    Return whether another job may be at work for the run's account and API: it is held, and not by a dead process.

    That its lease ran out says nothing: who was held up goes on where nobody took the job.
    """
    holders = connection.execute(
        "SELECT j.holder FROM jobs AS j JOIN runs AS r USING (run_id) WHERE j.job <> ? AND j.expires_at <> ''"
        " AND r.account_no = ? AND r.api = ?",
        (run.job, run.account_no, run.api),
    )
    return not all(is_gone(holder) for (holder,) in holders)


def is_live(
    connection: sqlite3.Connection, run_id: str, here: Holder, now: datetime, is_dead: IsDead = is_dead
) -> bool:
    """Return whether some process is executing this run at the moment."""
    line = connection.execute("SELECT holder, expires_at FROM jobs WHERE run_id = ?", (run_id,)).fetchone()
    return line is not None and line[1] > now.isoformat() and not is_dead(line[0], here)
