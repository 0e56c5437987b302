"""
`check`: what would hinder a run, found before it.

Read in this order:

1. `finding`: one finding, and the exit code of all.
2. `checks`: the entry; it loads the config and collects all findings.
3. `inputs`: the files of a job, and the columns that feed its fields.
4. `accounts`, `clock_offset`, `online`: certificates and serials; the platform's clock; a signed request.
5. `quotas`, `ledger_file`, `report_folder`: jobs that share a quota; the ledger's version, size and disk; whether
   reports can be written.

It reads only. It imports `assemble` and all rooms below; only `cli` imports it.
"""

from pipeline.check.checks import Check, check
from pipeline.check.finding import Finding, Level, exit_code

__all__ = ["Check", "Finding", "Level", "check", "exit_code"]
