"""Floats as text that shows when digits may be lost."""

from decimal import Decimal

from pipeline.model import INEXACT

# A float represents all whole numbers of up to 15 digits; a spreadsheet keeps no more digits.
MOST_WHOLE = 10**15


def number_text(shortest: str, most_whole: int = MOST_WHOLE) -> str:
    """
    Return a number, given as its shortest decimal text, as text.

    A whole number has no `.0`. A whole number of `most_whole` or more may have lost digits: it becomes scientific, with
    a mark: `≈2.02354E+19`, which no field accepts. All other numbers have no exponent.
    """
    number = Decimal(shortest)
    if not number.is_finite():
        return shortest
    if number != number.to_integral_value():
        return format(number, "f")
    if abs(number) < most_whole:
        return str(int(number))
    return f"{INEXACT}{number.normalize():E}"
