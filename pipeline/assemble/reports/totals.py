"""The totals of agreements: the ledger's numbers, and its invalid rows as the config maps them."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache

from pipeline.assemble.parts.opening import mapping_rules
from pipeline.language import counted, later, t
from pipeline.ledger.history.totals import ReadRow, Wanted
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import Phase
from pipeline.map import read_agreements
from pipeline.model import Api, Status
from pipeline.settings import Config
from pipeline.tables.agreement_totals import StatusTotals

_ROWS = {
    Status.SUCCEEDED: later(
        "{rows} confirmed before this version of backfill kept agreements and amounts; read them from "
        "the reports of those nights"
    ),
    Status.INVALID: later("{rows} invalid and without a readable agreement_no; fix them in rows_to_fix.csv"),
}
_OTHER_ROWS = later(
    "{rows} {status}, of a run that was pruned before this version of backfill kept agreements and amounts"
)


def row_reader(config: Config) -> ReadRow:
    """Return the function that reads agreement and day of an invalid row, as its job maps rows now."""

    @cache
    def reader(job: str, columns: tuple[str, ...]) -> Callable[[Sequence[str | None]], tuple[str | None, int | None]]:
        known = config.jobs.get(job)
        if known is None or known.api is not Api.CUMULATION:
            return lambda _cells: (None, None)
        return read_agreements(mapping_rules(known, None), columns)

    return lambda job, columns, cells: reader(job, columns)(cells)


def no_agreement(_job: str, _columns: tuple[str, ...], _cells: tuple[str | None, ...]) -> tuple[None, None]:
    """Read nothing of an invalid row."""
    return None, None


class Totals:
    """
    The totals that are asked for, read once.

    `notes` are sentences on what they lack; complete when the last one was read.
    """

    def __init__(self, config: Config, ledger: Ledger, wanted: Wanted) -> None:
        self._totals = ledger.totals(wanted, row_reader(config))
        self.notes = [*_lost(ledger), *_unsent_runs(ledger, wanted)]

    def __iter__(self) -> Iterator[StatusTotals]:
        for totals in self._totals:
            if totals.agreement is None:
                self._note(totals)
            else:
                yield totals

    def _note(self, totals: StatusTotals) -> None:
        count = totals.forward.reports + totals.reverse.reports
        rows = counted(count, "1 report is", "{count:,} reports are")
        missing = t(_ROWS.get(totals.status, _OTHER_ROWS), rows=rows, status=totals.status)
        self.notes.append(
            t("account {account}: missing in these totals: {missing}", account=totals.account, missing=missing)
        )


def _lost(ledger: Ledger) -> Iterator[str]:
    resynced_at = ledger.resynced_at()
    if resynced_at is not None:
        yield (
            t(
                "the ledger was lost and resynced at {resynced_at}: reports that it does not know are missing in "
                "these totals; run the exports from before again, the platform counts each row once",
                resynced_at=resynced_at,
            )
        )


def _unsent_runs(ledger: Ledger, wanted: Wanted) -> Iterator[str]:
    """Yield a sentence for each run with orders or tasks that sent nothing, if it is the newest of its job."""
    newest = {run.job: run for run in reversed(ledger.recent())}
    for run in newest.values():
        is_wanted = run.api is Api.CUMULATION and wanted.account in (None, run.account)
        if is_wanted and run.phase is Phase.STAGING:
            yield t(
                "the rows of run {run_id} are missing in these totals: it sent nothing; run job {job} again",
                run_id=run.run_id,
                job=run.job,
            )
