"""
Completion of the command line: commands, options and their values, jobs of the config, ids of runs.

`backfill completion SHELL` prints a script. With it, a shell runs `backfill` with `_ARGCOMPLETE` in the environment
each time a user asks for a completion.
"""

import argparse
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import argcomplete
from argcomplete.shell_integration import shellcode

from pipeline.cli.usage.guide import GuidingParser

_PROGRAM = "backfill"
_MOST_RUNS = 20
# Placeholders of arguments that are files or folders. Words for other placeholders are not guessed.
_PATHS = frozenset({"FILE", "DIR", "PATH", "INPUT"})

Completer = Callable[..., list[str]]


def completion(args: argparse.Namespace) -> int:
    """Print the script that a shell needs."""
    sys.stdout.write(shellcode([_PROGRAM], shell=args.shell))
    return 0


def complete(parser: GuidingParser) -> None:
    """Answer the shell, and end the process."""
    for command in parser.commands.values():
        for action in command._actions:  # noqa: SLF001 - argparse has no public name for them
            completer = _completer_of(action)
            if completer is not None:
                # argcomplete looks for this attribute.
                setattr(action, "completer", completer)  # noqa: B010 - argparse does not declare it
    argcomplete.autocomplete(parser, always_complete_options="long")


def _completer_of(action: argparse.Action) -> Completer | None:
    """Return what completes an argument; None for its choices, or for files."""
    if action.choices is not None or action.metavar in _PATHS:
        return None
    return {"JOB": jobs, "RUN": runs}.get(str(action.metavar), _nothing)


def jobs(*, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return the jobs of the config; none if it can't be read."""
    try:
        found = tomllib.loads(_config(parsed_args).read_text(encoding="utf-8")).get("jobs", {})
    except (OSError, ValueError):
        return []
    return list(found) if isinstance(found, dict) else []


def runs(*, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return `last`, and the ids of the newest runs with a report beside the config."""
    try:
        reports = sorted((path.name for path in (_config(parsed_args).parent / "reports").iterdir()), reverse=True)
    except OSError:
        reports = []
    return ["last", *reports[:_MOST_RUNS]]


def _config(args: argparse.Namespace) -> Path:
    return Path(vars(args).get("config") or os.environ.get("BACKFILL_CONFIG") or "backfill.toml")


def _nothing(**_: object) -> list[str]:
    return []
