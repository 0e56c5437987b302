"""Pure: from a row of an export to its payloads, or to all that is wrong with it."""

from pipeline.map.bind import bind
from pipeline.map.by_columns.chunks import bind_chunks
from pipeline.map.check import check_rules
from pipeline.map.columns.rounded import RoundedIds
from pipeline.map.columns.wiring import UsedColumns, check_columns
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
    "rekey",
    "retarget",
]
