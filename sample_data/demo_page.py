"""Put what demo.sh printed, read from stdin, into a page: `demo_page.py docs/demo.md`. Paths of this machine go."""

import re
import sys
from pathlib import Path

BLOCK = re.compile(r"(?s)(?<=\n```\n).*?(?=```\n)")


def main(page: Path) -> None:
    """Replace the page's first block of code."""
    checkout = Path(__file__).resolve().parents[1]
    printed = sys.stdin.read().replace(f"{checkout}/", "")
    text, blocks = BLOCK.subn(lambda _: printed, page.read_text(encoding="utf-8"), count=1)
    if "no key was applied twice" not in printed or blocks != 1:
        sys.exit(f"{page} stays as it is: the demo did not run to its end, or the page has no block")
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
