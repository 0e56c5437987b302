"""Map one row: cells -> texts -> fields -> body -> payloads, or all of its faults."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson

from pipeline.language import later, t
from pipeline.map.columns.field_sources import FieldSources, find_sources
from pipeline.map.compiled_schema import CompiledSchema
from pipeline.map.compose import COMPOSE, SALT, Body
from pipeline.map.fault_texts import FaultTexts
from pipeline.map.faults import INVALID, NOT_DECODABLE, RAGGED, Breach, Unreadable
from pipeline.map.fields import PART_OF_BIZ_DATA, export_schema, field_of
from pipeline.map.rules import MappingRules
from pipeline.map.seal import KEY_OF_API, SEAL
from pipeline.map.values.conversion import Convert, conversion
from pipeline.model import Api, Export, Fault, Filtered, Invalid, Mapped, Payload, Row
from pipeline.resources import schema

# Readers and other programs write it for undecodable bytes, so it is never part of the real value.
_UNREAD = "\ufffd"
_OTHER_BRAND = later("is not the brand_id of the account; send this row by a job with that brand's account")
_NOT_READ = later("holds U+FFFD in place of a character that could not be read")


def bind(rules: MappingRules, columns: Sequence[str]) -> Callable[[Row], Mapped]:
    """
    Return the function that maps the rows of one file. Rules and columns must have passed their checks.

    The function is pure, raises for no row, and gives the same bytes for the same row.
    """
    return RowMapper(rules, find_sources(rules, columns)).map


@dataclass(frozen=True, slots=True)
class Composed:
    """A valid row: its fields, and the body made from them."""

    fields: Mapping[str, Any] = field(repr=False)
    body: Body = field(repr=False)


class RowMapper:
    """
    Maps the rows of one file for one job.

    `conversions` are the functions that read fields, by name. `key` is the field that holds the request key.
    """

    def __init__(self, rules: MappingRules, sources: FieldSources) -> None:
        self._sources = sources
        self._charset = rules.charset
        self.conversions = _conversions(rules, sources)
        self._has_parts = any(name.startswith(PART_OF_BIZ_DATA) for name in sources.fed())
        self._export = rules.export
        self._rows = _schema_of_rows(rules.export)
        self._bodies = _schema_of_bodies(rules.api)
        self._compose = COMPOSE[rules.export, rules.api]
        self._salt = rules.salt if rules.api.sends_balances else ""
        self._brand_id = rules.brand_id
        self._seal = SEAL[rules.api]
        self.key = KEY_OF_API[rules.api]
        self._fault_texts = FaultTexts(rules.export, sources)

    def map(self, row: Row) -> Mapped:
        """Map one row."""
        if len(row.cells) == self._sources.width and not self._sources.filter.wants(row.cells):
            return Filtered(self.key_of(row.cells))
        return self.map_wanted(row)

    def map_wanted(self, row: Row) -> tuple[Payload, ...] | Invalid:
        """Map one row without the job's filter."""
        composed = self.compose(row)
        return composed if isinstance(composed, Invalid) else self.seal(composed)

    def key_of(self, cells: Sequence[str | None]) -> str | None:
        """Return the request key of a row, even if the row is otherwise invalid; None without a valid key."""
        key: str | None = self.value_of(self.key, cells)
        return key

    def value_of(self, name: str, cells: Sequence[str | None]) -> Any:
        """Return the value of one field of a row, even if the row is otherwise invalid; None without a valid value."""
        text = self._sources.texts(cells).get(name)
        if text is None:
            return None
        fields, breaches = self._read_alone(name, text)
        return None if breaches else fields.get(name)

    def faults_of(self, name: str, text: str) -> list[Fault]:
        """Return the faults of one field's text by itself."""
        fields, breaches = self._read_alone(name, text)
        return [self._fault_texts.fault(breach, {name: text}, fields) for breach in breaches]

    def _read_alone(self, name: str, text: str) -> tuple[dict[str, Any], list[Breach]]:
        found: list[Breach] = []
        fields = self._read(self._encodable({name: text}, found), found)
        return fields, found or [*_schema_of_fields(self._export).breaches(fields)]

    def seal(self, composed: Composed) -> tuple[Payload, ...]:
        """Return the payloads of a valid row."""
        return self._seal(composed.fields, composed.body)

    def compose(self, row: Row) -> Composed | Invalid:
        """Map one row up to its body."""
        if len(row.cells) != self._sources.width:
            message = t(
                "the row has {cells} cells, and the file has {width} columns",
                cells=len(row.cells),
                width=self._sources.width,
            )
            return Invalid((Fault(RAGGED, message, rule=t("does not have one cell for each column of the file")),))
        found: list[Breach] = []
        texts = self._encodable(self._sources.texts(row.cells), found)
        fields = self._read(texts, found)
        if breaches := self._rows.breaches(fields):
            at_fault = {breach.path[0] for breach in found}
            found += (breach for breach in breaches if at_fault.isdisjoint(breach.path[:1]))
        found += self._other_brand(fields, found)
        if found:
            return self._invalid(found, texts, fields)
        if self._salt:
            fields[SALT] = self._salt
        body = self._compose(fields)
        found += self._bodies.breaches(body) or _refund_of_itself(body)
        return self._invalid(found, texts, body) if found else Composed(fields, body)

    def _other_brand(self, fields: Mapping[str, Any], found: Sequence[Breach]) -> tuple[Breach, ...]:
        """Return the breach of a row that names another brand than the account's."""
        is_at_fault = any(breach.path[:1] == ("brand_id",) for breach in found)
        if self._brand_id is None or is_at_fault or fields.get("brand_id") == self._brand_id:
            return ()
        return (Breach(INVALID, ("brand_id",), t(_OTHER_BRAND), "other_brand"),)

    def _encodable(self, texts: dict[str, str], found: list[Breach]) -> dict[str, str]:
        """Return the texts, with `?` for characters that the request's charset can't encode, and note these faults."""
        together = "".join(texts.values())
        if _UNREAD in together:
            found += (
                Breach(NOT_DECODABLE, (name,), t(_NOT_READ), "unread_character")
                for name, text in texts.items()
                if _UNREAD in text
            )
        try:
            together.encode(self._charset)
        except UnicodeEncodeError:
            return {name: self._with_replacements(name, text, found) for name, text in texts.items()}
        return texts

    def _with_replacements(self, name: str, text: str, found: list[Breach]) -> str:
        encodable = text.encode(self._charset, "replace").decode(self._charset)
        if encodable != text and _UNREAD not in text:
            words = t("holds a character that {charset} cannot encode", charset=self._charset)
            found.append(Breach(NOT_DECODABLE, (name,), words, "charset"))
        return encodable

    def read(self, texts: Mapping[str, str]) -> Mapping[str, Any]:
        """Return texts as typed values; a text that can't be read stays a text."""
        return self._read(texts, [])

    def _read(self, texts: Mapping[str, str], found: list[Breach]) -> dict[str, Any]:
        """Convert texts. A text that can't be read stays, so that its field is not reported as missing too."""
        fields: dict[str, Any] = dict(texts)
        at_fault = {breach.path[0] for breach in found}
        for name, convert in self.conversions.items():
            if name in texts and name not in at_fault:
                try:
                    fields[name] = convert(texts[name])
                except Unreadable as error:
                    found.append(Breach(error.code, (name,), error.words, error.rule))
                    continue
                if fields[name] is None:
                    del fields[name]
        return _with_parts_joined(fields) if self._has_parts else fields

    def _invalid(self, found: Iterable[Breach], texts: Mapping[str, str], fields: Mapping[str, Any]) -> Invalid:
        faults = tuple(self._fault_texts.fault(breach, texts, fields) for breach in found)
        key_is_at_fault = any(breach.path == (self.key,) for breach in found)
        return Invalid(faults, None if key_is_at_fault else fields.get(self.key))


