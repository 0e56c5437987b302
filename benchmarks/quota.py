"""The quota: the used share of permits, and the requests that a strict server refuses."""

import re

from benchmarks.measure import CHECKOUT, Unavailable, cost_of, python
from benchmarks.table import Table

_TEXT = """\
5 requests per second, answers after 20 to 120 ms, 8 threads; the server counts in a sliding window of 1 s. Aim: 98 % of
the permits, 97 % over 3 processes, none refused."""
_LINE = re.compile(r"(?P<who>.+): (?P<share>\S+%) of the permits \((?P<spread>.+)\), (?P<refused>[0-9]+) refused .*")


def measure(*, seconds: int, runs: int) -> Table:
    """Return the share of permits that each sender uses."""
    columns = ("who", "permits used", "refused")
    try:
        words = ("-m", "benchmarks.points", "--seconds", str(seconds), "--times", str(runs))
        output = cost_of(python(*words), folder=CHECKOUT).stdout
    except Unavailable as exc:
        return Table("Quota", _TEXT, columns, (("backfill", str(exc), ""),))
    return Table("Quota", _TEXT, columns, shares(output))


def shares(output: str) -> tuple[tuple[str, str, str], ...]:
    """Return the output of `benchmarks.points` as cells: sender, share of permits, refused requests."""
    found = filter(None, map(_LINE.fullmatch, output.splitlines()))
    return tuple((line["who"], f"{line['share']} ({line['spread']})", line["refused"]) for line in found)
