"""Write the source of the site into a folder: `python -m docs.site build/docs`; then `mkdocs build` makes the site."""

import json
import shutil
import sys
from pathlib import Path

from docs.site.pages import navigation, pages

HERE = Path(__file__).parent


def write_source(folder: Path) -> Path:
    """Write pages, style and config into an empty folder; return the config."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in pages().items():
        page = folder / "pages" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    shutil.copy(HERE / "site.css", folder / "pages")
    config = folder / "mkdocs.yml"
    # JSON is YAML too.
    added = {"INHERIT": str(HERE / "mkdocs.yml"), "docs_dir": "pages", "site_dir": "site", "nav": navigation()}
    config.write_text(json.dumps(added), encoding="utf-8")
    return config


if __name__ == "__main__":
    write_source(Path(sys.argv[1]))
