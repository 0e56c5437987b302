"""The entry point: dispatch, exit codes, and errors as sentences on stderr."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from typing import cast

from pipeline.cli.interrupts import interruptible_command
from pipeline.cli.parser import build_parser
from pipeline.cli.terminal.streams import output_streams
from pipeline.engines.garbage import collect_rarely
from pipeline.errors import PipelineError, SettingsError, exit_code_of_error
from pipeline.language import Language, language_of, t, texts_in
from pipeline.redact import visible

# Exit codes.
PROGRAM_FAULT, INTERRUPTED = 1, 5

Command = Callable[[argparse.Namespace], int]

# The module in `pipeline.cli` that has the function of each command.
_MODULES = {
    **dict.fromkeys(("run", "rerun", "resume"), "run"),
    **dict.fromkeys(("runs", "show", "report"), "past_runs.history"),
    "completion": "usage.completion",
    "worker": "worker.worker",
    **{name: name for name in ("check", "init", "ledger", "plan", "prune", "reconcile", "simulate", "totals")},
}


def main(
    argv: Sequence[str] | None = None,
    find: Callable[[str], Command] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """
    Run the command; return its exit code.

    `find` returns the function of a command: `find_command` by default. `environ` names the language of the user.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    with output_streams() as out, texts_in(_language(words, environ)):
        args = _parse(words)
        exit_code = _execute(args, find or find_command)
        out.flush()
        return exit_code if out.loss is None else _report_lost_output(args, exit_code, out.loss)


def _language(words: Sequence[str], environ: Mapping[str, str]) -> Language:
    """Return the language of --lang, else of LANG. The parser needs it before it reads the words, for its own texts."""
    for word, following in reversed([*pairwise([*words, ""])]):
        option, _, value = word.partition("=")
        if option == "--lang" and (named := value or following) in tuple(Language):
            return Language(named)
    return language_of(environ)


def _parse(words: list[str]) -> argparse.Namespace:
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:
        # A shell asks for a completion, and gets it instead of a command.
        from pipeline.cli.usage.completion import complete  # noqa: PLC0415 - imported on use, as the commands

        complete(parser)
    args, rest = parser.parse_known_args(words)
    if rest and args.command != "simulate":
        parser.refuse(args.command, rest)
    args.rest = rest
    return args


def _execute(args: argparse.Namespace, find: Callable[[str], Command]) -> int:
    collect_rarely()
    try:
        with interruptible_command():
            return find(args.command)(args)
    except PipelineError as exc:
        return _print_errors(
            args, exit_code_of_error(exc), exc.faults if isinstance(exc, SettingsError) else [str(exc)]
        )
    except KeyboardInterrupt:
        # After a run has begun, signals drain it instead.
        return _print_errors(args, INTERRUPTED, [t("interrupted; nothing was sent")])
    except Exception as exc:  # noqa: BLE001 - any other error, reported without values, which may be secrets
        return _print_errors(args, PROGRAM_FAULT, _internal_error(exc))


def _report_lost_output(args: argparse.Namespace, exit_code: int, cause: str) -> int:
    """Report that stdout is incomplete. The exit code changes only for commands that do nothing but print."""
    error = t("the output is incomplete: {cause}", cause=cause)
    if args.command in ("plan", "runs", "show", "totals"):
        return _print_errors(args, PROGRAM_FAULT, [t("{error}; free space, then run the command again", error=error)])
    advice = t("the work and its report are complete; `backfill show` prints the summary again")
    return _print_errors(args, exit_code, [f"{error}; {advice}"])


def find_command(name: str) -> Command:
    """Return the function of a command. Its module is imported now: `--help` and `runs` do not need that of `run`."""
    module = import_module(f"pipeline.cli.{_MODULES[name]}")
    return cast("Command", getattr(module, name))


def _print_errors(args: argparse.Namespace, exit_code: int, lines: Sequence[str]) -> int:
    if vars(args).get("log_format") == "json":
        # The command has set up its logs already.
        from pipeline.cli.terminal.logs import log  # noqa: PLC0415 - imported on use, as the commands

        for line in lines:
            log.error("%s", line, extra={"event": "error"})
        return exit_code
    for line in lines:
        sys.stderr.write(f"backfill: {visible(line)}\n")
    return exit_code


def _internal_error(exc: Exception) -> list[str]:
    frames = traceback.extract_tb(exc.__traceback__)
    where = [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames[-8:]]
    return [
        t(
            "internal error ({name}). The ledger has all deliveries: continue with `backfill resume last`. "
            "Please report this error with these lines:",
            name=type(exc).__name__,
        ),
        *where,
    ]


if __name__ == "__main__":
    sys.exit(main())
