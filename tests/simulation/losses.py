"""Promises about a ledger that was restored or lost: nothing is sent from one that is behind."""

from collections.abc import Iterator

from pipeline.model import Api
from tests.simulation.evidence import Broken, is_resynced_between
from tests.simulation.history import CommandResult, Evidence, LedgerLoss
from tests.simulation.platform import Entry

# A request that had its permit may still leave.
_LEAVES_WITHIN_SECONDS = 0.5


def may_be_lost(evidence: Evidence, entry: Entry, at: float) -> bool:
    """Return whether the ledger may not know of a request at a given time, since it was restored or lost."""
    result = evidence.results[entry.process - 1]
    return any(
        # A request of the moment of the copy may have followed it.
        loss.at <= at and (loss.since <= entry.sent_at <= loss.at or result.began_at <= loss.at <= result.ended_at)
        for loss in evidence.losses
    )


def losses_of_requests(evidence: Evidence) -> Iterator[LedgerLoss]:
    """
    Yield the losses of a ledger, or of its quotas, after a request that no copy can know.

    A run that was active during the copy may have noted beforehand what it sent afterwards.
    """
    for loss in evidence.losses:
        begun_since = {number for number, result in enumerate(evidence.results, 1) if result.began_at > loss.since}
        if any(entry.process in begun_since and entry.sent_at < loss.at for entry in evidence.journal.entries):
            yield loss


def _keys_between(evidence: Evidence, process: int, since: float, until: float) -> set[str]:
    """Return the keys that a process sent after a time and until another one."""
    entries = evidence.journal.entries
    return {entry.key for entry in entries if entry.process == process and since < entry.sent_at <= until}


def check_losses(evidence: Evidence) -> None:
    """Raise Broken if a request is sent from a ledger that is behind, or that is not in its place."""
    behind = list(losses_of_requests(evidence))
    # Without a commit each thread has one request under way, and one outcome that waits.
    most = 2 * evidence.scenario.concurrency
    for loss in evidence.losses:
        for number, result in enumerate(evidence.results, 1):
            late = _keys_between(evidence, number, loss.at + _LEAVES_WITHIN_SECONDS, result.ended_at)
            # A run that was active during the copy has lost commits if it sent more than those.
            has_lost_commits = len(_keys_between(evidence, number, loss.since, loss.at)) > most
            allowed = 0 if loss in behind else most if has_lost_commits else len(late)
            if result.began_at < loss.at < result.ended_at and len(late) > allowed:
                raise Broken(f"command {number} sent {len(late)} keys, and its ledger was lost at {loss.at}")
    for loss in behind:
        for number, result in enumerate(evidence.results, 1):
            if result.began_at >= loss.at and result.step.resync and result.run_id is not None:
                break
            # At the same time either may have come first.
            if result.began_at > loss.at and any(entry.process == number for entry in evidence.journal.entries):
                raise Broken(f"command {number} sent from a ledger that was restored or lost at {loss.at}")


def is_excused(evidence: Evidence, entry: Entry, result: CommandResult, status: str) -> bool:
    """
    Return whether a command may report a row as not sent although the platform applied it.

    This holds if the ledger that knew was lost, and after a resync, in which earlier balances and states do not count.
    A refused order or task then stays unknown.
    """
    if evidence.scenario.api is Api.CUMULATION:
        return status != "rejected" and may_be_lost(evidence, entry, result.began_at)
    return is_resynced_between(evidence, entry.sent_at, result.began_at)
