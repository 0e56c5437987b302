"""Agreement and day of a row of orders or tasks, also of an invalid one."""

from collections.abc import Callable, Sequence

from pipeline.map.bind import RowMapper
from pipeline.map.columns.field_sources import find_sources
from pipeline.map.rules import MappingRules

# The agreement's number, and the day of `biz_time` in Beijing as 20261128; None for each that can't be read.
AgreementAndDay = tuple[str | None, int | None]


def read_agreements(rules: MappingRules, columns: Sequence[str]) -> Callable[[Sequence[str | None]], AgreementAndDay]:
    """Return the function that reads the rows of one file, from the cells of each."""
    sources = find_sources(rules, columns)
    mapper = RowMapper(rules, sources)

    def read(cells: Sequence[str | None]) -> AgreementAndDay:
        if len(cells) != sources.width:
            # Nobody can tell which cell belongs to which column.
            return None, None
        time = mapper.value_of("biz_time", cells)
        return mapper.value_of("agreement_no", cells), None if time is None else int(time[:10].replace("-", ""))

    return read
