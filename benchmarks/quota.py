"""The quota: how many of the permits are used, and how many requests a strict server refuses."""

import re

from benchmarks.measure import CHECKOUT, Unavailable, cost_of, python
from benchmarks.table import Table

_TEXT = """\
Five requests a second, answers that take 20 to 120 ms, 8 threads; the server counts by a window of one second that
slides. Aim: 98 % of the permits, 97 % over three processes, none refused."""
_LINE = re.compile(r"(?P<who>.+): (?P<share>\S+%) of the permits \((?P<spread>.+)\), (?P<refused>[0-9]+) refused .*")


def measure(*, seconds: int, runs: int) -> Table:
    """Return what each way to keep within the quota makes of it."""
    columns = ("who", "permits used", "refused")
    try:
        words = ("-m", "benchmarks.points", "--seconds", str(seconds), "--times", str(runs))
        told = cost_of(python(*words), folder=CHECKOUT).stdout
    except Unavailable as exc:
        return Table("Quota", _TEXT, columns, (("backfill", str(exc), ""),))
    return Table("Quota", _TEXT, columns, shares(told))


def shares(told: str) -> tuple[tuple[str, str, str], ...]:
    """Return what `benchmarks.points` printed as cells: who, the share of permits, how many were refused."""
    found = filter(None, map(_LINE.fullmatch, told.splitlines()))
    return tuple((line["who"], f"{line['share']} ({line['spread']})", line["refused"]) for line in found)
