"""Binary floating-point numbers as text that hides no lost digit."""

from decimal import Decimal

# A float tells all whole numbers of 15 digits apart; a spreadsheet keeps no more.
MOST_WHOLE = 10**15


def number_text(shortest: str, most_whole: int = MOST_WHOLE) -> str:
    """
    Return a number, given in the fewest digits that mean it, as text.

    A whole number has no `.0`. One of `most_whole` or more may have lost digits, and is written as `2.02354E+19`, which
    no id is. Any other number has no exponent.
    """
    number = Decimal(shortest)
    if not number.is_finite():
        return shortest
    if number != number.to_integral_value():
        return format(number, "f")
    if abs(number) < most_whole:
        return str(int(number))
    return f"{number.normalize():E}"
