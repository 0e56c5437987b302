"""The command line: commands and options."""

import argparse
import re
from datetime import date, time
from pathlib import Path

from pipeline import version
from pipeline.cli.usage.examples import examples_of
from pipeline.cli.usage.guide import GuidingParser
from pipeline.language import Language, t
from pipeline.model import RowLimit


def build_parser() -> GuidingParser:
    """Return the parser of `backfill`."""
    parser = GuidingParser(
        prog="backfill",
        description=t("Send exports to Alipay Zhima Go and WeChat Pay. Every row gets an outcome."),
        epilog=t(
            "RUN is a run id, a unique prefix of one, or `last`. `backfill COMMAND --help` has examples. Exit codes: "
            "0 all rows done, 1 internal error, 2 usage, config, key or input error, 3 finished with rows left, 4 run "
            "aborted, 5 run interrupted, 6 another run of the job is active: try later."
        ),
    )
    parser.add_argument(
        "--version", action="version", version=f"backfill {version()}", help=t("show the version and exit")
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parser.commands = commands.choices
    _add_run(commands)
    _add_plan(commands)
    _add_rerun(commands)
    _add_resume(commands)
    _add_reconcile(commands)
    _add_history(commands)
    _add_totals(commands)
    _add_prune(commands)
    _add_ledger(commands)
    _add_check(commands)
    _add_worker(commands)
    init = commands.add_parser("init", help=t("write a commented config, test keys and sample exports to start from"))
    init.add_argument("folder", metavar="DIR", type=Path, help=t("a new folder"))
    # The simulator adds its own options on use (`cli/simulate.py`), so that `--help` does not load a server.
    commands.add_parser("simulate", help=t("start a local server that behaves like the four APIs"), add_help=False)
    completion = commands.add_parser("completion", help=t("print the script by which a shell completes commands"))
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help=t("the shell: bash, zsh or fish"))
    _add_common(parser)
    for name, command in commands.choices.items():
        # Without a default here, so that the option may also stand before the command.
        _add_common(command, has_default=False)
        command.epilog = examples_of(name)
    return parser


_Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for this type


def _add_run(commands: "_Commands[GuidingParser]") -> None:
    run = commands.add_parser("run", help=t("read, map and send a job's exports"))
    _add_job(run, is_optional=True)
    run.add_argument(
        "--all", action="store_true",
        help=t("run every job, one after another; exit code: the first of 1, 4, 2, 5, 3, 6, 0 that a job had"),
    )  # fmt: skip
    run.add_argument(
        "--plan",
        type=Path,
        metavar="FILE",
        help=t("send what `plan --save FILE` showed; job, day and inputs are its own"),
    )
    run.add_argument(
        "--resync", action="store_true",
        help=t("for a lost or restored ledger: trust no confirmed balance or state (docs/backup.md)"),
    )  # fmt: skip
    _add_execution(run)


def _add_plan(commands: "_Commands[GuidingParser]") -> None:
    plan = commands.add_parser(
        "plan", help=t("show what `run` would send, without sending: counts, faults, samples, time")
    )
    _add_job(plan)
    _add_config(plan)
    _add_date(plan)
    plan.add_argument(
        "--until", type=_clock_time, metavar="HH:MM", help=t("say what is left at this time, in the job's zone")
    )
    plan.add_argument("--limit", type=_count, metavar="N", help=t("read the first N rows only"))
    plan.add_argument("--show-ids", action="store_true", help=t("show sample payloads with users' ids"))
    plan.add_argument(
        "--diff", action="store_true", help=t("compare with the job's last completed run: rows new, changed and gone")
    )
    plan.add_argument("--save", type=Path, metavar="FILE", help=t("write the plan to a file for `run --plan FILE`"))
    _add_max_invalid(plan)
    plan.add_argument(
        "--processes", type=_processes, metavar="N", help=t("processes of this host that read, map and compare")
    )
    plan.add_argument("--json", action="store_true", help=t("print the plan as one JSON object"))
    _add_log_format(plan)


def _add_rerun(commands: "_Commands[GuidingParser]") -> None:
    rerun = commands.add_parser("rerun", help=t("send the unknown, blocked and unsent rows of a run again"))
    _add_run_id(rerun)
    rerun.add_argument("--only", type=_statuses, metavar="STATUS,...", help=t("only rows with these statuses"))
    rerun.add_argument("--code", type=_codes, metavar="CODE,...", default=(), help=t("only rows with these codes"))
    rerun.add_argument(
        "--new-keys", action="store_true", help=t("also rejected rows that need a new request key, with a new one")
    )
    _add_execution(rerun)


