"""`backfill init`."""

import argparse

from pipeline.cli.terminal.summary import print_line
from pipeline.starter import write_starter


def init(args: argparse.Namespace) -> int:
    """Write a config, test keys and sample exports into a folder; print the next steps."""
    for path in write_starter(args.folder):
        print_line(f"wrote {path}")
    print_line(f"next: read {args.folder / 'README.md'}; start `backfill simulate` in a second terminal, then")
    print_line(f"  cd {args.folder}")
    print_line("  backfill check")
    print_line("  backfill plan orders")
    return 0
