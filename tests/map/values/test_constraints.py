"""The rules of a schema that this program understands."""

from typing import Any

import pytest

from pipeline.map.fields import APIS_OF_EXPORT, export_schema
from pipeline.map.values.constraints import UnknownKeyword, deciding_fields, is_implied, rule_at
from pipeline.model import Export
from pipeline.resources import schema

DECIDING = {
    Export.ORDERS: {"biz_action", "cumulate_data_type"},
    Export.TASKS: {"biz_action"},
    Export.POINTS: set[str](),
    Export.STATES: set[str](),
}


@pytest.mark.parametrize("export", Export)
def test_the_deciding_fields_of_each_schema(export: Export) -> None:
    """In each schema of rows and payloads, exactly these fields decide about others."""
    payloads = [schema(f"payloads/{api.partition('.')[2]}.json") for api in APIS_OF_EXPORT[export]]

    assert deciding_fields(export_schema(export)) == DECIDING[export]
    assert all(deciding_fields(payload) <= {"biz_action", "cumulate_data_type"} for payload in payloads)


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
def test_a_field_decides_if_a_rule_reads_its_value(part: dict[str, Any], names: set[str]) -> None:
    """Presence alone does not make a field decide, because alike rows share it."""
    assert deciding_fields({"type": "object", "allOf": [part]}) == names


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"unevaluatedProperties": False}, id="keyword-of-the-document"),
        pytest.param({"allOf": [{"maxProperties": 3}]}, id="keyword-of-a-condition"),
        pytest.param({"allOf": [{"patternProperties": {"^a": {"const": 1}}}]}, id="names-by-pattern"),
    ],
)
def test_an_unknown_keyword_is_refused(document: dict[str, Any]) -> None:
    """A schema with an unknown keyword raises UnknownKeyword."""
    with pytest.raises(UnknownKeyword):
        deciding_fields(document)


@pytest.mark.parametrize(
    ("node", "rule"),
    [
        pytest.param({"$ref": "#/$defs/text", "maxLength": 3}, {"type": "string", "maxLength": 3}, id="refined"),
        pytest.param({"type": "string", "description": "x", "x-private": True}, {"type": "string"}, id="notes"),
    ],
)
def test_the_rule_of_a_value_has_no_notes(node: dict[str, Any], rule: dict[str, Any]) -> None:
    """A definition and its refinement are merged into one rule."""
    document = {"$defs": {"text": {"type": "string"}}, "properties": {"a": {"items": node}}}

    assert rule_at(document, ("a", 0)) == rule


@pytest.mark.parametrize(
    "node",
    [
        pytest.param({"$ref": "#/$defs/none"}, id="no-definition"),
        pytest.param({"$ref": "#/$defs/text", "maxLength": 3}, id="contradiction"),
        pytest.param(True, id="anything"),
    ],
)
def test_an_unclear_rule_is_refused(node: Any) -> None:
    """A rule that is composed in an unknown way raises UnknownKeyword."""
    with pytest.raises(UnknownKeyword):
        rule_at({"$defs": {"text": {"maxLength": 9}}, "properties": {"a": node}}, ("a",))


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
def test_a_stricter_rule_implies_a_rule(rule: dict[str, Any], than: dict[str, Any], holds: bool) -> None:
    """A rule is implied if its bounds are wider and the rest is equal."""
    assert is_implied(rule, than) is holds
