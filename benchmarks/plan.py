"""Planning: reading, mapping and staging, compared with a script."""

from functools import partial

from benchmarks.comparison import Candidate, compare
from benchmarks.measure import CHECKOUT, Cost, Pace, Unavailable, cost_of, pace_of, python
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = """\
`backfill plan` over {rows:,} orders: every row is read, mapped, validated, compared with the ledger and the other rows,
and written with its body to a spill file until all rows are read. The ledger is only read. The script reads, maps and
encodes, and stores nothing.
Aim: 150,000 rows/s, memory under 300 MiB for any number of rows, rows with errors no slower."""
_SCRIPT = "script, dry run, CSV"
_LIMIT = "limit: pyarrow reads the CSV"

# Suffix and options of each export.
_SHAPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "CSV": ("csv", ()),
    "Parquet": ("parquet", ()),
    "CSV, 10 % of the rows in error": ("csv", ("--errors", "0.1")),
    "CSV, discounts as JSON in a cell": ("csv", ("--json-discounts",)),
}


def measure(scene: Scene, *, rows: int, runs: int) -> Table:
    """Return the cost of planning for each candidate."""
    candidates = [
        Candidate(_LIMIT, partial(_reading, scene, "CSV", rows)),
        Candidate("limit: pyarrow reads the Parquet", partial(_reading, scene, "Parquet", rows)),
        *(Candidate(f"backfill, {shape}", partial(pace_of, partial(_plan, scene, shape), rows)) for shape in _SHAPES),
        Candidate(_SCRIPT, partial(pace_of, partial(_dry_run, scene), rows)),
    ]
    for shape in _SHAPES:
        for count in (rows // 10, rows):
            _export(scene, shape, count)
    entries = compare(candidates, runs)
    named = {entry.name: entry for entry in entries}
    lines = (
        (
            *entry.cells(
                lambda pace: pace.per_second,
                _cpu_us,
                lambda pace: pace.peak_mib,
                lambda pace: pace.peak_mib_of_a_tenth,
            ),
            entry.times(named[_SCRIPT], _cpu_us),
            entry.times(named[_LIMIT], _cpu_us),
        )
        for entry in entries
    )
    columns = (
        "what", "rows/s", "CPU µs a row", "peak MiB", "with a tenth of the rows", "times the script's CPU",
        "times pyarrow's",
    )  # fmt: skip
    return Table("Plan", _TEXT.format(rows=rows), columns, tuple(lines))


def _cpu_us(pace: Pace) -> float:
    return pace.cpu_seconds * 1_000_000


def _export(scene: Scene, shape: str, rows: int) -> str:
    suffix, options = _SHAPES[shape]
    return str(scene.export(f"orders-{'-'.join((*options, str(rows)))}.{suffix}", "orders", rows, *options))


def _plan(scene: Scene, shape: str, rows: int) -> Cost:
    cost, counts = scene.workspace("plan").summary("plan", "orders", _export(scene, shape, rows))
    if sum(counts.values()) != rows:
        raise Unavailable(f"{sum(counts.values())} rows were planned, of {rows}")
    return cost


def _reading(scene: Scene, shape: str, rows: int) -> Pace:
    """Read all rows 10 times, because once takes too little time to measure."""
    command = python("-m", "benchmarks.limits", "read", _export(scene, shape, rows))
    return pace_of(lambda times: cost_of([*command, str(times)], folder=scene.folder), 10).shared_by(rows)


def _dry_run(scene: Scene, rows: int) -> Cost:
    outcomes = str(scene.workspace("peer").folder / "outcomes.csv")
    words = (scene.url, str(scene.keys), _export(scene, "CSV", rows), outcomes, "--dry-run")
    return cost_of(python("-m", "benchmarks.peers.threads", *words), folder=CHECKOUT)
