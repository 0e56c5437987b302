"""The story of one row: cells, texts, fields, body, payloads; or all that is wrong with it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson

from pipeline.map.columns.wiring import Wiring, wire
from pipeline.map.compose import COMPOSE, SALT, Body
from pipeline.map.faults import INVALID, NOT_DECODABLE, RAGGED, Breach, Unreadable
from pipeline.map.fields import PART_OF_BIZ_DATA, export_schema, field_of
from pipeline.map.rules import MappingRules
from pipeline.map.seal import KEY_OF_API, SEAL
from pipeline.map.shape import Shape
from pipeline.map.tell import FaultTexts
from pipeline.map.values.conversion import Convert, conversion
from pipeline.model import Api, Export, Fault, Filtered, Invalid, Mapped, Payload, Row
from pipeline.resources import schema

# Readers and other programs put it where bytes are no letter, so it can't be what the value was.
_UNREAD = "\ufffd"
_NOT_READ = "holds U+FFFD, which stands for a character that could not be read"


def bind(rules: MappingRules, columns: Sequence[str]) -> Callable[[Row], Mapped]:
    """
    Return the function that maps the rows of one file, for rules and columns that were found in order.

    The function is pure, never raises for what a row may hold, and gives the same bytes for the same row.
    """
    return RowMapper(rules, wire(rules, columns)).map


@dataclass(frozen=True, slots=True)
class Composed:
    """A row that can be sent: its fields, and the body made of them."""

    fields: Mapping[str, Any] = field(repr=False)
    body: Body = field(repr=False)


class RowMapper:
    """
    What one job knows of the rows of one file, looked up once.

    `conversions` are how fields are read, by name; `key` is the field that holds the request key.
    """

    def __init__(self, rules: MappingRules, wiring: Wiring) -> None:
        self._wiring = wiring
        self._charset = rules.charset
        self.conversions = _conversions(rules, wiring)
        self._has_parts = any(name.startswith(PART_OF_BIZ_DATA) for name in wiring.fed())
        self._export = rules.export
        self._rows = Shape(export_schema(rules.export))
        self._bodies = Shape(schema(f"payloads/{rules.api.partition('.')[2]}.json"))
        self._compose = COMPOSE[rules.export]
        self._salt = rules.salt if rules.api is Api.POINTS else ""
        self._seal = SEAL[rules.api]
        self.key = KEY_OF_API[rules.api]
        self._teller = FaultTexts(rules.export, wiring)

    def map(self, row: Row) -> Mapped:
        """Tell the story of one row."""
        if len(row.cells) == self._wiring.width and not self._wiring.filter.wants(row.cells):
            return Filtered(self.key_of(row.cells))
        return self.map_wanted(row)

    def map_wanted(self, row: Row) -> tuple[Payload, ...] | Invalid:
        """Tell the story of one row, whatever the job's filter."""
        composed = self.compose(row)
        return composed if isinstance(composed, Invalid) else self.seal(composed)

    def key_of(self, cells: Sequence[str | None]) -> str | None:
        """Return the request key that a row says, whatever else it says; None where it says none that could be one."""
        text = self._wiring.texts(cells).get(self.key)
        if text is None:
            return None
        fields, breaches = self._read_alone(self.key, text)
        return None if breaches else fields.get(self.key)

    def faults_of(self, name: str, text: str) -> list[Fault]:
        """Return what is wrong with the text of one field, whatever the rest of the row says."""
        fields, breaches = self._read_alone(name, text)
        return [self._teller.fault(breach, {name: text}, fields) for breach in breaches]

    def _read_alone(self, name: str, text: str) -> tuple[dict[str, Any], list[Breach]]:
        found: list[Breach] = []
        fields = self._read(self._carried({name: text}, found), found)
        return fields, found or [*_shape_of_fields(self._export).breaches(fields)]

    def seal(self, composed: Composed) -> tuple[Payload, ...]:
        """Return the payloads of a row that can be sent."""
        return self._seal(composed.fields, composed.body)

    def compose(self, row: Row) -> Composed | Invalid:
        """Tell the story of one row, up to its body."""
        if len(row.cells) != self._wiring.width:
            message = f"the row has {len(row.cells)} cells, and the file has {self._wiring.width} columns"
            return Invalid((Fault(RAGGED, message, rule="has another number of cells than the file has columns"),))
        found: list[Breach] = []
        texts = self._carried(self._wiring.texts(row.cells), found)
        fields = self._read(texts, found)
        if breaches := self._rows.breaches(fields):
            at_fault = {breach.path[0] for breach in found}
            found += (breach for breach in breaches if at_fault.isdisjoint(breach.path[:1]))
        if found:
            return self._invalid(found, texts, fields)
        if self._salt:
            fields[SALT] = self._salt
        body = self._compose(fields)
        found += self._bodies.breaches(body) or _refund_of_itself(body)
        return self._invalid(found, texts, body) if found else Composed(fields, body)

    def _carried(self, texts: dict[str, str], found: list[Breach]) -> dict[str, str]:
        """Return the texts as they are, or with a stand-in for what the request's charset can't carry."""
        together = "".join(texts.values())
        if _UNREAD in together:
            found += (
                Breach(NOT_DECODABLE, (name,), _NOT_READ, "unread_character")
                for name, text in texts.items()
                if _UNREAD in text
            )
        try:
            together.encode(self._charset)
        except UnicodeEncodeError:
            return {name: self._stand_in(name, text, found) for name, text in texts.items()}
        return texts

    def _stand_in(self, name: str, text: str, found: list[Breach]) -> str:
        carried = text.encode(self._charset, "replace").decode(self._charset)
        if carried != text and _UNREAD not in text:
            words = f"holds a character that is no {self._charset} text"
            found.append(Breach(NOT_DECODABLE, (name,), words, "charset"))
        return carried

    def read(self, texts: Mapping[str, str]) -> Mapping[str, Any]:
        """Return texts as the values of their fields; what can't be read stays a text."""
        return self._read(texts, [])

    def _read(self, texts: Mapping[str, str], found: list[Breach]) -> dict[str, Any]:
        """Give each text its type. One that can't be read stays, so that its field does not count as missing."""
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
        return _with_parts_put_together(fields) if self._has_parts else fields

    def _invalid(self, found: Iterable[Breach], texts: Mapping[str, str], fields: Mapping[str, Any]) -> Invalid:
        faults = tuple(self._teller.fault(breach, texts, fields) for breach in found)
        key_is_at_fault = any(breach.path == (self.key,) for breach in found)
        return Invalid(faults, None if key_is_at_fault else fields.get(self.key))


