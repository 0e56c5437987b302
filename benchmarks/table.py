"""The page of figures: tables in Markdown, and the machine."""

import os
import platform
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """One table: title, explanation, cells, and the command that made it."""

    title: str
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    origin: str = ""

    def markdown(self) -> str:
        """Return the table in Markdown, with its origin if known."""
        lines = (self.columns, ("---",) + ("---:",) * (len(self.columns) - 1), *self.rows)
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        words = (self.text, self.origin, table) if self.origin else (self.text, table)
        return f"## {self.title}\n\n" + "\n\n".join(words) + "\n"


_HEAD = """\
# Performance

Made by `make bench`, or table by table by the command in each table. Changes by hand are lost.

- Figures are medians of several measurements, with the least and the greatest in brackets. The candidates of a table
  were measured in turn.
- CPU time is user and kernel time of the process and its children. Where other programs keep all cores busy, it is up
  to twice that of a quiet machine; wall time is many times as long. Tables with other programs' cores were measured on
  such a machine: compare their lines with one another.
- Memory is the peak of the largest process.
- The cost of a row is the difference between all rows and a tenth of them, without the start of Python.
- "Script" is a simple script (`benchmarks/peers/threads.py`): it reads, maps, signs, sends, retries and writes
  outcomes, and promises nothing after a crash.
- "Limit" is one indispensable step alone.
"""
# The heading of each table of a page.
_TITLE = re.compile(r"^## (.+)$", re.MULTILINE)


def page(tables: Sequence[Table], before: str = "") -> str:
    """Return the page with these tables; each replaces the table of its title in `before`, or comes last."""
    starts = [(found[1], found.start()) for found in _TITLE.finditer(before)]
    ends = [*(start for _, start in starts), len(before)][1:]
    sections = {title: before[start:end].rstrip() + "\n" for (title, start), end in zip(starts, ends, strict=True)}
    sections |= {table.title: table.markdown() for table in tables}
    return "\n".join([_HEAD, *sections.values()])


def machine() -> str:
    """Return the properties of the machine that matter for the figures, without its name."""
    cores = len(os.sched_getaffinity(0))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{platform.machine()}, {cores} cores; {python}; {ssl.OPENSSL_VERSION}; Linux {_kernel()}"


def _kernel() -> str:
    # The part after the number may name a provider.
    return ".".join(platform.release().split("-")[0].split(".")[:2])
