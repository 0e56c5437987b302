"""`backfill totals`: the totals of agreements, from the ledger. No key is read, and nothing is sent."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import BinaryIO, cast

from pipeline.assemble.reports.protected_files import ProtectedFiles, folder_beside
from pipeline.assemble.reports.totals import Totals
from pipeline.cli.past_runs.history import archive
from pipeline.cli.terminal.logs import log
from pipeline.cli.terminal.summary import print_line
from pipeline.errors import SettingsError
from pipeline.language import counted, t
from pipeline.ledger.history.totals import Wanted
from pipeline.report.files.totals_file import TotalsFormat, write_totals
from pipeline.tables.agreement_totals import TotalsLine, totals_lines

_FIRST_DAY, _LAST_DAY = date(1, 1, 1), date(9999, 12, 31)


def totals(args: argparse.Namespace) -> int:
    """Write the totals to stdout, or to --output; log what they lack."""
    totals_format = _format_of(args)
    with archive(args) as (config, ledger):
        if ledger is None:
            raise SettingsError([t("ledger {ledger_path} has no runs yet", ledger_path=config.ledger)])
        wanted = _wanted(args, config.accounts)
        # Totals of a ledger that is behind would be too low.
        ledger.refuse_if_behind()
        if args.output is not None:
            ProtectedFiles(config, ledger).check([args.output], f"--output {args.output}", is_file=True)
        found = Totals(config, ledger, wanted)
        lines = _CountedLines(totals_lines(found))
        if args.output is None:
            is_masked = totals_format is TotalsFormat.TABLE and not args.show_ids
            write_totals(lines, cast("BinaryIO", _Stdout()), totals_format, masks_ids=is_masked)
        else:
            is_masked = False
            _write_file(lines, args.output, totals_format)
    for note in found.notes:
        log.warning(note)
    if args.output is not None:
        print_line(str(args.output))
    if args.output is not None or totals_format is TotalsFormat.TABLE:
        print_line(
            t(
                "{agreements}, {not_final:,} of them not final",
                agreements=counted(lines.agreements, "1 agreement", "{count:,} agreements"),
                not_final=lines.not_final,
            )
        )
    if is_masked and lines.agreements:
        print_line(t("agreement numbers are masked; --show-ids shows them, --output writes them"))
    return 0


def _format_of(args: argparse.Namespace) -> TotalsFormat:
    """Return the format: as named, else that of the suffix of --output, else a table."""
    if args.format is None and args.output is not None:
        suffix = args.output.suffix.removeprefix(".").lower()
        if suffix not in _BY_SUFFIX:
            raise SettingsError(
                [
                    t(
                        "--output {output}: unknown suffix; use .{formats}, or add --format",
                        output=args.output,
                        formats=", .".join(_BY_SUFFIX),
                    )
                ]
            )
        return _BY_SUFFIX[suffix]
    totals_format = TotalsFormat(args.format or TotalsFormat.TABLE)
    if totals_format is TotalsFormat.PARQUET and args.output is None:
        raise SettingsError([t("--format parquet: Parquet is not text; name a file with --output")])
    return totals_format


_BY_SUFFIX = {"csv": TotalsFormat.CSV, "parquet": TotalsFormat.PARQUET, "json": TotalsFormat.JSON,
              "txt": TotalsFormat.TABLE}  # fmt: skip


def _wanted(args: argparse.Namespace, accounts: Iterable[str]) -> Wanted:
    first, last = args.first or _FIRST_DAY, args.last or _LAST_DAY
    if first > last:
        raise SettingsError([t("--from {first} is after --to {last}; swap them", first=first, last=last)])
    if args.account is not None and args.account not in accounts:
        raise SettingsError(
            [
                t(
                    "--account {account}: the config has these accounts: {accounts}",
                    account=args.account,
                    accounts=", ".join(accounts),
                )
            ]
        )
    agreements = tuple(args.agreement) if args.agreement else None
    return Wanted(_as_number(first), _as_number(last), agreements, args.account)


def _as_number(day: date) -> int:
    return int(day.isoformat().replace("-", ""))


def _write_file(lines: Iterable[TotalsLine], output: Path, totals_format: TotalsFormat) -> None:
    if output.is_dir():
        raise SettingsError([t("--output {output}: that is a folder; name a file", output=output)])
    with folder_beside(output) as folder:
        pending = folder / output.name
        # It has the agreement numbers of users: only its owner may read it.
        pending.touch(mode=0o600)
        with pending.open("wb") as file:
            write_totals(lines, file, totals_format)
        pending.replace(output)


class _Stdout:
    """stdout as a file of bytes, which are whole lines in UTF-8."""

    def write(self, content: bytes) -> int:
        return sys.stdout.write(content.decode())


class _CountedLines:
    """Lines of totals; counts their agreements, and those that are not final."""

    def __init__(self, lines: Iterable[TotalsLine]) -> None:
        self._lines = lines
        self.agreements = 0
        self.not_final = 0

    def __iter__(self) -> Iterator[TotalsLine]:
        last = None
        for line in self._lines:
            if (line.account, line.agreement_no) != last:
                last = line.account, line.agreement_no
                self.agreements += 1
                self.not_final += not line.final
            yield line
