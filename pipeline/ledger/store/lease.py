"""
The lease of a job: one run of a job at a time. A dead owner does not block it; a late one can't write any more.

On a server each sender of a run has a lease too: see `sender_lease`.
"""

import os
import re
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from pipeline.errors import LedgerError, RunHeld
from pipeline.language import t
from pipeline.ledger.records import RunRecord
from pipeline.ledger.store.port import Connection, Sql, json_of

# How long a lease lasts without being renewed.
LEASE_SECONDS = 30.0
# What the system does not tell of a process.
_UNKNOWN = "-"


def of_owners(sql: str) -> Sql:
    """Return a query of `owners`: all processes that have a lease. A file has only those of jobs."""
    return Sql(sql.replace("FROM owners", "FROM jobs").replace("JOIN owners", "JOIN jobs"), postgresql=sql)


# The run of each job, and its lease; of one job; of all other jobs.
_JOBS = "SELECT job, run_id, holder, expires_at, fence FROM jobs"
_JOB = f"{_JOBS} WHERE job = ?"
# The leases of jobs and senders: all of them, and those of other jobs.
_OWNERS = of_owners("SELECT job, run_id, holder, expires_at, fence FROM owners")
_OWNERS_OF_OTHERS = of_owners("SELECT job, run_id, holder, expires_at, fence FROM owners WHERE job <> ? ORDER BY job")
# The senders of other runs of a job, locked. A file has none.
_SENDERS_OF_OTHER_RUNS = Sql(
    f"{_JOBS} WHERE job = ? AND run_id <> ? AND FALSE",
    postgresql="""
        SELECT r.job, r.run_id, s.holder, s.expires_at, s.sender_no FROM senders AS s JOIN runs AS r USING (run_no)
        WHERE r.job = ? AND r.run_id <> ? FOR UPDATE OF s
    """,
)
# The same, for a takeover: it waits for a transaction of the run that has the job.
_JOB_TO_TAKE = Sql(_JOB, postgresql=f"{_JOB} FOR UPDATE")
# On a server: lock the job for a transaction of its run, and count that transaction. Then the count alone.
_LOCK = "UPDATE jobs SET commits = commits + 1 WHERE job = ? AND fence = ? RETURNING commits"
_COUNT = "SELECT commits FROM jobs WHERE job = ? AND fence = ? FOR UPDATE"
# Extend the leases of a run's senders that have ended, if that of the job has. A file has no senders.
_RENEW_SENDERS = Sql(
    "SELECT 1 WHERE FALSE",
    postgresql="""
        UPDATE senders SET expires_at = :expires_at
        WHERE run_no = (SELECT run_no FROM runs WHERE run_id = :run_id) AND expires_at <= :now
            AND (SELECT expires_at FROM jobs WHERE job = :job) <= :now
    """,
)
_RENEW = "UPDATE jobs SET expires_at = :expires_at WHERE job = :job"
_OTHER_JOBS = f"{_JOBS} WHERE job <> ? ORDER BY job"
# Give a job to a run.
_TAKE = """
INSERT INTO jobs (job, run_id, fence, holder, expires_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (job) DO UPDATE SET run_id = excluded.run_id, fence = excluded.fence, holder = excluded.holder,
    expires_at = excluded.expires_at
"""
# The line of a lease, if it is the job's last one. Another run may have the same fence if this one was not committed.
_TAKEN = "SELECT 1 FROM jobs WHERE job = ? AND run_id = ? AND fence = ? AND holder = ?"
# Delete the lines of senders that have ended. What they had is free then.
_DELETE_SENDERS = "DELETE FROM senders WHERE sender_no IN (SELECT CAST(value AS BIGINT) FROM json_each(?))"
# End the leases of all other jobs. Their runs can't write any more, since their fences grow.
_END_OTHERS = "UPDATE jobs SET fence = fence + 1, expires_at = '' WHERE job <> ?"
# The owners of other jobs for an account and API whose lease was not returned.
_OTHER_OWNERS = of_owners("""
SELECT j.holder FROM owners AS j JOIN runs AS r USING (run_id)
WHERE j.job <> ? AND j.expires_at <> '' AND r.account_no = ? AND r.api = ?
""")


@dataclass(frozen=True, slots=True)
class LeaseOwner:
    """
    A process: its host, the boot of that host, its PID, and when it began.

    `namespace` names the PID and time namespaces in which the PID and the begin are valid.
    """

    host: str
    boot: str
    pid: int
    began: str
    namespace: str

    def __str__(self) -> str:
        """Return the text that the ledger keeps."""
        return f"{self.host} {self.boot} {self.pid} {self.began} {self.namespace}"

    @classmethod
    def parse(cls, text: str) -> "LeaseOwner":
        """Return the owner of a text that `str` made. Ledgers of version 1 have no namespace."""
        host, boot, pid, began, *namespace = text.split(" ")
        return cls(host=host, boot=boot, pid=int(pid), began=began, namespace=namespace[0] if namespace else _UNKNOWN)


