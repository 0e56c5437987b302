"""What was measured, as a page: tables in Markdown, and the machine they are of."""

import os
import platform
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

    def markdown(self) -> str:
        """Return it in Markdown."""
        lines = (self.columns, ("---",) + ("---:",) * (len(self.columns) - 1), *self.rows)
        return f"## {self.title}\n\n{self.text}\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


_HEAD = """\
# Performance

Made by `{command}`; any change by hand is lost with the next call.

{machine}.

Figures are the middle of {runs} measurements, or of as many as a table tells, in brackets the least and the greatest;
those of one table were made in turn. CPU time is what the system accounts for user and kernel in the process itself
and those it started: it hardly depends on what else the machine does, wall time does. Memory is the peak of the
largest process. What a row costs is the difference between all rows and a tenth of them, so that the start of Python
is not in it; the start has a table of its own. "Script" is what a good engineer writes in an afternoon
(`benchmarks/peers/threads.py`): it reads, maps, signs, sends, retries and writes outcomes, and promises nothing after
a crash. "Limit" is the one thing that can't be left out, alone.
"""


def page(tables: Sequence[Table], *, command: str, runs: int) -> str:
    """Return the whole page."""
    head = _HEAD.format(command=command, machine=machine(), runs=runs)
    return "\n".join([head, *(table.markdown() for table in tables)])


def machine() -> str:
    """Return what the figures depend on; nothing that names the machine."""
    cores = len(os.sched_getaffinity(0))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"Machine: {platform.machine()}, {cores} cores; {python}; {ssl.OPENSSL_VERSION}; Linux {_kernel()}"


def _kernel() -> str:
    # What follows the number may name a provider.
    return ".".join(platform.release().split("-")[0].split(".")[:2])
