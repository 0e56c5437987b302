"""The entry point: dispatch, exit codes, and every error as a sentence on stderr."""

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence

from pipeline.cli.parser import build_parser
from pipeline.cli.streams import output_streams
from pipeline.engines.garbage import collect_rarely
from pipeline.errors import LedgerError, PipelineError, RunHeld, SettingsError, SourceError
from pipeline.redact import visible

PROGRAM_FAULT, USER_FAULT, STOPPED_FROM_OUTSIDE, JOB_IS_HELD = 1, 2, 5, 6


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    with output_streams() as out:
        args = _asked(sys.argv[1:] if argv is None else list(argv))
        exit_code = _answer(args)
        out.flush()
        return exit_code if out.loss is None else _tell_the_loss(args, exit_code, out.loss)


def _asked(words: list[str]) -> argparse.Namespace:
    args, rest = build_parser().parse_known_args(words)
    if rest and args.command != "simulate":
        build_parser().parse_args(words)
    args.rest = rest
    return args


def _answer(args: argparse.Namespace) -> int:
    collect_rarely()
    try:
        return _command(args.command)(args)
    except PipelineError as exc:
        return _complain(args, _exit_code(exc), exc.faults if isinstance(exc, SettingsError) else [str(exc)])
    except KeyboardInterrupt:
        # A run that has begun drains instead.
        return _complain(args, STOPPED_FROM_OUTSIDE, ["interrupted; nothing was sent"])
    except Exception as exc:  # noqa: BLE001 - the last line of defence: told without values, which may be secrets
        return _complain(args, PROGRAM_FAULT, _fault_of_the_program(exc))


def _tell_the_loss(args: argparse.Namespace, exit_code: int, cause: str) -> int:
    """Say that stdout is not complete; only where it is all that a command makes does that decide the exit code."""
    what = f"the output could not be written to its end: {cause}"
    if args.command in ("plan", "runs", "show"):
        return _complain(args, PROGRAM_FAULT, [f"{what}; make room and ask again"])
    advice = "what was done and its report are complete, `backfill show` prints the summary again"
    return _complain(args, exit_code, [f"{what}; {advice}"])


def _exit_code(exc: PipelineError) -> int:
    if isinstance(exc, RunHeld):
        return JOB_IS_HELD
    is_users_fault = isinstance(exc, SettingsError | SourceError) or (isinstance(exc, LedgerError) and exc.users_fault)
    return USER_FAULT if is_users_fault else PROGRAM_FAULT


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    # Imported when chosen: `--help` and `runs` must not wait for what only `run` needs.
    if name in ("run", "rerun", "resume"):
        from pipeline.cli import run as executing  # noqa: PLC0415

        return {"run": executing.run, "rerun": executing.rerun, "resume": executing.resume}[name]
    if name == "plan":
        from pipeline.cli import plan as planning  # noqa: PLC0415

        return planning.plan
    if name == "simulate":
        from pipeline.cli import simulate as simulating  # noqa: PLC0415

        return simulating.simulate
    if name == "prune":
        from pipeline.cli import prune  # noqa: PLC0415

        return prune.prune
    from pipeline.cli import history as looking  # noqa: PLC0415

    return {"runs": looking.runs, "show": looking.show, "report": looking.report}[name]


def _complain(args: argparse.Namespace, exit_code: int, lines: Sequence[str]) -> int:
    if vars(args).get("log_format") == "json":
        # Each command sets up its logs before anything else.
        from pipeline.cli.logs import log  # noqa: PLC0415 - as the commands

        for line in lines:
            log.error("%s", line)
        return exit_code
    for line in lines:
        sys.stderr.write(f"backfill: {visible(line)}\n")
    return exit_code


def _fault_of_the_program(exc: Exception) -> list[str]:
    frames = traceback.extract_tb(exc.__traceback__)
    where = [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames[-8:]]
    return [
        f"internal error ({type(exc).__name__}); nothing that was delivered is forgotten, `backfill resume last` "
        "goes on. Please report it with these lines:",
        *where,
    ]


if __name__ == "__main__":
    sys.exit(main())
