"""Documents name files of the repository by paths that exist."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])

NAMED = re.compile(r"`((?:pipeline|tests|schemas|sample_data|benchmarks|docs)/[\w./-]*)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_each_path_in_a_document_exists(document: Path) -> None:
    """A path in backticks that begins with a folder of the repository is there."""
    named = NAMED.findall(document.read_text(encoding="utf-8"))

    assert [name for name in named if not (CHECKOUT / name).exists()] == []


def test_design_names_functions_that_exist() -> None:
    """Each function that docs/design.md places in a module is defined there."""
    text = (CHECKOUT / "docs" / "design.md").read_text(encoding="utf-8")
    placed = re.findall(r"`(?:\w+\.)?(\w+)` in `(pipeline/[\w/]+\.py)`", text)

    assert len(placed) >= 10
    assert [
        (name, module)
        for name, module in placed
        if not re.search(rf"^\s*(?:def|class) {name}\b", (CHECKOUT / module).read_text(encoding="utf-8"), re.MULTILINE)
    ] == []
