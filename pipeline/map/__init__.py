"""Pure: from a row of an export to its payloads, or to all that is wrong with it."""

from pipeline.map.bind import bind
from pipeline.map.check import check_rules
from pipeline.map.columns import UsedColumns, check_columns
from pipeline.map.contents import RowContents
from pipeline.map.rounded import RoundedIds
from pipeline.map.rules import MappingRules
from pipeline.map.seal import rekey, retarget
from pipeline.map.sheets import bind_chunks
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