def _add_resume(commands: "_Commands[GuidingParser]") -> None:
    resume = commands.add_parser("resume", help=t("continue a run that was stopped or killed"))
    _add_run_id(resume)
    _add_execution(resume)


def _add_reconcile(commands: "_Commands[GuidingParser]") -> None:
    reconcile = commands.add_parser(
        "reconcile",
        help=t("ask the platform what it holds for a run's unknown rows, where it can be asked"),
        description=t(
            "Ask Zhima Go which reports it lists, and settle the unknown rows of a run that it lists as they "
            "were sent. A row that is not listed stays unknown."
        ),
    )
    _add_run_id(reconcile)
    reconcile.add_argument(
        "--agreement-status",
        action="store_true",
        help=t("also ask for the agreements of rows that were refused for them"),
    )
    reconcile.add_argument("--json", action="store_true", help=t("print JSON"))
    _add_config(reconcile)
    _add_log_format(reconcile)


def _add_history(commands: "_Commands[GuidingParser]") -> None:
    runs = commands.add_parser("runs", help=t("list past runs, newest first"))
    runs.add_argument("--limit", type=_count, default=20, metavar="N", help=t("list N runs (20)"))
    show = commands.add_parser("show", help=t("show counts and faults of a run"))
    report = commands.add_parser("report", help=t("write a run's report again"))
    _add_run_id(show)
    _add_run_id(report, is_optional=True)
    report.add_argument(
        "--night", type=_day, metavar="YYYY-MM-DD", help=t("one report over all runs of this day, of every job")
    )
    for command in (runs, show):
        command.add_argument("--json", action="store_true", help=t("print JSON"))
    report.add_argument(
        "--format",
        choices=("csv", "parquet", "jsonl", "html"),
        help=t("format of the outcomes; default: suffix of PATH, or csv"),
    )
    report.add_argument("--output", type=Path, metavar="PATH", help=t("write this file or folder instead"))
    report.add_argument(
        "--processes", type=_processes, metavar="N",
        help=t("processes of this host that write it (default: the job's `processes`)"),
    )  # fmt: skip
    for command in (runs, show, report):
        _add_config(command)
        _add_log_format(command)


def _add_totals(commands: "_Commands[GuidingParser]") -> None:
    totals = commands.add_parser(
        "totals",
        help=t("per agreement and period: what succeeded, and what is not final"),
        description=t(
            "Add up orders and tasks per agreement, from the ledger: payments minus refunds. What succeeded "
            "is what Alipay compares with a settlement. Other lines are not final: settle them first."
        ),
    )
    totals.add_argument(
        "--from", dest="first", type=_day, metavar="YYYY-MM-DD",
        help=t("first day of biz_time, in Beijing time (default: all)"),
    )  # fmt: skip
    totals.add_argument(
        "--to", dest="last", type=_day, metavar="YYYY-MM-DD", help=t("last day, included (default: all)")
    )  # fmt: skip
    totals.add_argument(
        "--agreement", action="append", metavar="NO", help=t("only this agreement; may be given several times")
    )
    totals.add_argument("--account", metavar="NAME", help=t("only this account of the config"))
    totals.add_argument(
        "--format", choices=("table", "csv", "parquet", "json"), help=t("default: suffix of PATH, or table")
    )
    totals.add_argument("--output", type=Path, metavar="PATH", help=t("write this file instead of stdout"))
    totals.add_argument("--show-ids", action="store_true", help=t("show agreement numbers in the table on stdout"))
    _add_config(totals)
    _add_log_format(totals)


def _add_prune(commands: "_Commands[GuidingParser]") -> None:
    prune = commands.add_parser("prune", help=t("delete old runs from the ledger; deliveries are kept"))
    prune.add_argument(
        "--keep", type=_days, default=_KEEP_DAYS, metavar="DAYS",
        help=t(
            "delete runs older than this ({days}); each job's last run and runs with rows left are kept",
            days=_KEEP_DAYS,
        ),
    )  # fmt: skip
    prune.add_argument(
        "--deliveries-older-than", type=_days, metavar="DAYS",
        help=t("also delete older deliveries of orders, tasks and states: their rows would be sent again"),
    )  # fmt: skip
    prune.add_argument("--json", action="store_true", help=t("print JSON"))
    _add_config(prune)
    _add_log_format(prune)


