"""
A flame graph of a command, made by py-spy, which must be installed.

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
    """Record one command, with threads and C functions; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flame")
    parser.add_argument("command", choices=("run", "plan"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--transport", choices=("requests", "curl"), default="requests")
    args = parser.parse_args()
    recorder = shutil.which("py-spy")
    if recorder is None:
        parser.error("py-spy is not installed; install it with `pip install py-spy`")
    with scene() as here:
        workspace = here.workspace("flame", f'transport = "{args.transport}"')
        orders = here.export("orders.csv", "orders", args.rows)
        record = [recorder, "record", "--native", "--subprocesses", "--output", str(args.file.absolute()), "--"]
        command = [*record, *python("-m", "pipeline", args.command, "orders", str(orders))]
        return subprocess.run(command, cwd=workspace.folder, env=environ(), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
