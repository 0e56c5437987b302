import tomllib
from typing import Any

import jsonschema_rs
import pytest

from pipeline.resources import schema

CONFIG = schema("config.json")


def objects(part: Any) -> list[dict[str, Any]]:
    """Return every schema within a schema that lists the keys of a table."""
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    own = [part] if isinstance(part, dict) and isinstance(part.get("properties"), dict) else []
    return own + [found for one in inner for found in objects(one)]


def test_the_schema_is_a_schema() -> None:
    """The config's schema is valid JSON Schema 2020-12."""
    assert CONFIG["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(CONFIG)


def test_the_sample_fits_the_schema(sample_with_points: str) -> None:
    """The sample of the contract is valid by the schema."""
    assert jsonschema_rs.Draft202012Validator(CONFIG).is_valid(tomllib.loads(sample_with_points))


def test_every_table_is_closed() -> None:
    """No table allows unknown keys, except an account before its platform is known."""
    account = CONFIG["$defs"]["account"]
    conditions = [branch["if"] for branch in account["allOf"]]
    is_open = [part for part in objects(CONFIG) if part.get("additionalProperties") is not False]
    assert is_open == [account, *conditions]


@pytest.mark.parametrize("keyword", ["pattern", "type"])
def test_every_rule_has_words(keyword: str) -> None:
    """Every rule of the schema has a description, because the fault repeats it."""

    def unworded(part: Any) -> list[Any]:
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        has_rule = isinstance(part, dict) and isinstance(part.get(keyword), str | list)
        is_condition = isinstance(part, dict) and "const" in part.get("properties", {}).get("platform", {})
        own = [part] if has_rule and "description" not in part and not is_condition else []
        return own + [found for one in inner for found in unworded(one)]

    assert unworded(CONFIG) == []