def _add_ledger(commands: "_Commands[GuidingParser]") -> None:
    ledger = commands.add_parser("ledger", help=t("move a ledger between SQLite and PostgreSQL"))
    actions = ledger.add_subparsers(dest="action", metavar="ACTION", required=True)
    copy = actions.add_parser("copy", help=t("copy a ledger into an empty one; then change [ledger] url"))
    form = t("sqlite:///PATH, relative to the working directory, or postgresql://USER@HOST/DB")
    copy.add_argument("source", metavar="FROM", help=form)
    copy.add_argument("target", metavar="TO", help=t("a new file or an empty database, written in the same way"))
    copy.add_argument("--json", action="store_true", help=t("print JSON"))
    _add_log_format(copy)
    _add_common(copy, has_default=False)


def _add_worker(commands: "_Commands[GuidingParser]") -> None:
    worker = commands.add_parser(
        "worker",
        help=t("send for runs of a PostgreSQL ledger until stopped"),
        description=t(
            "Send for the runs that other processes began, on this host or another one. Each run needs its job in "
            "the config here. SIGTERM or SIGINT ends it after the requests in flight; a second one ends it at once."
        ),
    )
    _add_config(worker)
    worker.add_argument("--jobs", type=_words, metavar="JOB,...", help=t("only runs of these jobs"))
    worker.add_argument(
        "--merchants", type=_words, metavar="ID,...", help=t("only runs for these app ids, merchant ids or brand ids")
    )
    worker.add_argument("--run", metavar="RUN", help=t("only this run; the worker ends with it"))
    worker.add_argument("--once", action="store_true", help=t("end when there is nothing to send"))
    worker.add_argument(
        "--health-file", type=Path, metavar="PATH",
        help=t("touch this file every few seconds, for a probe that looks at its age"),
    )  # fmt: skip
    worker.add_argument(
        "--health-port", type=_health_address, metavar="[HOST:]PORT",
        help=t("answer GET /healthz and /readyz over HTTP; without HOST on all IPv4 addresses"),
    )  # fmt: skip
    # For processes that another one started.
    worker.add_argument("--until-input-ends", action="store_true", help=argparse.SUPPRESS)
    _add_log_format(worker)


def _add_check(commands: "_Commands[GuidingParser]") -> None:
    check = commands.add_parser(
        "check", help=t("check config, keys, input columns, clock, quota, ledger and disk before a run")
    )
    check.add_argument("job", metavar="JOB", nargs="?", help=t("a job of the config file (default: all)"))
    _add_config(check)
    _add_date(check)
    check.add_argument(
        "--online", action="store_true", help=t("also send one harmless signed request for each account")
    )
    check.add_argument("--show-ids", action="store_true", help=t("show sample values with users' ids"))
    check.add_argument("--json", action="store_true", help=t("print JSON"))
    _add_log_format(check)


def _add_common(parser: argparse.ArgumentParser, *, has_default: bool = True) -> None:
    """Add the options of all commands."""
    default = False if has_default else argparse.SUPPRESS
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument(
        "-v", dest="verbose", action="store_true", default=default, help=t("log details too: retries, pauses, files")
    )
    loudness.add_argument(
        "-q", dest="quiet", action="store_true", default=default, help=t("log errors only, and show no progress")
    )
    # Without a default, because a command's parser would replace the value from before the command. `main` has read it.
    parser.add_argument(
        "--lang",
        choices=tuple(map(str, Language)),
        default=argparse.SUPPRESS,
        help=t("language of all texts (default: from LANG)"),
    )


def _add_job(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?" if is_optional else None, help=t("a job of the config file"))
    parser.add_argument(
        "inputs", metavar="INPUT", nargs="*", help=t("files, globs, folders or URIs instead of the job's inputs")
    )


def _add_run_id(parser: argparse.ArgumentParser, *, is_optional: bool = False) -> None:
    what = t(
        "a run id, a unique prefix of one, or `last`: the last run that did something (`backfill runs` lists them)"
    )
    parser.add_argument("run", metavar="RUN", nargs="?" if is_optional else None, help=what)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help=t("default: $BACKFILL_CONFIG, or backfill.toml"))


def _add_date(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--date", type=_day, metavar="YYYY-MM-DD", help=t("fills {{date}} in inputs (default: yesterday)")
    )


