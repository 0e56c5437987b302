"""What must hold of a job that two commands want: one run at a time."""

from itertools import permutations

from tests.simulation.evidence import Broken
from tests.simulation.history import AnswerContent, Evidence


def check_holding(evidence: Evidence) -> None:
    """
    Raise Broken where two commands have one job at once, or where the first one sends after the second took its job.

    Only a command that was held up, or one whose clock moved, may lose its job. A ledger that was lost in between does
    not know who had the job.
    """
    clock_moves = any(reported.step.clock_step for reported in evidence.reported)
    for (number, first), (_, second) in permutations(enumerate(evidence.reported, 1), 2):
        if not _takes_the_job_of(evidence, second, first):
            continue
        if first.step.frozen_after is None and not clock_moves:
            raise Broken(f"{second.run_id} took the job of live command {number} at {second.holds_since}")
        sent = [entry.sent_at for entry in evidence.journal.entries if entry.process == number]
        if sent and max(sent) > second.holds_since:
            raise Broken(f"command {number} sent at {max(sent)}, and had lost its job at {second.holds_since}")


def _takes_the_job_of(evidence: Evidence, second: AnswerContent, first: AnswerContent) -> bool:
    # At one moment either may have come first.
    if first.step.job != second.step.job or not first.holds_since < second.holds_since < first.ended_at:
        return False
    return not any(first.holds_since <= loss.at <= second.holds_since for loss in evidence.losses)
