"""Examples of each command, for its help."""

from collections.abc import Mapping, Sequence

from pipeline.language import t

EXAMPLES: Mapping[str, Sequence[str]] = {
    "run": (
        "run orders",
        "run orders --date 2025-11-20 --until 06:30 --max-failures 5%",
        "run orders rows_to_fix.csv",
        "run orders --limit 10 --json --no-progress",
    ),
    "plan": ("plan orders", "plan orders --until 06:30", "plan orders exports/new.csv --show-ids"),
    "rerun": (
        "rerun last",
        "rerun 01KX7 --only unknown --code timeout,connection_lost",
        "rerun last --new-keys",
    ),
    "resume": ("resume last", "resume last --until 06:30"),
    "reconcile": ("reconcile last", "reconcile last --agreement-status"),
    "runs": ("runs", "runs --limit 5 --json"),
    "show": ("show last", "show 01KX7 --json"),
    "report": ("report last", "report last --output night.parquet", "report 01KX7 --format html --output night.html"),
    "totals": (
        "totals --from 2025-11-01 --to 2025-11-30 --output november.csv",
        "totals --agreement 20255108518085000001 --show-ids",
    ),
    "prune": ("prune", "prune --keep 30", "prune --keep 30 --deliveries-older-than 400"),
    "ledger": ("ledger copy sqlite:///state/backfill.db postgresql://etl@db.example/backfill",),
    "check": ("check", "check orders --date 2025-11-20", "check --online --json"),
    "worker": ("worker", "worker --jobs orders,points --health-file alive", "worker --once"),
    "init": ("init shop",),
    "simulate": ("simulate", "simulate --port 0 --keys shop --faults faults.toml"),
    "completion": ("completion bash",),
}
"""Command lines by command, without the program's name."""


def examples_of(command: str) -> str:
    """Return the examples of a command as the end of its help."""
    return "\n".join([t("Examples:"), *(f"  backfill {example}" for example in EXAMPLES[command])])
