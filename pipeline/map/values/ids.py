"""Ids, keys and codes: sent as written, or refused if a spreadsheet may have rounded them."""

import re

from pipeline.language import later, t
from pipeline.map.faults import ROUNDED, Unreadable
from pipeline.map.values.cells import refuse_confusable

SCIENTIFIC = r"^[+-]?[0-9]+(?:[.,][0-9]*)?[eE][+-]?[0-9]{1,3}$"
"""A number in scientific notation, as spreadsheets write long ones."""
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


def refuse_scientific(text: str) -> str:
    """Return a text as it is; raise Unreadable for a number in scientific notation."""
    if _SCIENTIFIC.fullmatch(text):
        raise Unreadable(
            t(
                "is in scientific notation, or a workbook's number of over 15 digits, so digits may be lost: {advice}",
                advice=t(_ADVICE),
            ),
            "rounded",
            ROUNDED,
        )
    return text
