"""
Map a row of an export to its payloads, or to all of its faults. Nothing here reads files or the clock.

Read in this order:

1. `rules`, `fields`: how a job maps its rows, and the fields of each export.
2. `bind`: the steps for one row. This is the reference.
3. `columns/`: the texts of each field. `values/`: texts to typed values.
4. `compose`, `seal`: values to a body, and the body to payloads with keys and lanes.
5. `faults`, `compiled_schema`, `fault_texts`: broken rules and their messages.
6. `by_columns/`: the same result for whole chunks, fast.
7. `check`: the check of a job's rules before any file is read. `contents`: digests by which fixed rows are found again.
   `agreements`: agreement and day of an invalid row.

It imports `tables`, `model`, `errors`, `resources`, `redact`, and no other room.
"""

from pipeline.map.agreements import read_agreements
from pipeline.map.bind import bind
from pipeline.map.by_columns.chunk_mapper import bind_chunks
from pipeline.map.check import check_rules
from pipeline.map.columns.field_sources import UsedColumns, check_columns
from pipeline.map.columns.rounded_ids import RoundedIds
from pipeline.map.contents import RowContents
from pipeline.map.rules import MappingRules
from pipeline.map.seal import rekey, retarget
from pipeline.model import Invalid, Mapped

__all__ = [
    "Invalid",
    "Mapped",
    "MappingRules",
    "RoundedIds",
    "RowContents",
    "UsedColumns",
    "bind",
    "bind_chunks",
    "check_columns",
    "check_rules",
    "read_agreements",
    "rekey",
    "retarget",
]