def this_process() -> LeaseOwner:
    """Return this process as an owner."""
    return LeaseOwner(
        host=socket.gethostname(), boot=boot_id(), pid=os.getpid(), began=_start_time("self"), namespace=_namespace()
    )


def boot_id() -> str:
    """Return the id of this boot of the machine; `-` if the system does not tell it."""
    return _read("/proc/sys/kernel/random/boot_id").strip() or _UNKNOWN


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _start_time(process: str) -> str:
    # Field 22 of /proc/PID/stat; the name in field 2 may hold blanks and ends with the last parenthesis.
    after_name = _read(f"/proc/{process}/stat").rpartition(")")[2].split()
    return after_name[19] if len(after_name) > 19 else _UNKNOWN


def _namespace() -> str:
    """Return the namespaces in which this process sees others; `-` if /proc does not show them."""
    if sys.platform != "linux":
        return sys.platform
        # NSpid has a number for each namespace from that of /proc to our own. Two numbers: /proc shows other PIDs.
    shows_ours = re.search(r"^NSpid:\t\d+$", _read("/proc/self/status"), re.MULTILINE) is not None
    pid_namespace = _inode("/proc/self/ns/pid")
    # A boot id distinguishes machines with the same name.
    if not shows_ours or _UNKNOWN in (pid_namespace, boot_id()):
        return _UNKNOWN
    return f"{pid_namespace}/{_inode('/proc/self/ns/time')}"


def _inode(path: str) -> str:
    try:
        return str(Path(path).stat().st_ino)
    except OSError:
        return _UNKNOWN


def _can_see(here: LeaseOwner, other: LeaseOwner) -> bool:
    sees = (here.host, here.boot, here.namespace)
    return here.namespace != _UNKNOWN and sees == (other.host, other.boot, other.namespace)


def began(pid: int) -> str | None:
    """Return when a process began: None if there is no such process, `-` if the system does not show it."""
    try:
        # Signal 0 only checks that the process exists, maybe as one of another user. Not every system has /proc.
        with suppress(PermissionError):
            os.kill(pid, 0)
    except ProcessLookupError:
        return None
    return _start_time(str(pid))


def is_dead(owner: str, here: LeaseOwner, began: Callable[[int], str | None] = began) -> bool:
    """
    Return whether the owner has surely ended.

    Only processes of the same host, boot and namespaces can be seen. Any other owner counts as alive until its lease
    ends.
    """
    other = LeaseOwner.parse(owner)
    if not _can_see(here, other):
        return False
    seen = began(other.pid)
    # The PID may have been given to another process.
    return seen is None or (_UNKNOWN not in (seen, other.began) and seen != other.began)


# Says whether an owner, in the ledger's text, has surely ended, as seen from another owner.
IsDead = Callable[[str, LeaseOwner], bool]
# The same, as seen from this process.
IsGone = Callable[[str], bool]


class HeldLease(Protocol):
    """A lease that a process has: that of a job, or that of a sender."""

    @property
    def seconds(self) -> float:
        """How long it lasts without being renewed."""
        ...

    def lock(self, connection: Connection) -> int:
        """
        Lock the lease on the server until the transaction ends; return the number of that transaction.

        Raises LedgerError if another process has it.
        """
        ...

    def count(self, connection: Connection) -> int:
        """
        Return the number of the last transaction under this lease that was committed, once no other one is under way.

        Raises LedgerError if another process has it.
        """
        ...

    def renew(self, connection: Connection, now: datetime) -> None:
        """Extend the lease from now on; `lock` comes first, in a file `check`."""
        ...

    def release(self, connection: Connection) -> None:
        """Return the lease."""
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """
    The right to write for a job, until another run takes it. `fence` grows with each run that takes the job.

    It ends `seconds` after it was taken or last renewed. See `HeldLease` for the methods.
    """

    job: str
    run_id: str
    fence: int
    owner: LeaseOwner
    seconds: float

    def check(self, connection: Connection) -> None:
        """Raise LedgerError if another run has taken the job since."""
        line = connection.execute(_JOB, (self.job,)).fetchone()
        if line is None or line[-1] != self.fence:
            raise self._taken_over()

    def lock(self, connection: Connection) -> int:
        """Lock the job; return the number of the transaction."""
        return self._number(connection, _LOCK)

    def count(self, connection: Connection) -> int:
        """Return the number of the last transaction."""
        return self._number(connection, _COUNT)

    def renew(self, connection: Connection, now: datetime) -> None:
        """Extend the lease from now on; if it has ended, also those of the run's senders that have."""
        values = {"expires_at": expiry(now, self.seconds), "now": now.isoformat(), "job": self.job}
        connection.execute(_RENEW_SENDERS, {**values, "run_id": self.run_id})
        connection.execute(_RENEW, values)

    def release(self, connection: Connection) -> None:
        """Return the lease; the fence stays in the ledger, so that it only grows."""
        connection.execute("UPDATE jobs SET expires_at = '' WHERE job = ? AND fence = ?", (self.job, self.fence))

    def _number(self, connection: Connection, sql: str) -> int:
        line = connection.execute(sql, (self.job, self.fence)).fetchone()
        if line is None:
            raise self._taken_over()
        return int(line[0])

    def _taken_over(self) -> LedgerError:
        return LedgerError(
            t(
                "job {job} was taken over by another run while this one was held up; nothing more is sent here; "
                "`backfill runs` shows the other run",
                job=self.job,
            )
        )


