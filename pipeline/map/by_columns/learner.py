"""Learn a template by mapping one row in which markers replace the plain texts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from pipeline.map.bind import Composed, RowMapper
from pipeline.map.by_columns.feeds import Feed
from pipeline.map.by_columns.template import DERIVED_NUMBER, InvalidRows, Pieces, Template, cut, gaps_of, is_one_gap
from pipeline.map.compose import number_parts
from pipeline.map.fields import export_schema
from pipeline.map.rules import MappingRules
from pipeline.map.seal import LANE
from pipeline.map.values.constraints import Schema, UnknownKeyword, deciding_fields, is_implied, rule_at
from pipeline.model import Invalid, Payload, Row, digest
from pipeline.resources import schema
from pipeline.tables.text_columns import column_of

# First numbers of the markers in two tries. A fault shows the length of a text, so the second try has longer markers.
_VARIANTS = (0, 1000)


class Learner:
    """Learns the template of rows that are alike."""

    def __init__(self, rules: MappingRules, rows: RowMapper) -> None:
        self._api = rules.api
        self._rows = rows
        self._export = export_schema(rules.export)
        self._payload = schema(f"payloads/{rules.api.partition('.')[2]}.json")

    def learn(self, cells: Sequence[str | None], gaps: Sequence[Feed]) -> Template | InvalidRows | None:
        """
        Return the template of all rows that differ from this one only in the plain texts at `gaps`.

        Return None if the result depends on these texts. To find that out, the row is mapped twice with different
        markers, and both templates must be equal.
        """
        one, other = (self._learn(cells, gaps, variant) for variant in _VARIANTS)
        return one if one == other else None

    def _learn(self, cells: Sequence[str | None], gaps: Sequence[Feed], variant: int) -> Template | InvalidRows | None:
        marked, markers = list(cells), dict[str, str]()
        first = {feed.column: feed for feed in reversed(gaps)}
        for number, (column, feed) in enumerate(first.items(), variant):
            marked[column] = feed.column_reader.marker(number) if feed.column_reader else None
        if any(not feed.reads_like(first[feed.column]) for feed in gaps):
            return None
        for feed in gaps:
            text = _as_read(feed, marked[feed.column])
            if text is None:
                return None
            markers.setdefault(text, feed.name)
        composed = self._rows.compose(Row(1, tuple(marked)))
        if isinstance(composed, Invalid):
            key = composed.request_key
            return InvalidRows(composed.faults, None if key is None else cut(key, markers))
        return self._template(
            composed, markers, {feed.name: feed.column_reader.rule for feed in gaps if feed.column_reader}
        )

    def _template(self, composed: Composed, markers: dict[str, str], rules: Mapping[str, Schema]) -> Template | None:
        payloads = self._rows.seal(composed)
        if len(payloads) != 1:
            return None
        (payload,) = payloads
        made_of = number_parts(composed.fields) if payload.key_is_derived else ()
        if made_of:
            markers[digest(*made_of).hex()] = DERIVED_NUMBER
        template = _cut(payload, LANE[self._api](composed.fields), made_of, markers)
        parts = (*template.lane, *template.made_of)
        is_known = all(len(pieces) == 1 or is_one_gap(pieces) for pieces in parts)
        return template if is_known and self._keeps_rules(payload.body, markers, rules) else None

    def _keeps_rules(self, body: bytes, markers: Mapping[str, str], rules: Mapping[str, Schema]) -> bool:
        """Return whether the body keeps the payload's schema with any plain texts in the gaps."""
        try:
            return all(
                self._is_kept(path, cut(text, markers), rules) for path, text in _values_of(orjson.loads(body), ())
            )
        except UnknownKeyword:
            return False

    def _is_kept(self, path: tuple[str | int, ...], pieces: Pieces, rules: Mapping[str, Schema]) -> bool:
        gaps = [name for name in gaps_of(pieces) if name != DERIVED_NUMBER]  # its form is always the same
        if not gaps:
            return True
        if not deciding_fields(self._payload).isdisjoint(map(str, path)):
            return False
        rule = rule_at(self._payload, path)
        if is_one_gap(pieces):
            return is_implied(rule, rules[gaps[0]])
        # A text joined from several must keep the export's rule too.
        longest = sum(map(len, pieces[::2])) + sum(rules[name].get("maxLength", 0) for name in gaps)
        whole = {"type": "string", "maxLength": longest}
        is_bounded = all(rules[name].get("type") == "string" and "maxLength" in rules[name] for name in gaps)
        return is_bounded and is_implied(rule, whole) and is_implied(rule_at(self._export, path[-1:]), whole)


def _as_read(feed: Feed, marker: str | None) -> str | None:
    """Return a marker as the body holds it; None if it is not plain for this field, or a word of the export."""
    reading = feed.column_reader.read(column_of([marker])) if feed.column_reader and marker not in feed.words else None
    if reading is None or (reading.odd is not None and reading.odd.any()):
        return None
    text: str | None = reading.texts[0].as_py()
    return text


def _cut(payload: Payload, lane: Sequence[str], made_of: Sequence[str], markers: Mapping[str, str]) -> Template:
    balance = payload.balance
    dated = balance or payload.state
    texts = {
        "body": payload.body.decode(),
        "request_key": payload.request_key,
        "identity": payload.identity,
        "refund_of": payload.refund_of,
        "points": str(balance.points) if balance else None,
        "version": dated.version if dated else None,
        "agreement": payload.agreement,
        "openid": payload.openid,
    }
    return Template(
        texts={name: cut(text, markers) for name, text in texts.items() if text is not None},
        lane=tuple(cut(part, markers) for part in lane),
        made_of=tuple(cut(part, markers) for part in made_of),
    )


def _values_of(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield each scalar of a body with its path, as JSON text without quotes."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from _values_of(inner, (*path, name))
        case list():
            for at, inner in enumerate(value):
                yield from _values_of(inner, (*path, at))
        case str():
            yield path, orjson.dumps(value)[1:-1].decode()
        case _:
            yield path, orjson.dumps(value).decode()
