"""Planning: reading, mapping and staging, and what others do of it."""

from functools import partial

from benchmarks.contest import Contestant, contest
from benchmarks.measure import CHECKOUT, Cost, Pace, Unavailable, cost_of, pace_of, python
from benchmarks.scene import Scene
from benchmarks.table import Table

_TEXT = """\
`backfill plan` over {rows:,} orders: every row is read, mapped, validated, held against the ledger and the other
rows, and waits with its body in a spool file until all are read. The ledger itself is only read. The script reads, maps
and encodes, and keeps nothing.
Aim: 150,000 rows/s, memory under 300 MiB however many rows, rows with errors no slower."""
_SCRIPT = "script, dry run, CSV"
_LIMIT = "limit: pyarrow reads the CSV"

# What is in the export, and how its file ends.
_SHAPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "CSV": ("csv", ()),
    "Parquet": ("parquet", ()),
    "CSV, 10 % of the rows in error": ("csv", ("--errors", "0.1")),
    "CSV, discounts as JSON in a cell": ("csv", ("--json-discounts",)),
}


def measure(scene: Scene, *, rows: int, runs: int) -> Table:
    """Return what each way of planning costs."""
    contestants = [
        Contestant(_LIMIT, partial(_reading, scene, "CSV", rows)),
        Contestant("limit: pyarrow reads the Parquet", partial(_reading, scene, "Parquet", rows)),
        *(Contestant(f"backfill, {shape}", partial(pace_of, partial(_plan, scene, shape), rows)) for shape in _SHAPES),
        Contestant(_SCRIPT, partial(pace_of, partial(_dry_run, scene), rows)),
    ]
    for shape in _SHAPES:
        for count in (rows // 10, rows):
            _export(scene, shape, count)
    entries = contest(contestants, runs)
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
    cost, counts = scene.night("plan").summary("plan", "orders", _export(scene, shape, rows))
    if sum(counts.values()) != rows:
        raise Unavailable(f"{sum(counts.values())} rows were planned, of {rows}")
    return cost


def _reading(scene: Scene, shape: str, rows: int) -> Pace:
    """Read all rows ten times over: once takes too little time to be told from the start of Python."""
    command = python("-m", "benchmarks.limits", "read", _export(scene, shape, rows))
    return pace_of(lambda times: cost_of([*command, str(times)], folder=scene.folder), 10).shared_by(rows)


def _dry_run(scene: Scene, rows: int) -> Cost:
    outcomes = str(scene.night("peer").folder / "outcomes.csv")
    words = (scene.url, str(scene.keys), _export(scene, "CSV", rows), outcomes, "--dry-run")
    return cost_of(python("-m", "benchmarks.peers.threads", *words), folder=CHECKOUT)
