"""
Read exports into numbered rows of text: CSV, JSON lines, Parquet and workbooks, local or in a store.

Read in this order:

1. `find/`: the files that a job's inputs mean.
2. `files/`: one file as stored: its content, decompression, hash and fingerprint.
3. `source`, `open_source`: an open input with numbered rows, without blank ones; the choice of its reader.
4. `csv/`, `json_lines/`, `parquet/`, `workbook/`: one reader each. `text/` decodes for the first two.
5. `fixed_rows`: the rows of a `rows_to_fix` file. `cuts`: the parts of a file that different processes read.
6. `ports`: `ColumnUse`, the one question that a reader asks about the job.

It imports `tables`, `model`, `errors`, `redact`, and `report.files` for the format of `rows_to_fix`. It knows nothing
of fields, payloads or the ledger.
"""

from pipeline.read.cuts import DEFAULT_CUT_SIZES, Cut, CutSizes, cuts_of
from pipeline.read.files.source_file import SourceFile, sha256_of, verify_unchanged
from pipeline.read.find.inputs import FoundInputs, find, find_inputs
from pipeline.read.open_source import CHUNK_ROWS, open_source
from pipeline.read.source import Source
from pipeline.tables.chunk import Chunk

__all__ = [
    "CHUNK_ROWS",
    "DEFAULT_CUT_SIZES",
    "Chunk",
    "Cut",
    "CutSizes",
    "FoundInputs",
    "Source",
    "SourceFile",
    "cuts_of",
    "find",
    "find_inputs",
    "open_source",
    "sha256_of",
    "verify_unchanged",
]
