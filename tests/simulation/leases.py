"""The promise about jobs: one run of a job at a time."""

from itertools import permutations

from tests.simulation.evidence import Broken
from tests.simulation.history import CommandResult, Evidence


def check_leases(evidence: Evidence) -> None:
    """
    Raise Broken if two commands have one job at once, or if a command sends after it lost its job.

    Only a command that was held up, or whose clock moved, may lose its job. A ledger that was lost meanwhile does not
    know who had the job.
    """
    clock_moves = any(result.step.clock_step for result in evidence.results)
    for (number, first), (_, second) in permutations(enumerate(evidence.results, 1), 2):
        if not _takes_the_job_of(evidence, second, first):
            continue
        if first.step.frozen_after is None and not clock_moves:
            raise Broken(f"{second.run_id} took the job of live command {number} at {second.has_job_since}")
        sent = [entry.sent_at for entry in evidence.journal.entries if entry.process == number]
        if sent and max(sent) > second.has_job_since:
            raise Broken(f"command {number} sent at {max(sent)}, and had lost its job at {second.has_job_since}")


def _takes_the_job_of(evidence: Evidence, second: CommandResult, first: CommandResult) -> bool:
    # At the same time either may have come first.
    if first.step.job != second.step.job or not first.has_job_since < second.has_job_since < first.ended_at:
        return False
    return not any(first.has_job_since <= loss.at <= second.has_job_since for loss in evidence.losses)
