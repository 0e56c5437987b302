"""The chain of a run as a tree: the run that read an export, its reruns and fixes, and theirs."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from pipeline.language import counted, t
from pipeline.ledger.records import RunRecord
from pipeline.model import Status

_DONE = (Status.SUCCEEDED, Status.SKIPPED)


def tree_lines(
    family: Sequence[RunRecord],
    shown: RunRecord,
    counts_of: Callable[[RunRecord], Counter[Status]],
    short_id: Callable[[RunRecord], str],
) -> Iterator[str]:
    """
    Yield a line for each run of a family, the first run at the root; `shown` is marked.

    A run whose parent is not in the family stands below the root.
    """
    root, *others = family
    known = {run.run_id for run in family}

    def lines(run: RunRecord, lead: str, branch: str) -> Iterator[str]:
        marked = " *" if run.run_id == shown.run_id else ""
        yield f"{lead}{branch}{short_id(run)}  {_described(run, counts_of(run))}{marked}"
        below = [each for each in others if (each.parent if each.parent in known else root.run_id) == run.run_id]
        lead += {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
        for child in below:
            yield from lines(child, lead, "└─ " if child is below[-1] else "├─ ")

    return lines(root, "", "")


def _described(run: RunRecord, counts: Counter[Status]) -> str:
    left = counts.total() - sum(counts[status] for status in _DONE)
    kind = t("rerun") if run.is_rerun else t("fix") if run.parent else t("run")
    state = run.state or t("not ended")
    text = counted(
        counts.total(),
        "{kind} {state}: 1 row, {left:,} left",
        "{kind} {state}: {count:,} rows, {left:,} left",
        kind=kind, state=state, left=left,
    )  # fmt: skip
    resumed = run.options.get("resumed", 0)
    return text + (t(", resumes: {times}", times=resumed) if resumed else "")
