"""`backfill simulate`."""

import argparse

from pipeline.cli.usage.examples import examples_of
from pipeline.cli.usage.guide import GuidingParser
from pipeline.simulator import command


def simulate(args: argparse.Namespace) -> int:
    """Serve the four APIs on this machine until stopped."""
    parser = GuidingParser(prog="backfill simulate", epilog=examples_of("simulate"))
    command.add_arguments(parser)
    return command.run(parser.parse_args(args.rest))
