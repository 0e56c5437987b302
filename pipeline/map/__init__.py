"""Pure: from a row of an export to its payloads, or to all that is wrong with it."""

from pipeline.map.bind import Mapped, bind
from pipeline.map.check import check_rules
from pipeline.map.columns import check_columns
from pipeline.map.faults import Invalid
from pipeline.map.rules import MappingRules
from pipeline.map.seal import rekey, retarget

__all__ = ["Invalid", "Mapped", "MappingRules", "bind", "check_columns", "check_rules", "rekey", "retarget"]
