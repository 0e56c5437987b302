"""The progress of a run on a terminal: lines at its end that are redrawn. Log lines appear above them."""

from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.cli.terminal.snapshot import (
    Snapshot,
    amount_text,
    count_texts,
    pause_texts,
    phase_text,
    speed_texts,
)
from pipeline.redact import visible

# Cells of the terminal.
_WIDEST_NAME = 24
# A terminal that is made narrower breaks wider lines in two, and the next drawing would leave a half behind.
_WIDEST = 79
_STYLES = {
    "succeeded": "green", "skipped": "cyan", "invalid": "red", "rejected": "red", "unknown": "yellow",
    "blocked": "yellow", "unsent": "yellow",
}  # fmt: skip


def display_of(now: Snapshot) -> RenderableType:
    """Return the progress as lines: how far the run is, its rows by status, its speed, and the cause of a pause."""
    lines: list[RenderableType] = [_first_line(now)]
    counts = [Text(text, style=_STYLES[text.rpartition(" ")[2]]) for text in count_texts(now)]
    speeds = [Text(text) for text in speed_texts(now)]
    lines += [_items(texts) for texts in (counts, speeds) if texts]
    lines += [_indented(Text(visible(text), style="yellow")) for text in pause_texts(now)]
    return Constrain(Group(*lines), _WIDEST)


def _first_line(now: Snapshot) -> Table:
    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(no_wrap=True, max_width=_WIDEST_NAME, overflow="ellipsis", style="bold")
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True, justify="right")
    share = "" if now.share is None else f"{now.share:.0%}"
    bar = "" if now.share is None else ProgressBar(total=1.0, completed=now.share)
    amount = " ".join(filter(None, (share, amount_text(now))))
    line.add_row(Text(visible(now.job)), Text(phase_text(now.phase)), bar, Text(amount))
    return line


def _items(texts: Sequence[Text]) -> RenderableType:
    """Return texts side by side, as many in a line as have space."""
    return _indented(Columns(texts, padding=(0, 2)))


def _indented(content: RenderableType) -> RenderableType:
    return Padding(content, (0, 0, 0, 2), expand=False)


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002 - the signature is that of rich
        """Leave the cursor as it is: a process that is killed could not show it again."""
        return False


class Display:
    """
    The terminal's last lines. Log lines that are written to sys.stderr meanwhile appear above them.

    It has no thread of its own; `end` removes the lines.
    """

    every = 0.2
    redraws = True

    def __init__(self, stream: TextIO, environ: Mapping[str, str]) -> None:
        console = _Console(file=stream, force_terminal=True, no_color=bool(environ.get("NO_COLOR")), highlight=False)
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)

    def show(self, now: Snapshot) -> None:
        """Draw the progress, in place of the one before."""
        if not self._live.is_started:
            self._live.start()
        self._live.update(display_of(now), refresh=True)

    def end(self) -> None:
        """Remove the lines, so that the next output begins at their place."""
        self._live.stop()
