"""What was measured, as a page: tables in Markdown, and the machine they are of."""

import os
import platform
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """One table with a title, a word on how to read it, and its cells."""

    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    origin: str = ""

    def markdown(self) -> str:
        """Return it in Markdown, with what made it where that is known."""
        lines = (self.columns, ("---",) + ("---:",) * (len(self.columns) - 1), *self.rows)
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        words = (self.text, self.origin, table) if self.origin else (self.text, table)
        return f"## {self.title}\n\n" + "\n\n".join(words) + "\n"


_HEAD = """\
# Performance

Made by `make bench`, or table by table by what each of them tells; any change by hand is lost with the next call.

Figures are the middle of several measurements, in brackets the least and the greatest; those of one table were made in
turn. CPU time is what the system accounts for user and kernel in the process itself and those it started: it hardly
depends on what else the machine does, wall time does. Memory is the peak of the largest process. What a row costs is
the difference between all rows and a tenth of them, so that the start of Python is not in it; the start has a table of
its own. "Script" is what a good engineer writes in an afternoon (`benchmarks/peers/threads.py`): it reads, maps, signs,
sends, retries and writes outcomes, and promises nothing after a crash. "Limit" is the one thing that can't be left out,
alone.
"""
# How each table of a page begins.
_TITLE = re.compile(r"^## (.+)$", re.MULTILINE)


def page(tables: Sequence[Table], before: str = "") -> str:
    """Return the page with these tables, each in the place of the one of that title `before`, or behind all others."""
    starts = [(found[1], found.start()) for found in _TITLE.finditer(before)]
    ends = [*(start for _, start in starts), len(before)][1:]
    sections = {title: before[start:end].rstrip() + "\n" for (title, start), end in zip(starts, ends, strict=True)}
    sections |= {table.title: table.markdown() for table in tables}
    return "\n".join([_HEAD, *sections.values()])


def machine() -> str:
    """Return what the figures depend on; nothing that names the machine."""
    cores = len(os.sched_getaffinity(0))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{platform.machine()}, {cores} cores; {python}; {ssl.OPENSSL_VERSION}; Linux {_kernel()}"


def _kernel() -> str:
    # What follows the number may name a provider.
    return ".".join(platform.release().split("-")[0].split(".")[:2])
