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
            return Fault(breach.code, breach.rule)
        shown = "" if breach.code == MISSING else self._shown(breach.path, texts, fields)
        return Fault(breach.code, " ".join(filter(None, (self._label(breach.path), shown, breach.rule))))

    def _shown(self, path: Path, texts: Mapping[str, str], fields: Mapping[str, Any]) -> str:
        value: Any = texts if path[0] in texts and len(path) == 1 else fields
        for step in path:
            value = value[step]
        return masked(value, is_private=not self._private.isdisjoint(path))

    def _label(self, path: Path) -> str:
        name, *rest = path
        label = str(name) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)
        heading = trimmed(self._headings.get(str(name), str(name)))
        if heading != name:
            return f"{label} (column {shown_heading(heading)})"
        return f"{label} (a constant)" if name in self._constants else label
