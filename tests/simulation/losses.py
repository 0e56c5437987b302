"""What must hold of a ledger that was restored or lost: nothing is sent from one that is behind."""

from collections.abc import Iterator

from pipeline.model import Api
from tests.simulation.evidence import Broken, is_resynced_between
from tests.simulation.history import AnswerContent, Evidence, Loss
from tests.simulation.platform import Entry

# A request whose permit was given before may still leave.
_LEAVES_WITHIN_SECONDS = 0.5


def may_be_lost(evidence: Evidence, entry: Entry, at: float) -> bool:
    """Return whether the ledger may not know of a request at some moment: what noted it was restored or lost before."""
    reported = evidence.reported[entry.process - 1]
    return any(
        loss.at <= at and (loss.since < entry.sent_at <= loss.at or reported.began_at <= loss.at <= reported.ended_at)
        for loss in evidence.losses
    )


def after_which_it_is_behind(evidence: Evidence) -> Iterator[Loss]:
    """
    Yield the losses of a ledger, or of its quotas, after a request that no copy of it can know.

    A run that was under way when the copy was made may have noted beforehand what it sent afterwards.
    """
    for loss in evidence.losses:
        begun_since = {number for number, reported in enumerate(evidence.reported, 1) if reported.began_at > loss.since}
        if any(entry.process in begun_since and entry.sent_at < loss.at for entry in evidence.journal.entries):
            yield loss


def check_losses(evidence: Evidence) -> None:
    """Raise Broken where something is sent from a ledger that is behind, or from one that is not in its place."""
    for loss in after_which_it_is_behind(evidence):
        for number, reported in enumerate(evidence.reported, 1):
            sent = [entry.sent_at for entry in evidence.journal.entries if entry.process == number]
            if (
                reported.began_at < loss.at < reported.ended_at
                and sent
                and max(sent) > loss.at + _LEAVES_WITHIN_SECONDS
            ):
                raise Broken(f"command {number} sent at {max(sent)}, and its ledger was lost at {loss.at}")
        for number, reported in enumerate(evidence.reported, 1):
            if reported.began_at >= loss.at and reported.step.resync and reported.run_id is not None:
                break
            # At one moment either may have come first.
            if reported.began_at > loss.at and any(entry.process == number for entry in evidence.journal.entries):
                raise Broken(f"command {number} sent from a ledger that was restored or lost at {loss.at}")


def is_excused(evidence: Evidence, entry: Entry, reported: AnswerContent, status: str) -> bool:
    """
    Return whether a command may tell a row as not sent, though the platform applied it.

    So it may where the ledger that knew was lost, and after a resync, in which no earlier balance and no earlier state
    counts. An order or a task that the platform refuses then stays unknown.
    """
    if evidence.scenario.api is Api.CUMULATION:
        return status != "rejected" and may_be_lost(evidence, entry, reported.began_at)
    return is_resynced_between(evidence, entry.sent_at, reported.began_at)
