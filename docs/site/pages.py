"""The pages of the site, put together from the documents of the repository."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.site.diagrams import drawn
from docs.site.markdown import indented, linked, section, slug
from docs.site.reference import CHECKOUT, reference_pages
from docs.site.words import words
from pipeline.language import Language

DOCS = CHECKOUT / "docs"
# Sections of the README that are pages of their own, in English and Chinese.
SECTIONS = {
    "quick-start.md": ("Quick start", "快速开始"),
    "configure.md": ("Config", "配置"),
    "production.md": ("The way to production", "上线步骤"),
}
_READMES = {Language.ENGLISH: "README.md", Language.CHINESE: "docs/README.zh-CN.md"}
# Other documents that are not under docs/, or have another place on the site.
_MOVED = {
    "README.md": "index.md",
    "docs/README.zh-CN.md": "index.zh.md",
    "docs/site/start.md": "index.md",
    "docs/site/start.zh.md": "index.zh.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
}
# Pages that are made (`reference`).
REFERENCE = ("commands", "config", "exports", "outcomes", "errors")
_HOW_TO_FIRST = ("new-export", "fix-and-rerun", "unknown-rows", "second-merchant", "rotate-a-key", "backup-and-restore")


def navigation() -> list[Any]:
    """Return the navigation: how-tos, platforms and decisions are all files of their folders."""
    return [
        {
            "Start": [
                {"Overview": "index.md"},
                "quick-start.md",
                "configure.md",
                "production.md",
                "demo.md",
                "compare.md",
            ]
        },
        {"How-to": [*_how_tos(), "before-settlement.md", "other-senders.md"]},
        {
            "Reference": [
                *(f"reference/{name}.md" for name in REFERENCE),
                *("inputs.md", "values.md", "codes.md", "backup.md"),
                {"Platforms": ["platform/README.md", *_folder("platform")]},
            ]
        },
        {
            "Explanation": [
                *(
                    "guarantees.md",
                    *_folder("explanation"),
                    "ledger.md",
                    "scaling.md",
                    "performance.md",
                    "design.md",
                    "glossary.md",
                ),
                {"Decisions": ["decisions/README.md", *_folder("decisions")]},
            ]
        },
        {"Project": ["project/changelog.md", "project/contributing.md", "project/security.md"]},
    ]


def _folder(name: str) -> list[str]:
    found = sorted(path.name for path in (DOCS / name).glob("*.md"))
    return [f"{name}/{file}" for file in found if file != "README.md" and not file.endswith(".zh.md")]


def _how_tos() -> list[str]:
    first = [f"how-to/{name}.md" for name in _HOW_TO_FIRST]
    return first + [name for name in _folder("how-to") if name not in first]


def places() -> dict[str, str]:
    """Return the page of each document, and of each section of the README that is a page."""
    found = {f"docs/{path.relative_to(DOCS).as_posix()}": path.relative_to(DOCS).as_posix() for path in _documents()}
    for page, headings in SECTIONS.items():
        for readme, heading in zip(_READMES.values(), headings, strict=True):
            found[f"{readme}#{slug(heading)}"] = _page_in(page, readme)
    return found | {f"docs/reference/README.md#{name}": f"reference/{name}.md" for name in REFERENCE} | _MOVED


def _documents() -> Iterator[Path]:
    """Yield the documents under docs/ that are pages as they are."""
    parts = (path for path in sorted(DOCS.rglob("*.md")) if "site" not in path.relative_to(DOCS).parts)
    yield from (path for path in parts if path.name != "README.zh-CN.md")


def _page_in(page: str, readme: str) -> str:
    return page if readme == "README.md" else page.replace(".md", ".zh.md")


def assets() -> dict[str, Path]:
    """Return the other files of the site, by their paths in it: the style, and files that documents link to."""
    linked_files = (path for path in sorted(DOCS.glob("how-to/*/*")) if path.is_file() and path.suffix != ".md")
    return {"site.css": DOCS / "site" / "site.css"} | {path.relative_to(DOCS).as_posix(): path for path in linked_files}


def pages() -> dict[str, str]:
    """Return the Markdown of each page, by its path in the site."""
    known = places()
    files = {document: page for document, page in known.items() if (CHECKOUT / document).is_file()}
    texts = {document: (CHECKOUT / document).read_text(encoding="utf-8") for document in files}
    found = {
        page: linked(texts[document], document, page, known)
        for document, page in files.items()
        if document not in _READMES.values()
    }
    for name, headings in SECTIONS.items():
        for readme, heading in zip(_READMES.values(), headings, strict=True):
            page = _page_in(name, readme)
            text = f"# {heading}\n\n{section(texts[readme], heading)}"
            found[page] = linked(text, readme, page, known)
    finished = {page: indented(drawn(text)) for page, text in found.items()}
    for language, suffix in ((Language.ENGLISH, ""), (Language.CHINESE, ".zh")):
        finished |= {
            f"reference/{name}{suffix}.md": text for name, text in reference_pages(language, words(language)).items()
        }
    return finished
