"""A document of the repository as a page of the site: its sections, links, lists and diagrams."""

import posixpath
import re
from collections.abc import Mapping

_FENCE = re.compile(r" *(```+)")
_ITEM = re.compile(r"([-*]|\d+\.) +")
_LINK = re.compile(r"(?<=\]\()([^)\s#:]*)(#[^)\s]*)?(?=\))")


def section(text: str, heading: str) -> str:
    """Return a section of a document, without its heading. Raises ValueError if there is none."""
    _, found, rest = text.partition(f"\n## {heading}\n")
    if not found:
        raise ValueError(f"the document has no section {heading!r}")
    return rest.split("\n## ")[0].strip() + "\n"


def slug(heading: str) -> str:
    """Return the anchor of a heading, as on the site and on GitHub."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower()))


def linked(text: str, source: str, page: str, places: Mapping[str, str]) -> str:
    """
    Return the text with links between documents turned into links between pages.

    - `source`: path of the document in the repository
    - `page`: path of the page in the site
    - `places`: pages by documents, and by `document#anchor` where a section has a page of its own
    """

    def moved(match: re.Match[str]) -> str:
        path, anchor = match[1], match[2] or ""
        if not path:
            return match[0]
        document = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if document + anchor in places:
            target, anchor = places[document + anchor], ""
        elif document in places:
            target = places[document]
        else:
            return match[0]
        return posixpath.relpath(target, posixpath.dirname(page) or ".") + anchor

    return _LINK.sub(moved, text)


def indented(text: str) -> str:
    """Return the text with four blanks for each level of a list. The site's Markdown asks for them."""
    lines: list[str] = []
    levels: list[int] = []
    fence = ""
    for line in text.splitlines():
        blank, indent = not line.strip(), len(line) - len(line.lstrip(" "))
        while levels and not blank and not fence and indent < levels[-1]:
            levels.pop()
        rest = line[levels[-1] if levels else 0 :]
        mark = _FENCE.match(line)
        if mark:
            fence = "" if fence == mark[1] else fence or mark[1]
        item = None if fence or mark else _ITEM.match(rest)
        if item and not levels and lines and lines[-1].strip() and not _is_list(lines[-1]):
            lines.append("")
        lines.append("" if blank else "    " * len(levels) + rest)
        if item:
            levels.append(indent + item.end())
    return "\n".join(lines) + "\n"


def _is_list(line: str) -> bool:
    return line.startswith("    ") or _ITEM.match(line) is not None