@cache
def _schema_of_rows(export: Export) -> CompiledSchema:
    return CompiledSchema(export_schema(export))


@cache
def _schema_of_bodies(api: Api) -> CompiledSchema:
    return CompiledSchema(schema(f"payloads/{api.partition('.')[2]}.json"))


@cache
def _schema_of_fields(export: Export) -> CompiledSchema:
    """Return the schema of each field by itself, without the rules between fields."""
    document = export_schema(export)
    return CompiledSchema({keyword: rule for keyword, rule in document.items() if keyword not in {"required", "allOf"}})


def _conversions(rules: MappingRules, sources: FieldSources) -> Mapping[str, Convert]:
    """Return the function that reads each fed field, for fields that do not stay text."""
    known = ((name, described) for name in sources.fed() if (described := field_of(rules.export, name)))
    readers = ((name, conversion(described, rules)) for name, described in known)
    return {name: convert for name, convert in readers if convert}


def _with_parts_joined(fields: dict[str, Any]) -> dict[str, Any]:
    """Join the parts of biz_data. If a row has both, both stay, and the schema reports it."""
    parts = {name.removeprefix(PART_OF_BIZ_DATA): fields[name] for name in fields if name.startswith(PART_OF_BIZ_DATA)}
    if not parts or "biz_data" in fields:
        return fields
    whole = {name: text for name, text in fields.items() if not name.startswith(PART_OF_BIZ_DATA)}
    return whole | {"biz_data": orjson.dumps(parts, option=orjson.OPT_SORT_KEYS).decode()}


def _refund_of_itself(fields: Mapping[str, Any]) -> tuple[Breach, ...]:
    if "pay_out_biz_no" in fields and fields["pay_out_biz_no"] == fields.get("out_biz_no"):
        words = t("is the row's own out_biz_no; a refund can't refund itself")
        return (Breach(INVALID, ("pay_out_biz_no",), words, "refund_of_itself"),)
    return ()