def acquire(
    connection: Connection,
    job: str,
    run_id: str,
    owner: LeaseOwner,
    now: datetime,
    is_gone: IsGone,
    *,
    seconds: float = LEASE_SECONDS,
) -> Lease:
    """
    Take the lease of a job for a run. Raises RunHeld, naming the run that has it, if that may be alive.

    The senders of the same run keep their leases; those of another run have to be dead.
    """
    lines = connection.execute(_JOB_TO_TAKE, (job,)).fetchall()
    _refuse_live(lines, owner, now, is_gone)
    senders = connection.execute(_SENDERS_OF_OTHER_RUNS, (job, run_id)).fetchall()
    _refuse_live(senders, owner, now, is_gone)
    if senders:
        connection.execute(_DELETE_SENDERS, (json_of(sender_no for *_, sender_no in senders),))
    taken = Lease(job, run_id, 1 + max((fence for *_, fence in lines), default=0), owner, seconds)
    connection.execute(_TAKE, (job, run_id, taken.fence, str(owner), expiry(now, seconds)))
    return taken


def end_others(connection: Connection, job: str, here: LeaseOwner, now: datetime, is_gone: IsGone) -> None:
    """End the leases of all other jobs, so that their runs can't go on. Raises RunHeld if one of them is alive."""
    _refuse_live(connection.execute(_OWNERS_OF_OTHERS, (job,)).fetchall(), here, now, is_gone)
    connection.execute(_END_OTHERS, (job,))


def _refuse_live(
    lines: Iterable[tuple[str, str, str, str, int]], here: LeaseOwner, now: datetime, is_gone: IsGone
) -> None:
    """Raise RunHeld for the first job, of lines of `_JOB`, whose run may be alive."""
    for job, run_id, owner, expires_at, _ in lines:
        if expires_at > now.isoformat() and not is_gone(owner):
            other = LeaseOwner.parse(owner)
            refusal = t(
                "job {job} is held by run {run_id} (process {pid} on {host}); nothing was done: wait for it, or end "
                "that process",
                job=job, run_id=run_id, pid=other.pid, host=other.host,
            )  # fmt: skip
            if not _can_see(here, other):
                refusal += t(
                    ". It can't be seen from here: if it is dead, the job is free at {free_at:%H:%M:%S} UTC",
                    free_at=datetime.fromisoformat(expires_at),
                )
            raise RunHeld(refusal)


def is_taken(connection: Connection, lease: Lease) -> bool:
    """Return whether a lease was committed, and nobody has taken the job since."""
    known = (lease.job, lease.run_id, lease.fence, str(lease.owner))
    return connection.execute(_TAKEN, known).fetchone() is not None


def expiry(now: datetime, seconds: float) -> str:
    """Return when a lease ends that is taken or renewed now, as the ledger keeps it."""
    return (now + timedelta(seconds=seconds)).isoformat()


def fences_of_others(connection: Connection, job: str) -> tuple[tuple[str, int], ...]:
    """Return the fence of each other job: while they stay the same, no run has taken one."""
    return tuple((other, fence) for other, *_, fence in connection.execute(_OTHER_JOBS, (job,)))


def is_account_in_use(connection: Connection, run: RunRecord, is_gone: IsGone) -> bool:
    """
    Return whether another job may be sending for the run's account and API: its owner may be alive.

    An expired lease proves nothing: a process that was held up goes on, if no other run took its job.
    """
    owners = connection.execute(_OTHER_OWNERS, (run.job, run.account_no, run.api))
    return not all(is_gone(owner) for (owner,) in owners)


def live_runs(connection: Connection, now: datetime, is_gone: IsGone) -> set[str]:
    """Return the ids of the runs that some process executes now."""
    lines = connection.execute(_OWNERS).fetchall()
    return {run_id for _, run_id, owner, expires_at, _ in lines if expires_at > now.isoformat() and not is_gone(owner)}