@cache
def _shape_of_fields(export: Export) -> Shape:
    """Return what is asked of each field by itself."""
    document = export_schema(export)
    return Shape({keyword: asked for keyword, asked in document.items() if keyword not in {"required", "allOf"}})


def _conversions(rules: MappingRules, wiring: Wiring) -> Mapping[str, Convert]:
    """Return how each field that the file or a constant feeds is read, where it does not stay as it is."""
    known = ((name, described) for name in wiring.fed() if (described := field_of(rules.export, name)))
    readers = ((name, conversion(described, rules)) for name, described in known)
    return {name: convert for name, convert in readers if convert}


def _with_parts_put_together(fields: dict[str, Any]) -> dict[str, Any]:
    """Make biz_data of its parts. Where a row holds both, both stay, and the schema says what is wrong with that."""
    parts = {name.removeprefix(PART_OF_BIZ_DATA): fields[name] for name in fields if name.startswith(PART_OF_BIZ_DATA)}
    if not parts or "biz_data" in fields:
        return fields
    whole = {name: text for name, text in fields.items() if not name.startswith(PART_OF_BIZ_DATA)}
    return whole | {"biz_data": orjson.dumps(parts, option=orjson.OPT_SORT_KEYS).decode()}


def _refund_of_itself(fields: Mapping[str, Any]) -> tuple[Breach, ...]:
    if "pay_out_biz_no" in fields and fields["pay_out_biz_no"] == fields.get("out_biz_no"):
        words = "is the row's own out_biz_no: a refund can't take back itself"
        return (Breach(INVALID, ("pay_out_biz_no",), words, "refund_of_itself"),)
    return ()
