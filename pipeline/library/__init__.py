"""
The Python API: the commands as functions, for notebooks and programs. `import backfill` is the same.

    import backfill

    result = backfill.run("backfill.toml", "orders", frame)
    left = result.outcome().query("status not in ['succeeded', 'skipped']")

Read in this order:

- `execution`: `run`, `resume`, `rerun`; `planning`: `plan`; `history`: `runs`, `outcome`
- `results`: what they return, with `html` for notebooks
- `arguments`: checks of arguments; `tables`: DataFrames and Arrow tables as inputs
- `progress`: progress callback and `cancel`; `interrupts`: SIGINT; `session`: config and ledger of a call

Imports `assemble` and all rooms below it; nothing imports `library` but its alias, `backfill`.
"""

from pipeline.errors import LedgerBehind, LedgerError, PipelineError, RunHeld, SettingsError, SourceError
from pipeline.library.execution import rerun, resume, run
from pipeline.library.history import outcome, runs
from pipeline.library.interrupts import RunInterrupted
from pipeline.library.planning import plan
from pipeline.library.progress import RunProgress
from pipeline.library.results import PastRun, PastRuns, PlanResult, RunResult

__all__ = [
    "LedgerBehind",
    "LedgerError",
    "PastRun",
    "PastRuns",
    "PipelineError",
    "PlanResult",
    "RunHeld",
    "RunInterrupted",
    "RunProgress",
    "RunResult",
    "SettingsError",
    "SourceError",
    "outcome",
    "plan",
    "rerun",
    "resume",
    "run",
    "runs",
]
