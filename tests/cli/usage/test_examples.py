"""Examples in the help of commands."""

import shlex

import pytest

from pipeline.cli.parser import build_parser
from pipeline.cli.usage.examples import EXAMPLES


def test_each_command_has_examples() -> None:
    """No command is without an example, and no example without a command."""
    assert set(EXAMPLES) == set(build_parser().commands)


@pytest.mark.parametrize("command", EXAMPLES)
def test_the_examples_of_a_command_are_right(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of a command ends with its examples, a line each, and its arguments have these."""
    parser = build_parser()
    lines = build_parser().commands[command].format_help().splitlines()
    parsed = [parser.parse_known_args(shlex.split(example)) for example in EXAMPLES[command]]

    assert lines[-len(parsed) - 1 :] == ["Examples:", *(f"  backfill {example}" for example in EXAMPLES[command])]
    assert [args.command for args, _ in parsed] == [command] * len(parsed)
    assert all(not rest or command == "simulate" for _, rest in parsed)


@pytest.mark.parametrize("command", ["rerun", "resume", "reconcile", "show", "report"])
def test_help_explains_run(command: str) -> None:
    """The help of a command that takes a run says what RUN may be."""
    said = " ".join(build_parser().commands[command].format_help().split())

    assert "RUN a run id, a unique prefix of one, or `last`: the last run that did something" in said
