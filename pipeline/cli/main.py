"""The entry point: dispatch, exit codes, and errors as sentences on stderr."""

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

from pipeline.cli.parser import build_parser
from pipeline.cli.streams import output_streams
from pipeline.engines.garbage import collect_rarely
from pipeline.errors import LedgerError, PipelineError, RunHeld, SettingsError, SourceError
from pipeline.language import t
from pipeline.redact import visible

# Exit codes.
PROGRAM_FAULT, USER_FAULT, INTERRUPTED, JOB_IS_ACTIVE = 1, 2, 5, 6

Command = Callable[[argparse.Namespace], int]

# The module in `pipeline.cli` that has the function of each command.
_MODULES = {
    **dict.fromkeys(("run", "rerun", "resume"), "run"),
    **dict.fromkeys(("runs", "show", "report"), "history"),
    **{name: name for name in ("check", "init", "ledger", "plan", "prune", "reconcile", "simulate", "totals")},
}


def main(argv: Sequence[str] | None = None, find: Callable[[str], Command] | None = None) -> int:
    """Run the command; return its exit code. `find` returns the function of a command: `find_command` by default."""
    with output_streams() as out:
        args = _parse(sys.argv[1:] if argv is None else list(argv))
        exit_code = _execute(args, find or find_command)
        out.flush()
        return exit_code if out.loss is None else _report_lost_output(args, exit_code, out.loss)


def _parse(words: list[str]) -> argparse.Namespace:
    args, rest = build_parser().parse_known_args(words)
    if rest and args.command != "simulate":
        build_parser().parse_args(words)
    args.rest = rest
    return args


def _execute(args: argparse.Namespace, find: Callable[[str], Command]) -> int:
    collect_rarely()
    try:
        return find(args.command)(args)
    except PipelineError as exc:
        return _print_errors(args, _exit_code(exc), exc.faults if isinstance(exc, SettingsError) else [str(exc)])
    except KeyboardInterrupt:
        # After a run has begun, signals drain it instead.
        return _print_errors(args, INTERRUPTED, [t("interrupted; nothing was sent")])
    except Exception as exc:  # noqa: BLE001 - any other error, reported without values, which may be secrets
        return _print_errors(args, PROGRAM_FAULT, _internal_error(exc))


def _report_lost_output(args: argparse.Namespace, exit_code: int, cause: str) -> int:
    """Report that stdout is incomplete. The exit code changes only for commands that do nothing but print."""
    error = f"the output is incomplete: {cause}"
    if args.command in ("plan", "runs", "show", "totals"):
        return _print_errors(args, PROGRAM_FAULT, [f"{error}; free space, then run the command again"])
    advice = "the work and its report are complete; `backfill show` prints the summary again"
    return _print_errors(args, exit_code, [f"{error}; {advice}"])


def _exit_code(exc: PipelineError) -> int:
    if isinstance(exc, RunHeld):
        return JOB_IS_ACTIVE
    is_users_fault = isinstance(exc, SettingsError | SourceError) or (isinstance(exc, LedgerError) and exc.users_fault)
    return USER_FAULT if is_users_fault else PROGRAM_FAULT


def find_command(name: str) -> Command:
    """Return the function of a command. Its module is imported now: `--help` and `runs` do not need that of `run`."""
    module = import_module(f"pipeline.cli.{_MODULES[name]}")
    return cast("Command", getattr(module, name))


def _print_errors(args: argparse.Namespace, exit_code: int, lines: Sequence[str]) -> int:
    if vars(args).get("log_format") == "json":
        # The command has set up its logs already.
        from pipeline.cli.logs import log  # noqa: PLC0415 - imported on use, as the commands

        for line in lines:
            log.error("%s", line)
        return exit_code
    for line in lines:
        sys.stderr.write(f"backfill: {visible(line)}\n")
    return exit_code


def _internal_error(exc: Exception) -> list[str]:
    frames = traceback.extract_tb(exc.__traceback__)
    where = [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames[-8:]]
    return [
        f"internal error ({type(exc).__name__}). The ledger has all deliveries: continue with `backfill resume last`. "
        "Please report this error with these lines:",
        *where,
    ]


if __name__ == "__main__":
    sys.exit(main())
