"""The progress on a terminal, drawn on consoles of fixed width."""

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from pipeline.cli.terminal.display import Display, display_of
from pipeline.cli.terminal.snapshot import Snapshot
from pipeline.run.events import ProgressPhase
from tests.cli.terminal.snapshots import READING, SENDING

PAUSE = "waiting: the platform is not answering correctly, since 12:00:22 UTC, until 12:00:37 UTC"


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def drawn(now: Snapshot, width: int) -> list[str]:
    """Return the lines on a terminal without colours."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(display_of(now))
    return [line.rstrip() for line in captured.get().splitlines()]


def screen_after(output: str) -> list[str]:
    """Return the lines on a terminal after an output: text, line feeds, and the controls that rich draws with."""
    lines, row = [""], 0
    for text in re.split(r"(\r|\n|\x1b\[2K|\x1b\[1A)", output):
        match text:
            case "\r":
                pass
            case "\n":
                row += 1
                lines += [""] * (row == len(lines))
            case "\x1b[2K":
                lines[row] = ""
            case "\x1b[1A":
                row -= 1
            case _:
                lines[row] += text
    return lines


@pytest.mark.parametrize(
    ("now", "width", "lines"),
    [
        pytest.param(
            SENDING, 80,
            [
                "orders sending ━━━━━━━━━━━━━━━━━╸                          41% 12,006 of 29,025",
                "  12,000 succeeded  900 skipped  75 invalid  5 rejected  1 unknown",
                "  15.5 of 20 req/s (78%)  15 min left, until 20:14 CST  45 retries  3 throttled",
            ],
            id="80 columns",
        ),
        pytest.param(
            replace(SENDING, waiting_for=PAUSE, seconds_left=None), 200,
            [
                "orders sending ━━━━━━━━━━━━━━━━━╸                          41% 12,006 of 29,025",
                "  12,000 succeeded  900 skipped  75 invalid  5 rejected  1 unknown",
                "  15.5 of 20 req/s (78%)  45 retries  3 throttled",
                "  waiting: the platform is not answering correctly, since 12:00:22 UTC, until",
                "  12:00:37 UTC",
            ],
            id="200 columns, and a pause",
        ),
        pytest.param(
            replace(SENDING, job="每日订单导出任务", counts={}, rate=None, seconds_left=None, retries=0, throttled=0),
            50,
            [
                "每日订单导出任务 sending ━╸   41% 12,006 of 29,025",
                "  quota 20 req/s",
            ],
            id="50 columns, and wide characters",
        ),
        pytest.param(
            READING, 80,
            ["orders reading                                                 12,000 rows read"],
            id="reading",
        ),
        pytest.param(
            replace(SENDING, phase=ProgressPhase.WRITING, counts={}, seconds=3.0), 80,
            ["orders writing reports                                                  for 3 s"], id="writing reports",
        ),
    ],
)  # fmt: skip
def test_progress_fits_the_width(now: Snapshot, width: int, lines: list[str]) -> None:
    """Each part has its place at each width, also with characters of two cells."""
    assert drawn(now, width) == lines
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("width", [20, 40])
def test_a_narrow_terminal_gets_shortened_lines(width: int) -> None:
    """No line is longer than a narrow terminal."""
    assert max(map(cell_len, drawn(replace(SENDING, job="每日订单导出任务" * 5, waiting_for=PAUSE), width))) <= width


def test_the_end_leaves_log_lines_only(capsys: pytest.CaptureFixture[str]) -> None:
    """The lines are redrawn in place, and removed at the end. The cursor is never hidden."""
    stream = Terminal()
    display = Display(stream, {"NO_COLOR": "1"})
    stream.write("a line before\n")
    display.show(READING)
    display.show(SENDING)
    shown = screen_after(stream.getvalue())
    display.end()

    assert (shown[0], len(shown)) == ("a line before", 4)
    assert screen_after(stream.getvalue())[:2] == ["a line before", ""]
    assert set(screen_after(stream.getvalue())[1:]) == {""}
    assert "\x1b[?25l" not in stream.getvalue()


@pytest.mark.parametrize(("environ", "has_colours"), [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True)])
def test_no_color_is_obeyed(environ: dict[str, str], has_colours: bool) -> None:
    """With NO_COLOR, no colour is set; bold text stays."""
    stream = Terminal()
    display = Display(stream, {"TERM": "xterm-256color", **environ})
    display.show(SENDING)
    display.end()

    colours = re.findall(r"\x1b\[(?:[0-9;]*;)?3[0-7]m", stream.getvalue())
    assert bool(colours) == has_colours
