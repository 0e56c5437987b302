"""The texts of a column's cells, the same as `cell_text` gives for each cell."""

from collections.abc import Iterable, Set

import numpy as np
import numpy.typing as npt

from pipeline.map.values.cells import PREFIXED, TEXT_PREFIXES
from pipeline.map.values.plain_texts import mask
from pipeline.tables.text_columns import Column, column_of, first_letters, letters_of, pc

_BLANK = " "


class CellColumns:
    """Reads the cells of fields with these null values; all of the fields are bare, or none is."""

    def __init__(self, nulls: Set[str], *, is_bare: bool) -> None:
        # A list, because the first Arrow array of a process imports pandas, which is slow.
        self._nulls = sorted(nulls)
        self._prefixes = _first_bytes(TEXT_PREFIXES) if is_bare else None
        # A cell that begins with another byte, and does not end with a blank, is its own text.
        self._special = _first_bytes((_BLANK, *(TEXT_PREFIXES if is_bare else ""), *nulls))

    def texts(self, column: Column) -> Column:
        """
        Return the texts of the cells, null for no value.

        A text may still begin or end with an invisible character, or with a blank other than U+0020. It is not plain,
        so the row mapper reads its cell.
        """
        if self._is_usual(column):
            return column
        texts = self._without_blanks(column)
        if self._prefixes is not None and self._prefixes[first_letters(texts)].any():
            texts = self._without_blanks(pc.replace_substring_regex(texts, PREFIXED, r"\1\2"))
        return texts

    def _is_usual(self, column: Column) -> bool:
        ends, letters = letters_of(column)
        starts, ends = ends[:-1], ends[1:]
        is_filled = starts < ends
        if (mask(column.is_valid()) & ~is_filled).any():
            return False
        if not is_filled.all():
            starts, ends = starts[is_filled], ends[is_filled]
        return not (self._special[letters[starts]].any() or (letters[ends - 1] == ord(_BLANK)).any())

    def _without_blanks(self, column: Column) -> Column:
        trimmed = pc.utf8_trim(column, characters=_BLANK)
        says_nothing = pc.or_(
            pc.equal(pc.binary_length(trimmed), 0), pc.is_in(trimmed, value_set=column_of(self._nulls))
        )
        return pc.if_else(says_nothing, None, trimmed)


def _first_bytes(texts: Iterable[str]) -> npt.NDArray[np.bool_]:
    """Return, for each of the 256 bytes, whether one of the texts begins with it."""
    begins = np.zeros(256, np.bool_)
    begins[[text.encode()[0] for text in texts if text]] = True
    return begins
