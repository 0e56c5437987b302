"""Ids, keys and codes: sent as written, or refused if a spreadsheet may have rounded them."""

import re

from pipeline.language import later, t
from pipeline.map.faults import ROUNDED, Unreadable
from pipeline.map.values.cells import refuse_confusable
from pipeline.model import INEXACT

LOST = f"^{INEXACT}"
"""A number that lost digits, as readers mark it."""
SCIENTIFIC = rf"{LOST}|^[+-]?[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]{{1,3}}$"
"""A number that lost digits, or one in scientific notation, as spreadsheets write long ones."""
ROUNDED_ID = rf"{SCIENTIFIC}|^[+-]?[0-9]+\.0+$"
"""An id as a spreadsheet or a float writes it: in scientific notation, or with only zeros after the point."""

_SCIENTIFIC = re.compile(SCIENTIFIC)
_ROUNDED_ID = re.compile(ROUNDED_ID)
_ADVICE = later('export the column as text; if codes really look like this, set suspicious_ids = "send" in the job')


def read_id(text: str) -> str:
    """Return an id as it is; raise Unreadable if it may have lost digits, or holds a confusable character."""
    refuse_confusable(text)
    refuse_scientific(text)
    if _ROUNDED_ID.fullmatch(text):
        raise Unreadable(
            t("ends in .0, as a number does, so digits may be lost: {advice}", advice=t(_ADVICE)), "rounded", ROUNDED
        )
    return text


def read_suspicious_id(text: str) -> str:
    """Return an id as it is, even if it looks rounded; raise Unreadable for lost digits or a confusable character."""
    return refuse_lost(refuse_confusable(text))


def refuse_scientific(text: str) -> str:
    """Return a text as it is; raise Unreadable for a number in scientific notation, or one that lost digits."""
    if _SCIENTIFIC.fullmatch(refuse_lost(text)):
        raise Unreadable(
            t("is in scientific notation, so digits may be lost: {advice}", advice=t(_ADVICE)), "rounded", ROUNDED
        )
    return text


def refuse_lost(text: str) -> str:
    """Return a text as it is; raise Unreadable for a number that lost digits: no code looks like that."""
    if text.startswith(INEXACT):
        words = t("is a number of a workbook or a float column with too many digits: export the column as text")
        raise Unreadable(words, "rounded", ROUNDED)
    return text
