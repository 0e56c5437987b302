"""The promise about prunes: no run is deleted while a rerun of it would send something."""

from collections.abc import Mapping

from pipeline.model import Export
from tests.simulation.evidence import Broken, Line, reports, row_of
from tests.simulation.history import Evidence

_LEFT = ("unknown", "blocked", "unsent")


def check_prunes(evidence: Evidence) -> None:
    """
    Raise Broken if a run was pruned whose last report has orders left that no answer has settled.

    Balances and states may have been overtaken by newer ones, fixed rows by another fix, and a lost ledger has other
    runs than the reports.
    """
    if evidence.scenario.export is not Export.ORDERS or evidence.scenario.fixes or evidence.losses:
        return
    for result in evidence.results:
        for run_id in result.pruned:
            for line in _last_report(evidence, run_id, result.began_at):
                if line["status"] in _LEFT and not _is_settled(evidence, row_of(evidence, line), result.ended_at):
                    raise Broken(f"{run_id} was pruned, and its row {line['source_row']} is {line['status']}")


def _last_report(evidence: Evidence, run_id: str, before: float) -> list[Line]:
    """Return the outcomes of a run as they were reported last before a moment."""
    found = [lines for result, lines in reports(evidence) if result.run_id == run_id and result.ended_at <= before]
    return found[-1] if found else []


def _is_settled(evidence: Evidence, row: Mapping[str, str], before: float) -> bool:
    """Return whether the platform accepted or refused the key of a row, and its answer arrived."""
    return any(
        entry.decided in ("accepted", "refused", "conflict")
        and entry.answered_at is not None
        and entry.answered_at <= before
        for entry in evidence.journal.entries
        if entry.identity == row["out_biz_no"]
    )