def _add_max_invalid(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-invalid",
        type=_row_limit,
        metavar="N|N%",
        help=t("send nothing if more rows are invalid (default: the job's `max_invalid`, or 20%%)"),
    )


def _add_log_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--log-format", choices=("console", "json"), default="console", help=t("format of the logs on stderr")
    )


def _add_execution(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    _add_date(parser)
    parser.add_argument(
        "--until", type=_clock_time, metavar="HH:MM", help=t("stop cleanly at this time, in the job's zone")
    )
    parser.add_argument("--limit", type=_count, metavar="N", help=t("process the first N rows only"))
    parser.add_argument("--max-failures", type=_row_limit, metavar="N|N%", help=t("stop if more rows fail"))
    _add_max_invalid(parser)
    parser.add_argument(
        "--processes",
        type=_processes,
        metavar="N",
        help=t("processes that read, send and write the report, this one included; 1 with a SQLite ledger"),
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help=t("where other processes run: on this host, or on a Ray cluster (N workers, default one for each node)"),
    )
    parser.add_argument(
        "--address",
        type=_cluster_address,
        metavar="HOST:PORT",
        help=t("with --engine ray: the cluster, or `auto`; default $RAY_ADDRESS, or Ray on this host for this command"),
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help=t("default: reports/<run id>/ beside the config"))
    parser.add_argument(
        "--format", choices=("csv", "parquet", "jsonl"), default="csv", help=t("format of the outcome file")
    )
    parser.add_argument(
        "--metrics-file",
        type=Path,
        metavar="PATH",
        help=t("write metrics of the run for Prometheus (docs/how-to/metrics.md)"),
    )
    parser.add_argument("--json", action="store_true", help=t("print only the summary, as one JSON object"))
    parser.add_argument("--no-progress", action="store_true", help=t("show no progress; logs stay on stderr"))
    _add_log_format(parser)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise argparse.ArgumentTypeError(t("{text!r} is not a whole number of 0 or more", text=text))
    return int(text)


# Questions about a run may come for 3 months.
_KEEP_DAYS = 90


def _days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError(t("{text!r} is not a whole number of days from 0 to 99999", text=text))
    return int(text)


def _processes(text: str) -> int:
    if not re.fullmatch(r"[1-9]|[1-5][0-9]|6[0-4]", text):
        raise argparse.ArgumentTypeError(t("{text!r} is not a whole number from 1 to 64", text=text))
    return int(text)


def _health_address(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:(?P<host>[^:\s]+|\[[0-9A-Fa-f:.]+\]):)?(?P<port>[0-9]{1,5})", text)
    if match is None or not 1 <= int(match["port"]) <= _LAST_PORT:
        raise argparse.ArgumentTypeError(t("{text!r} is not a port such as 8080, or 127.0.0.1:8080", text=text))
    return (match["host"] or "0.0.0.0").strip("[]"), int(match["port"])  # noqa: S104 - probes come from other hosts


_LAST_PORT = 65535


def _cluster_address(text: str) -> str:
    if not re.fullmatch(r"auto|([^/:\s]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError(t("{text!r} is not HOST:PORT of a Ray cluster, nor `auto`", text=text))
    return text


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    # fromisoformat accepts other forms of ISO 8601 too.
    if day is None or day.isoformat() != text:
        raise argparse.ArgumentTypeError(t("{text!r} is not a date such as 2025-11-20", text=text))
    return day


def _clock_time(text: str) -> time:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise argparse.ArgumentTypeError(t("{text!r} is not a time such as 06:30", text=text))
    return time.fromisoformat(text)


def _row_limit(text: str) -> RowLimit:
    try:
        return RowLimit.parse(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} {exc}") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _codes(text: str) -> tuple[str, ...]:
    if not text.isprintable():
        raise argparse.ArgumentTypeError(t("{text!r} is not a code of an outcome", text=text))
    return _words(text)


RERUNNABLE = ("unknown", "blocked", "unsent", "rejected")


def _statuses(text: str) -> tuple[str, ...]:
    words = _words(text)
    wrong = [word for word in words if word not in RERUNNABLE]
    if wrong or not words:
        raise argparse.ArgumentTypeError(
            t("{text!r} is not a list of {rerunnable}", text=text, rerunnable=", ".join(RERUNNABLE))
        )
    return words
