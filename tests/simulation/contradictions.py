"""Rows that contradict each other: all of them are refused, and no others."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from pipeline.model import Export
from tests.simulation.evidence import Broken, Line, reports, row_of
from tests.simulation.history import Evidence

_NAMES = {
    Export.ORDERS: ("agreement_no",),
    Export.TASKS: ("agreement_no",),
    Export.POINTS: ("user_card_code",),
    Export.STATES: ("out_biz_no", "out_principal_id"),
}
# These rows were decided by earlier runs.
_DECIDED_BEFORE = frozenset({"key_conflict", "fixed_already"})
_CONTRADICT: dict[Export, Callable[[list[Line]], bool]] = {
    Export.ORDERS: lambda rows: _several_are_named(rows, "user_id"),
    Export.TASKS: lambda rows: _several_are_named(rows, "user_id"),
    Export.POINTS: lambda rows: _several_are_named(rows, "openid") or some_are_dated(rows),
    Export.STATES: lambda rows: len({bool(row["updated_at"]) for row in rows}) > 1,
}


def check_contradictions(evidence: Evidence) -> None:
    """Raise Broken if a contradicted row was sent, or a row without contradiction was refused as one."""
    export = evidence.scenario.export
    # Each report by itself: a resume may stage a run again, after a row that contradicts others was fixed elsewhere.
    for result, lines in reports(evidence):
        run_id = result.run_id
        rows = (row_of(evidence, line) for line in lines if line["code"] not in _DECIDED_BEFORE)
        contradicted = _contradicted(filter(_is_sendable, rows), export)
        for line in lines:
            is_contradicted = _name_of(row_of(evidence, line), export) in contradicted
            if line["attempts"] != "0" and is_contradicted:
                raise Broken(f"{run_id} row {line['source_row']}: sent, and other rows of the run contradict it")
            if line["code"] in ("duplicate_row", "superseded") and is_contradicted:
                raise Broken(f"{run_id} row {line['source_row']}: {line['code']}, and other rows contradict it")
            if line["code"] == "contradiction" and not is_contradicted:
                raise Broken(f"{run_id} row {line['source_row']}: no row of the run contradicts it")


def contradicted_cards(rows: Iterable[Line]) -> set[str]:
    """Return the cards whose rows contradict each other."""
    return {card for (card,) in _contradicted(rows, Export.POINTS)}


def some_are_dated(rows: Iterable[Line]) -> bool:
    """Return whether some rows have a time of change and others do not."""
    return len({bool(row["updated_at"]) for row in rows}) > 1


def _contradicted(rows: Iterable[Line], export: Export) -> set[tuple[str, ...]]:
    groups: dict[tuple[str, ...], list[Line]] = defaultdict(list)
    for row in rows:
        groups[_name_of(row, export)].append(row)
    return {name for name, group in groups.items() if _CONTRADICT[export](group)}


def _name_of(row: Line, export: Export) -> tuple[str, ...]:
    return tuple(row[name] for name in _NAMES[export])


def _several_are_named(rows: Iterable[Line], name: str) -> bool:
    return len({row[name] for row in rows}) > 1


def _is_sendable(row: Line) -> bool:
    needed = (row[name] for name in ("user_id", "openid", "biz_time") if name in row)
    return all(needed) and all(value.isprintable() for value in row.values())
