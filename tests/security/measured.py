"""The real command in a process of its own, with its peak memory."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
# VmHWM is the peak of this process alone; getrusage includes the process that started it.
_LAUNCHER = """
import sys
from pathlib import Path
from pipeline.cli.main import main

place, *words = sys.argv[1:]
exit_code = main(words)
(peak,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
Path(place).write_text(peak)
sys.exit(exit_code)
"""


@dataclass(frozen=True)
class Measured:
    """Exit code and output of a command, and its peak memory in MB."""

    exit_code: int
    stdout: str
    stderr: str
    peak_mb: int


def measured(folder: Path, *words: str, environ: Mapping[str, str] | None = None) -> Measured:
    """Run the command in a folder for at most a minute, and measure it."""
    place = folder.parent / f"{folder.name}.peak"
    ended = subprocess.run(
        [sys.executable, "-B", "-c", _LAUNCHER, str(place), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(environ or {})},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return Measured(ended.returncode, ended.stdout, ended.stderr, int(place.read_text()) // 1024)
