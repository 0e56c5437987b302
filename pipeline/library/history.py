"""`runs` and `outcome` of the library: past runs, without reading a key."""

import os
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Literal, overload

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.ledger.ledger import Ledger
from pipeline.ledger.records import RunRecord
from pipeline.library.arguments import check
from pipeline.library.results import PastRun, PastRuns
from pipeline.library.session import archive
from pipeline.report import outcome_frame, outcome_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def runs(
    config: str | os.PathLike[str] | None, *, limit: int | None = 20, environ: Mapping[str, str] | None = None
) -> PastRuns:
    """
    Return the newest runs, newest first: up to `limit`, or all.

    Raises TypeError or ValueError for a wrong argument, SettingsError or LedgerError for config and ledger.
    """
    check(config=config, limit=limit, environ=environ)
    with archive(config, environ) as (_, ledger):
        return PastRuns(
            ()
            if ledger is None
            else (_past_run(ledger, run) for run in ledger.recent(limit if limit is None else int(limit)))
        )


@overload
def outcome(
    config: str | os.PathLike[str] | None,
    run: str = "last",
    *,
    as_arrow: Literal[False] = False,
    environ: Mapping[str, str] | None = None,
) -> "pd.DataFrame": ...
@overload
def outcome(
    config: str | os.PathLike[str] | None,
    run: str = "last",
    *,
    as_arrow: Literal[True],
    environ: Mapping[str, str] | None = None,
) -> "pa.Table": ...
def outcome(
    config: str | os.PathLike[str] | None,
    run: str = "last",
    *,
    as_arrow: bool = False,
    environ: Mapping[str, str] | None = None,
) -> "pd.DataFrame | pa.Table":
    """
    Return the outcome of each row of a run, in source order, from the ledger: a DataFrame, or an Arrow table.

    `run` is a run id, a unique prefix of one, or `last`. Texts are `string`, whole numbers nullable, times UTC. Raises
    TypeError for a wrong argument, SettingsError for an unknown run, and LedgerError.
    """
    check(run=run, config=config, as_arrow=as_arrow, environ=environ)
    with archive(config, environ) as (opened, ledger):
        if ledger is None:
            raise SettingsError(
                [t("RUN {run!r}: ledger {ledger_path} has no runs yet", run=run, ledger_path=opened.ledger)]
            )
        record = ledger.find(run)
        frame = outcome_frame(record.run_id, record.job, ledger.outcome_pages(record))
    return outcome_table(frame) if as_arrow else frame


def _past_run(ledger: Ledger, run: RunRecord) -> PastRun:
    return PastRun(
        run_id=run.run_id,
        job=run.job,
        api=str(run.api),
        account=run.account,
        state=str(run.state) if run.state else ("running" if ledger.is_live(run) else "killed"),
        exit_code=run.exit_code,
        started_at=datetime.fromisoformat(run.started_at),
        finished_at=None if run.finished_at is None else datetime.fromisoformat(run.finished_at),
        elapsed_s=run.elapsed_s,
        parent=run.parent,
    )
