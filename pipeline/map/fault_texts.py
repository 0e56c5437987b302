"""The message of a broken rule: the field, its column, the masked value, and the rule."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.language import t
from pipeline.map.columns.field_sources import FieldSources
from pipeline.map.faults import MISSING, Breach, FieldPath
from pipeline.map.fields import Field, FieldKind, fields_of
from pipeline.model import Export, Fault
from pipeline.redact import Harmless, Shown, shown, shown_heading
from pipeline.tables.text_columns import trimmed

# A time identifies nobody, in any field.
_OF_NUMBERS = (Harmless.NUMBER, Harmless.TIME)
_HARMLESS: Mapping[FieldKind, Sequence[Harmless]] = {
    **dict.fromkeys((FieldKind.AMOUNT, FieldKind.INTEGER, FieldKind.TIME, FieldKind.INSTANT), _OF_NUMBERS),
    FieldKind.BOOLEAN: (*_OF_NUMBERS, Harmless.WORD),
}
_OF_WORDS = (Harmless.TIME, Harmless.WORD)
_OF_TEXT = (Harmless.TIME,)
_NO_FIELD = Field("")


class FaultTexts:
    """Writes the faults of one file's rows."""

    def __init__(self, export: Export, sources: FieldSources) -> None:
        self._fields = fields_of(export)
        self._private = {name for name, field in self._fields.items() if field.is_private}
        self._headings = sources.headings
        self._constants = sources.constants

    def fault(self, breach: Breach, texts: Mapping[str, str], fields: Mapping[str, Any]) -> Fault:
        """Return the fault of a broken rule; `texts` are the row's texts, `fields` its values."""
        if not breach.path:
            return Fault(breach.code, breach.words, rule=breach.words)
        value = Shown() if breach.code == MISSING else self._shown(breach.path, texts, fields)
        message = " ".join(filter(None, (self._label(breach.path), value.quoted, breach.words)))
        return Fault(
            breach.code,
            message,
            field=".".join(step for step in breach.path if isinstance(step, str)),
            column=self._column(breach.path),
            rule=breach.words,
            value=value.plain or None,
        )

    def _shown(self, path: FieldPath, texts: Mapping[str, str], fields: Mapping[str, Any]) -> Shown:
        value: Any = texts if path[0] in texts and len(path) == 1 else fields
        for step in path:
            value = value[step]
        return shown(value, harmless=self._harmless(path), is_private=not self._private.isdisjoint(path))

    def _harmless(self, path: FieldPath) -> Sequence[Harmless]:
        """Return the forms in which a value of this field identifies nobody."""
        field = self._fields.get(str(next(step for step in reversed(path) if isinstance(step, str))), _NO_FIELD)
        return _OF_WORDS if field.is_word else _HARMLESS.get(field.kind, _OF_TEXT)

    def _column(self, path: FieldPath) -> str | None:
        heading = self._headings.get(str(path[0]))
        return None if heading is None else shown_heading(trimmed(heading))

    def _label(self, path: FieldPath) -> str:
        name, *rest = path
        label = str(name) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)
        heading = trimmed(self._headings.get(str(name), ""))
        if heading not in ("", name):
            return t("{label} (column {heading})", label=label, heading=shown_heading(heading))
        return t("{label} (a constant)", label=label) if name in self._constants and not heading else label
