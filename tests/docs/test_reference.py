"""The reference of the site has all that the program has, in English and in Chinese."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from docs.site.reference import EXPORTS, config_keys, options_of, reference_pages, subcommands
from docs.site.words import translations, words
from pipeline.language import Language, catalogue
from pipeline.model import Status
from pipeline.report.files.record import OUTCOME_COLUMNS
from pipeline.resources import schema
from pipeline.write.answers.catalogue import RULES
from pipeline.write.answers.matrix.alipay import ALIPAY_CODES
from pipeline.write.answers.matrix.wechatpay import INNER_NUMBERS, WECHATPAY_CODES

PAGES = {language: reference_pages(language, words(language)) for language in Language}
LANGUAGES = pytest.mark.parametrize("language", list(Language))
CODES = ALIPAY_CODES + WECHATPAY_CODES
# Texts of the program, which its own catalogue translates.
ADVICE = {codes.advice for codes in CODES} | {rule.advice for rule in RULES.values()}
PROGRAM_TEXTS = ADVICE | {rule.happened for rule in RULES.values()} | set(INNER_NUMBERS.values())


def rows(page: str, heading: str = "") -> list[list[str]]:
    """Return the cells of the tables under a heading, or of all, without heads and rules."""
    text = re.split(r"(?m)^## ", page.partition(f"\n## {heading}\n")[2] if heading else page)
    lines = [line for line in (text[0] if heading else page).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row, below in zip(cells, [*cells[1:], [""]], strict=True) if "---" not in {row[0], below[0]}]


def names(table: list[list[str]]) -> list[str]:
    """Return the names in the first column: the text of its code."""
    return [
        name for row in table for name in re.findall(r"`([^`]+)`|<code>(.+?)</code>", row[0]) for name in name if name
    ]


def property_names(rule: Any) -> Iterator[str]:
    """Yield the name of each property in a schema."""
    if isinstance(rule, dict):
        yield from rule["properties"] if isinstance(rule.get("properties"), dict) else ()
        for inner in rule.values():
            yield from property_names(inner)
    elif isinstance(rule, list):
        for inner in rule:
            yield from property_names(inner)


@LANGUAGES
def test_each_command_has_its_options(language: Language) -> None:
    """Each command has a section, with each argument and option and a sentence for each option."""
    page = PAGES[language]["commands"]

    assert re.findall(r"(?m)^## backfill (\w+)$", page) == list(subcommands())
    for name, parser in subcommands().items():
        table = rows(page, f"backfill {name}")
        options = [option for action in options_of(parser) for option in action.option_strings]
        assert [option for option in options if option not in " ".join(row[0] for row in table)] == []
        assert len(table) == len(options_of(parser))
        assert [row for row in table if row[0].startswith("`--") and not row[1]] == []


@LANGUAGES
def test_each_key_of_the_config_is_explained(language: Language) -> None:
    """Each property of schemas/config.json that is no table has a line, with its meaning and values."""
    table = rows(PAGES[language]["config"])
    tables = {name for key in config_keys() for name in key.table.split(".")}

    assert set(property_names(schema("config.json"))) - tables <= set(names(table))
    assert len(table) == len(config_keys())
    assert [row for row in table if not row[1] or not row[2]] == []


@LANGUAGES
@pytest.mark.parametrize("export", EXPORTS)
def test_each_field_of_an_export_is_explained(export: str, language: Language) -> None:
    """Each field has a line in the order of the schema; required ones are bold."""
    document = schema(f"exports/{export}.json")
    table = rows(PAGES[language]["exports"], export)

    assert [name for name in names(table) if name != "biz_data.NAME"] == list(document["properties"])
    assert {name for row in table if row[0].startswith("**") for name in names([row])} == set(document["required"])
    assert [row for row in table if not row[1] or not row[2]] == []


def test_each_export_has_a_schema() -> None:
    """The page has all kinds of exports that a job may have."""
    assert schema("config.json")["$defs"]["job"]["properties"]["export"]["enum"] == list(EXPORTS)


@LANGUAGES
def test_outcomes_are_whole(language: Language) -> None:
    """Exit codes, statuses and columns are all there, in their order."""
    page = PAGES[language]["outcomes"]
    say = words(language)

    assert [row[0] for row in rows(page, say("Exit codes"))] == ["0", "1", "2", "3", "4", "5", "6"]
    assert names(rows(page, say("Statuses"))) == list(Status)
    assert names(rows(page, say("Columns of the outcome file"))) == list(OUTCOME_COLUMNS)


@LANGUAGES
def test_each_code_has_cause_and_fix(language: Language) -> None:
    """Each code of a platform, each inner error number and each code of our own for an answer has cause and fix."""
    page = PAGES[language]["errors"]
    listed = names(rows(page))
    own = {rule.code for rule in RULES.values() if "{" not in rule.code}

    assert {name for codes in CODES for name in codes.names} | set(INNER_NUMBERS) | own <= set(listed)
    assert [row for row in rows(page) if not all(row)] == []
    assert {status for rule in RULES.values() for status in rule.statuses if rule.advice} <= statuses(page)


def statuses(page: str) -> set[int]:
    """Return the HTTP statuses on the page."""
    ranges = re.findall(r"(\d{3})(?:-(\d{3}))?", " ".join(re.findall(r"`http_N` \(([^)]*)\)", page)))
    return {status for first, last in ranges for status in range(int(first), int(last or first) + 1)}


def test_each_text_of_the_reference_is_in_chinese() -> None:
    """docs/site/zh.toml has each text that the program does not say itself, and no text that the pages lack."""
    said: set[str] = set()

    def say(text: str) -> str:
        said.add(text)
        return text

    reference_pages(Language.ENGLISH, say)

    assert said - set(translations()) - set(catalogue()) - PROGRAM_TEXTS == set()
    assert set(translations()) - said == set()
