"""
Words for the search of Chinese text.

The search finds words by their beginning, and Chinese has no blanks between words. Most words have two characters. So
two characters that often stand together in the pages are taken as a word, and a mark without width goes before it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

_RUN = re.compile(r"[\u4e00-\u9fff]+")
_MARK = "\u200b"
# Pairs that come less often are seldom words.
_OFTEN = 4


def with_words(index: Mapping[str, Any]) -> dict[str, Any]:
    """Return the index of the search with a mark before each Chinese word."""
    pairs = _pairs(text for entry in index["docs"] for text in (entry["title"], entry["text"]))
    docs = [
        entry | {name: _RUN.sub(lambda run: _marked(run[0], pairs), entry[name]) for name in ("title", "text")}
        for entry in index["docs"]
    ]
    return {**index, "docs": docs}


def _pairs(texts: Iterable[str]) -> Counter[str]:
    """Return how often two characters stand together."""
    runs = (run for text in texts for run in _RUN.findall(text))
    return Counter(run[at : at + 2] for run in runs for at in range(len(run) - 1))


def _marked(run: str, pairs: Mapping[str, int]) -> str:
    """Return a run of characters with a mark before each word; other characters belong to the word before."""
    marked, at = "", 0
    while at < len(run):
        pair, overlapping = run[at : at + 2], run[at + 1 : at + 3]
        is_word = pairs.get(pair, 0) >= max(_OFTEN, pairs.get(overlapping, 0))
        marked += _MARK + pair if is_word else run[at]
        at += 2 if is_word else 1
    return marked.strip(_MARK)
