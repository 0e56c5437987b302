"""The documentation site: it builds without a warning, in both languages, and loads nothing from elsewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.site.diagrams import diagrams, drawn
from docs.site.markdown import indented, linked, section
from docs.site.pages import SECTIONS
from tests.report.browser import open_browser

DOCS = Path(__file__).parents[2] / "docs"
# Stands between Chinese words in the index of the search.
MARK = "\u200b"
# What a page loads by itself; a link that a reader follows is no such thing.
LOADED = re.compile(r"<(?:script|img|iframe|source)[^>]+src=\"?https?:|<link[^>]+href=\"?https?:|@import|url\(http")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. A warning of the build is an error."""
    folder = tmp_path_factory.mktemp("docs") / "build"
    command = [sys.executable, "-m", "docs.site", str(folder)]
    done = subprocess.run(command, cwd=DOCS.parent, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "INFO" not in line]) == (0, [])
    return folder / "site"


def test_each_page_is_built_in_both_languages(site: Path) -> None:
    """Each document has a page under / and under /zh/; a Chinese document is the Chinese page."""
    english = {page.parent.relative_to(site) for page in site.rglob("index.html") if "zh" not in page.parts}
    chinese = {page.parent.relative_to(site / "zh") for page in (site / "zh").rglob("index.html")}

    assert english == chinese
    assert {Path(page).with_suffix("") for page in SECTIONS} <= english
    for page in sorted(DOCS.glob("how-to/*.zh.md")):
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        name = page.name.removesuffix(".zh.md")
        assert f">{title}<" in (site / "zh" / "how-to" / name / "index.html").read_text(encoding="utf-8")


def test_each_how_to_is_in_chinese() -> None:
    """Each how-to has its Chinese page."""
    names = {page.name for page in DOCS.glob("how-to/*.md")}

    assert {name for name in names if not name.endswith(".zh.md")} == {
        name.replace(".zh.md", ".md") for name in names if name.endswith(".zh.md")
    }


def test_no_page_loads_from_elsewhere(site: Path) -> None:
    """Scripts, styles, fonts and images are files of the site."""
    pages = [*site.rglob("*.html"), *site.rglob("site.css")]

    assert [page for page in pages if LOADED.search(page.read_text(encoding="utf-8"))] == []


def test_a_browser_asks_no_other_host(site: Path, tmp_path: Path) -> None:
    """A page with a diagram, opened in a browser, loads files of the site only, and shows the diagram."""
    with open_browser(tmp_path) as browser:
        browser.open(site / "explanation" / "keys" / "index.html")

        assert browser.run("document.querySelectorAll('.diagram svg .node').length") > 5
        assert [address for address in browser.requests if not address.startswith(("file:", "data:"))] == []


def test_the_search_finds_chinese_words(site: Path) -> None:
    """A word within a sentence begins after a mark, so that the search finds it by its beginning."""
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    text = "".join(entry["text"] for entry in index["docs"])

    assert {"快速开始", "错误码目录"} <= {entry["title"].replace(MARK, "") for entry in index["docs"]}
    assert [word for word in ("退款", "公钥", "账本", "配额", "余额") if f"{MARK}{word}" not in text] == []


def test_each_diagram_is_drawn_as_it_is_written() -> None:
    """Each `mermaid` block has a name and an up-to-date drawing, and each drawing has a block."""
    pages = [page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md")]

    assert "```mermaid" not in "".join(map(drawn, pages))
    assert {path.stem for path in DOCS.glob("diagrams/*.svg")} == set(diagrams())


def test_an_old_drawing_is_refused() -> None:
    """A diagram that changed is not shown as it was."""
    with pytest.raises(ValueError, match=r"docs/diagrams/keys\.svg is missing, or its diagram changed"):
        drawn("```mermaid\n%% keys: Keys\nflowchart LR\n  a --> b\n```\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1. a\n   b\n\n   ```\n   c\n   ```\n", "1. a\n    b\n\n    ```\n    c\n    ```\n", id="numbers"),
        pytest.param("- a\n  - b\n    c\nd\n", "- a\n    - b\n        c\nd\n", id="levels"),
        pytest.param("text:\n- a\n- b\n", "text:\n\n- a\n- b\n", id="after-a-paragraph"),
        pytest.param("```\n- a\n  - b\n```\n", "```\n- a\n  - b\n```\n", id="code"),
    ],
)
def test_lists_have_the_form_of_the_site(text: str, expected: str) -> None:
    """Each level of a list is four blanks; code stays as it is."""
    assert indented(text) == expected


def test_links_between_documents_lead_to_pages() -> None:
    """A link to a document, or to a section with a page of its own, becomes a link to that page."""
    places = {"README.md": "index.md", "README.md#quick-start": "quick-start.md", "docs/backup.md": "backup.md"}
    text = "[a](../../README.md#quick-start) [b](../backup.md#restore) [c](https://a.example) [d](#here)"

    assert linked(text, "docs/how-to/x.md", "how-to/x.md", places) == (
        "[a](../quick-start.md) [b](../backup.md#restore) [c](https://a.example) [d](#here)"
    )


def test_a_section_that_is_gone_is_an_error() -> None:
    """A page is never empty because a heading of the README changed."""
    with pytest.raises(ValueError, match="no section 'Config'"):
        section("# a\n\n## Configuration\n\nb\n", "Config")
