"""
The diagrams of the documents as SVG.

A document has a diagram as a `mermaid` block, which begins with `%% NAME: TITLE`. The drawing is
`docs/diagrams/NAME.svg`, so that the site needs no script. `make diagrams` draws all of them:
`python -m docs.site.diagrams path/to/mermaid.min.js`. It needs chromium.
"""

import hashlib
import html
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parents[1]
FOLDER = DOCS / "diagrams"

_BLOCK = re.compile(r"(?ms)^```mermaid\n%% ([\w-]+): ([^\n]+)\n(.*?)^```$")
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=60000", "--dump-dom")
_PAGE = """<!doctype html><meta charset="utf-8"><body><script src="%s"></script><script>
mermaid.initialize({startOnLoad: false, htmlLabels: false, flowchart: {htmlLabels: false}, fontFamily: "sans-serif"});
(async () => { for (const [name, text] of Object.entries(%s)) {
  const drawing = document.createElement("pre");
  drawing.id = name;
  drawing.textContent = (await mermaid.render("d-" + name, text)).svg;
  document.body.append(drawing);
} })();
</script>"""
# The site's own style and title take the place of these.
_DROPPED = re.compile(r'(?s)<style>.*?</style>| data-[\w-]+="[^"]*"| style="[^"]*"| font-(?:style|weight)="normal"')
# Each word of a label is a part of its own.
_WORDS = re.compile(r'</tspan><tspan class="text-inner-tspan">')
_MARKER = re.compile(r'(?s)<marker id="([^"]+)".*?</marker>')


def drawn(text: str) -> str:
    """Return the document with its diagrams as SVG. Raises ValueError if a drawing is missing or old."""

    def svg(match: re.Match[str]) -> str:
        name, title, source = match.groups()
        drawing = FOLDER / f"{name}.svg"
        if not drawing.is_file() or f'data-source="{digest(source)}"' not in drawing.read_text(encoding="utf-8"):
            raise ValueError(f"docs/diagrams/{name}.svg is missing, or its diagram changed: run `make diagrams`")
        picture = drawing.read_text(encoding="utf-8").strip()
        kind = " states" if source.startswith("stateDiagram") else ""
        return f'<div class="diagram{kind}" role="img" aria-label="{html.escape(title)}">\n{picture}\n</div>'

    return _BLOCK.sub(svg, text)


def diagrams() -> dict[str, str]:
    """Return the diagrams of all documents, by name."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md")))
    return {name: source for text in texts for name, _, source in _BLOCK.findall(text)}


def digest(source: str) -> str:
    """Return a short digest of a diagram: its drawing has it."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def draw(script: Path) -> None:
    """Draw each diagram into docs/diagrams/, and delete drawings of no diagram."""
    sources = diagrams()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(_PAGE % (script.resolve().as_uri(), json.dumps(sources)), encoding="utf-8")
        done = subprocess.run(["chromium", *_OPTIONS, page.as_uri()], capture_output=True, encoding="utf-8", check=True)
    drawings = dict(re.findall(r'(?s)<pre id="([^"]+)">(.*?)</pre>', done.stdout))
    for old in FOLDER.glob("*.svg"):
        old.unlink()
    FOLDER.mkdir(exist_ok=True)
    for name, source in sources.items():
        (FOLDER / f"{name}.svg").write_text(_plain(html.unescape(drawings[name]), digest(source)), encoding="utf-8")


def _plain(svg: str, source: str) -> str:
    """Return a drawing without styles and unused markers."""
    width = re.search(r"max-width: ([\d.]+)px", svg)
    plain = _DROPPED.sub("", svg)
    used = set(re.findall(r"url\(#([^)]+)\)", plain))
    plain = _MARKER.sub(lambda match: match[0] if match[1] in used else "", plain)
    plain = _WORDS.sub("", plain)
    plain = re.sub(r"(?s)<defs><filter.*?</defs>|<linearGradient.*?</linearGradient>", "", plain)
    size = f' width="{width[1]}"' if width else ""
    return plain.replace(' width="100%"', f'{size} data-source="{source}"', 1) + "\n"


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
