"""The catalogue of texts."""

import re
from pathlib import Path
from string import Formatter

import pytest

from pipeline.language import Language, language_of
from pipeline.model import Status
from pipeline.report.texts import Texts, catalogue

REPORT = Path(__file__).parents[2] / "pipeline" / "report"


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("name", catalogue())
def test_a_text_is_in_each_language(name: str) -> None:
    """Each text has both languages, each in its own script; no language has a value that English lacks."""
    texts = catalogue()[name]

    assert set(texts) == set(Language)
    assert fields(texts["zh"]) <= fields(texts["en"])
    assert fields(texts["zh"]) | {"count"} == fields(texts["en"]) | {"count"}
    assert re.search(r"[\u4e00-\u9fff]", texts["zh"])
    assert not re.search(r"[\u4e00-\u9fff]", texts["en"])


def test_each_text_is_used() -> None:
    """The catalogue has no text that nothing shows."""
    sources = "".join((REPORT / name).read_text(encoding="utf-8") for name in (
        "advice.py", "charts.py", "page.py", "report.html.template"
    ))  # fmt: skip
    composed = {f"meaning_{status}" for status in Status} | {f"verdict_{exit_code}" for exit_code in range(6)}

    unused = {name for name in catalogue() if f'"{re.sub("_(one|many)$", "", name)}"' not in sources}

    assert unused == composed


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        pytest.param({}, Language.ENGLISH, id="none"),
        pytest.param({"LANG": "C.UTF-8"}, Language.ENGLISH, id="C"),
        pytest.param({"LANG": "de_DE.UTF-8"}, Language.ENGLISH, id="another one"),
        pytest.param({"LANG": "zh_CN.UTF-8"}, Language.CHINESE, id="Chinese"),
        pytest.param({"LANG": "zh"}, Language.CHINESE, id="Chinese, short"),
    ],
)
def test_the_language_is_that_of_lang(environ: dict[str, str], language: Language) -> None:
    """LANG decides; English is for all other languages."""
    assert language_of(environ) is language


@pytest.mark.parametrize(("count", "text"), [(1, "1 row"), (0, "0 rows"), (1234, "1,234 rows")])
def test_a_number_of_rows_has_its_plural(count: int, text: str) -> None:
    """1 has its own text; large numbers have separators."""
    assert Texts().rows("rows", count) == text
