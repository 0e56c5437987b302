"""
The report of a run: each row's outcome, the rows to fix, the counts, and one page to read.

Read in this order:

- `writing`: writes all files in one pass over the outcomes
- `parts`: parts of them that other processes write
- `tally`, `timeline`: counts of that pass
- `summary`: the run in numbers, as `summary.json` has it
- `advice`: the next steps, as sentences and commands
- `page`: `report.html`, from `report.html.template` and `report.js`; `charts`: its charts
- `night`: the report of all runs of a day, from `night.html.template`
- `files`: the file formats, and files that appear whole or not at all

Imports `tables`, `model`, `errors` and `redact`; nothing else of ours.
"""

from pipeline.report.advice import Step, next_steps
from pipeline.report.files.folder import make_folder, temporary_folder
from pipeline.report.files.reading import outcome_frame, outcome_table, read_outcome
from pipeline.report.files.record import OUTCOME_COLUMNS, OutcomeFormat
from pipeline.report.files.rows_to_fix import CSV_NAME
from pipeline.report.night import NIGHT_NAMES, Night, NightRun, write_night
from pipeline.report.page import PageContext
from pipeline.report.parts import ReportPart, write_part
from pipeline.report.summary import InputFile, QuotaUse, Summary
from pipeline.report.tally import Tally
from pipeline.report.writing import ReportFiles, report_names, write_report

__all__ = [
    "CSV_NAME",
    "NIGHT_NAMES",
    "OUTCOME_COLUMNS",
    "InputFile",
    "Night",
    "NightRun",
    "OutcomeFormat",
    "PageContext",
    "QuotaUse",
    "ReportFiles",
    "ReportPart",
    "Step",
    "Summary",
    "Tally",
    "make_folder",
    "next_steps",
    "outcome_frame",
    "outcome_table",
    "read_outcome",
    "report_names",
    "temporary_folder",
    "write_night",
    "write_part",
    "write_report",
]
