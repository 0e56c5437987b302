"""How a broken rule is told: the field, the column it came from, what may be shown of the value, and the rule."""

from collections.abc import Mapping
from typing import Any

from pipeline.map.columns import Wiring
from pipeline.map.faults import MISSING, Breach, Path
from pipeline.map.fields import fields_of
from pipeline.model import Export, Fault
from pipeline.showing import masked, shown_heading
from pipeline.texts import trimmed


class Teller:
    """Words the faults of one file's rows."""

    def __init__(self, export: Export, wiring: Wiring) -> None:
        self._private = {name for name, field in fields_of(export).items() if field.is_private}
        self._headings = wiring.headings
        self._constants = wiring.constants

    def fault(self, breach: Breach, texts: Mapping[str, str], fields: Mapping[str, Any]) -> Fault:
        """Return the fault for a broken rule; `texts` is what the row said, `fields` what was made of it."""
        if not breach.path:
            return Fault(breach.code, breach.words, rule=breach.rule)
        shown = "" if breach.code == MISSING else self._shown(breach.path, texts, fields)
        message = " ".join(filter(None, (self._label(breach.path), shown, breach.words)))
        return Fault(breach.code, message, _name(breach.path), self._column(breach.path), breach.rule)

    def _shown(self, path: Path, texts: Mapping[str, str], fields: Mapping[str, Any]) -> str:
        value: Any = texts if path[0] in texts and len(path) == 1 else fields
        for step in path:
            value = value[step]
        return masked(value, is_private=not self._private.isdisjoint(path))

    def _column(self, path: Path) -> str | None:
        heading = self._headings.get(str(path[0]))
        return None if heading is None else shown_heading(trimmed(heading))

    def _label(self, path: Path) -> str:
        name, heading = str(path[0]), trimmed(self._headings.get(str(path[0]), ""))
        if heading not in ("", name):
            return f"{_name(path)} (column {self._column(path)})"
        return f"{_name(path)} (a constant)" if name in self._constants and not heading else _name(path)


def _name(path: Path) -> str:
    name, *rest = path
    return str(name) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)
