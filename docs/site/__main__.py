"""Build the site: `python -m docs.site build/docs` writes its source and the site itself, `build/docs/site`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from docs.site.pages import assets, navigation, pages
from docs.site.search import with_words

HERE = Path(__file__).parent


def write_source(folder: Path) -> Path:
    """Write pages, other files and config into an empty folder; return the config."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in pages().items():
        page = folder / "pages" / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
    for name, file in assets().items():
        (folder / "pages" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder / "pages" / name)
    config = folder / "mkdocs.yml"
    # JSON is YAML too.
    added = {"INHERIT": str(HERE / "mkdocs.yml"), "docs_dir": "pages", "site_dir": "site", "nav": navigation()}
    config.write_text(json.dumps(added), encoding="utf-8")
    return config


def build_site(folder: Path) -> int:
    """Build the site; return the exit code of MkDocs, which is 1 after a warning."""
    config = write_source(folder)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(config)]
    # The theme advertises its successor.
    done = subprocess.run(command, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, check=False)
    if done.returncode == 0:
        index = folder / "site" / "search" / "search_index.json"
        words = with_words(json.loads(index.read_text(encoding="utf-8")))
        index.write_text(json.dumps(words, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    return done.returncode


if __name__ == "__main__":
    sys.exit(build_site(Path(sys.argv[1])))
