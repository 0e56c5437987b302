"""`backfill simulate`."""

import argparse

from pipeline.cli.argument_parser import Parser
from pipeline.simulator import command


def simulate(args: argparse.Namespace) -> int:
    """Serve the four APIs on this machine until stopped."""
    parser = Parser(prog="backfill simulate")
    command.add_arguments(parser)
    return command.run(parser.parse_args(args.rest))
