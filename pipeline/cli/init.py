"""`backfill init`."""

import argparse

from pipeline.cli.terminal.summary import print_line
from pipeline.language import t
from pipeline.starter import write_starter


def init(args: argparse.Namespace) -> int:
    """Write a config, test keys and sample exports into a folder; print the next steps."""
    for path in write_starter(args.folder):
        print_line(t("wrote {path}", path=path))
    print_line(
        t("next: read {folder}; start `backfill simulate` in a second terminal, then", folder=args.folder / "README.md")
    )
    print_line(f"  cd {args.folder}")
    print_line("  backfill check")
    print_line("  backfill plan orders")
    return 0
