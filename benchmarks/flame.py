"""
Where the time of a command goes: a flame graph of it, made by py-spy, which has to be installed for that.

    python -m benchmarks.flame run|plan FILE.svg [--rows N] [--transport curl]
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import environ, python
from benchmarks.scene import scene


def main() -> int:
    """Record one command, threads and functions written in C included; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame")
    parser.add_argument("command", choices=("run", "plan"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--transport", choices=("requests", "curl"), default="requests")
    args = parser.parse_args()
    recorder = shutil.which("py-spy")
    if recorder is None:
        parser.error("py-spy is not installed; `pip install py-spy` gets it")
    with scene() as here:
        night = here.night("flame", f'transport = "{args.transport}"')
        orders = here.export("orders.csv", "orders", args.rows)
        record = [recorder, "record", "--native", "--subprocesses", "--output", str(args.file.absolute()), "--"]
        command = [*record, *python("-m", "pipeline", args.command, "orders", str(orders))]
        return subprocess.run(command, cwd=night.folder, env=environ(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
