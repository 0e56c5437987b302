"""The platform facts in docs/platform/ agree with the code that rests on them."""

import re
from pathlib import Path

import pytest

from pipeline.model import Api
from pipeline.write.answers.catalogue import RULES
from pipeline.write.answers.matrix.alipay import ALIPAY_CODES
from pipeline.write.answers.matrix.condition import Codes, Condition
from pipeline.write.answers.matrix.wechatpay import INNER_NUMBERS, WECHATPAY_CODES

CHECKOUT = Path(__file__).parents[2]
PLATFORM = CHECKOUT / "docs" / "platform"
MODULES = sorted((CHECKOUT / "pipeline").rglob("*.py"))

# `docs/platform/x.md`, `docs/x.md`, or the bare name of a page about a platform.
PAGE = re.compile(r"(docs/[\w/.-]+\.md|(?<![\w/])(?:alipay|wechatpay|retry)-[\w-]+\.md)")
CITED_SECTION = re.compile(r"((?:alipay|wechatpay)-[\w-]+\.md),\s+sections?\s+(\d(?:\.\d)?)")
PAGES_OF = {
    Api.CUMULATION: ["alipay-v3-cumulation.md"],
    # The common codes of v3 hold at the gateway too.
    Api.STATE: ["alipay-gateway-state-sync.md", "alipay-v3-cumulation.md"],
    Api.POINTS: ["wechatpay-v3-points.md"],
    Api.BRAND_POINTS: ["wechatpay-brand-points.md", "wechatpay-v3-points.md"],
}


def page(name: str) -> str:
    return (PLATFORM / name).read_text(encoding="utf-8")


def place_of(name: str) -> Path:
    return CHECKOUT / name if "/" in name else PLATFORM / name


def matrix_rows() -> dict[str, list[str]]:
    """Return the cells of the retry matrix by the name of the condition."""
    rows = (line.strip("|").split("|") for line in page("retry-matrix.md").splitlines() if line.startswith("| "))
    cells = ([cell.strip() for cell in row] for row in rows)
    return {first: rest for first, *rest in cells if re.fullmatch(r"[A-Z][A-Z0-9_]+", first)}


def named_in_modules(pattern: re.Pattern[str]) -> list[tuple[str, str, str]]:
    """Return module, page and section (maybe empty) of all that the modules name."""
    found = ((module, match) for module in MODULES for match in pattern.finditer(module.read_text(encoding="utf-8")))
    return [
        (str(module.relative_to(CHECKOUT)), match[1], match[2] if match.re.groups > 1 else "")
        for module, match in found
    ]


def test_each_page_that_a_module_names_exists() -> None:
    """A document named in a docstring, a comment or a message is in docs/."""
    named = named_in_modules(PAGE)

    assert named
    assert [(module, name) for module, name, _ in named if not place_of(name).is_file()] == []


def test_each_section_that_a_module_names_exists() -> None:
    """A section of a platform page named in a docstring has a heading with its number."""
    named = named_in_modules(CITED_SECTION)

    assert named
    assert [cited for cited in named if not re.search(rf"^##+ {cited[2]}\.? ", page(cited[1]), re.MULTILINE)] == []


def test_the_retry_matrix_has_each_condition() -> None:
    """docs/platform/retry-matrix.md has one line for each condition, by its name."""
    assert sorted(matrix_rows()) == sorted(condition.name for condition in Condition)


@pytest.mark.parametrize("condition", list(Condition), ids=lambda condition: condition.name)
def test_the_retry_matrix_has_the_actions_of_the_code(condition: Condition) -> None:
    """The actions of a condition, for each API, are those of its rule; without a rule the cells are empty."""
    rule = RULES.get(condition)
    actions = ["", "", ""] if rule is None else [action.value if action else "-" for action in rule.actions]

    assert matrix_rows()[condition.name][1:4] == actions


@pytest.mark.parametrize("condition", list(RULES), ids=lambda condition: condition.name)
def test_the_retry_matrix_has_the_doubt_of_the_code(condition: Condition) -> None:
    """A condition in which the platform may have applied the request says so."""
    cells = matrix_rows()[condition.name]

    assert ("yes" in cells[4:5]) is RULES[condition].may_have_acted


@pytest.mark.parametrize("codes", ALIPAY_CODES + WECHATPAY_CODES, ids=lambda codes: codes.names[0])
def test_the_pages_have_each_code(codes: Codes) -> None:
    """Each code that the program knows at an API stands on a page about that API."""
    texts = {api: "".join(page(name) for name in PAGES_OF[api]) for api in codes.apis}

    assert [(api, name) for api, text in texts.items() for name in codes.names if f"`{name}`" not in text] == []


def test_the_page_has_each_inner_error_number() -> None:
    """Each inner error number that the program knows stands on the page of the points sync."""
    text = page("wechatpay-v3-points.md")

    assert INNER_NUMBERS
    assert [number for number in INNER_NUMBERS if f"`{number}`" not in text] == []
