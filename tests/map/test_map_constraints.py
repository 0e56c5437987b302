"""What is known of a schema, and what is not taken for known."""

from typing import Any

import pytest

from pipeline.map.fields import API_OF_EXPORT, export_schema
from pipeline.map.values.constraints import Unfamiliar, asked_at, asks_no_more, looked_at
from pipeline.model import Export
from pipeline.resources import schema

DECIDING = {
    Export.ORDERS: {"biz_action", "cumulate_data_type"},
    Export.TASKS: {"biz_action"},
    Export.POINTS: set[str](),
    Export.STATES: set[str](),
}


@pytest.mark.parametrize("export", Export)
def test_the_fields_that_decide_are_found(export: Export) -> None:
    """In each schema of ours, of rows and of payloads, the same fields decide about others."""
    payload = schema(f"payloads/{API_OF_EXPORT[export].partition('.')[2]}.json")

    assert looked_at(export_schema(export)) == DECIDING[export]
    assert looked_at(payload) <= {"biz_action", "cumulate_data_type"}


@pytest.mark.parametrize(
    ("part", "names"),
    [
        pytest.param({"required": ["a"], "dependentRequired": {"a": ["b"]}}, set(), id="presence"),
        pytest.param({"if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["b"]}}, {"a"}, id="value"),
        pytest.param({"anyOf": [{"not": {"properties": {"a": {"minLength": 2}}}}]}, {"a"}, id="deep"),
        pytest.param({"dependentSchemas": {"a": {"properties": {"b": False}}}}, set(), id="must-not-be-there"),
        pytest.param({"properties": {"a": {"properties": {"b": {"enum": [1]}}}}}, {"b"}, id="within"),
    ],
)
def test_a_field_decides_where_its_value_is_looked_at(part: dict[str, Any], names: set[str]) -> None:
    """Presence alone decides nothing that rows which are alike do not share."""
    assert looked_at({"type": "object", "allOf": [part]}) == names


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"unevaluatedProperties": False}, id="keyword-of-the-document"),
        pytest.param({"allOf": [{"maxProperties": 3}]}, id="keyword-of-a-condition"),
        pytest.param({"allOf": [{"patternProperties": {"^a": {"const": 1}}}]}, id="names-by-pattern"),
    ],
)
def test_a_keyword_that_is_not_known_is_told(document: dict[str, Any]) -> None:
    """A schema that says more than this program understands is not guessed at."""
    with pytest.raises(Unfamiliar):
        looked_at(document)


@pytest.mark.parametrize(
    ("node", "asked"),
    [
        pytest.param({"$ref": "#/$defs/text", "maxLength": 3}, {"type": "string", "maxLength": 3}, id="refined"),
        pytest.param({"type": "string", "description": "x", "x-private": True}, {"type": "string"}, id="notes"),
    ],
)
def test_what_is_asked_of_a_value_is_told_without_notes(node: dict[str, Any], asked: dict[str, Any]) -> None:
    """A definition and what refines it are one rule."""
    document = {"$defs": {"text": {"type": "string"}}, "properties": {"a": {"items": node}}}

    assert asked_at(document, ("a", 0)) == asked


@pytest.mark.parametrize(
    "node",
    [
        pytest.param({"$ref": "#/$defs/none"}, id="no-definition"),
        pytest.param({"$ref": "#/$defs/text", "maxLength": 3}, id="contradiction"),
        pytest.param(True, id="anything"),
    ],
)
def test_what_can_not_be_told_of_a_value_is_not_guessed(node: Any) -> None:
    """A rule that is put together in a way not known is no rule that anything is held to."""
    with pytest.raises(Unfamiliar):
        asked_at({"$defs": {"text": {"maxLength": 9}}, "properties": {"a": node}}, ("a",))


@pytest.mark.parametrize(
    ("rule", "than", "holds"),
    [
        pytest.param({"maxLength": 9}, {"maxLength": 8}, True, id="longer"),
        pytest.param({"maxLength": 8}, {"maxLength": 9}, False, id="shorter"),
        pytest.param({"minimum": 0}, {"minimum": 1}, True, id="lower"),
        pytest.param({"pattern": "^a$"}, {"pattern": "^b$"}, False, id="another-pattern"),
        pytest.param({"maxLength": 8}, {}, False, id="nothing-known"),
        pytest.param({}, {"maxLength": 8}, True, id="nothing-asked"),
    ],
)
def test_a_rule_is_kept_by_what_keeps_a_stricter_one(rule: dict[str, Any], than: dict[str, Any], holds: bool) -> None:
    """Bounds may be wider; all else has to be the same."""
    assert asks_no_more(rule, than) is holds
