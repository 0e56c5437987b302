"""The forms of times in exports: the built-in ones, and those that a job names."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from pipeline.language import later, t

Written = tuple[datetime, timedelta | None]
"""The local time, and its offset from UTC; None if the text has no offset."""
TimeForm = Callable[[str], Written | None]
"""Reads a text of one form; returns None for other forms. Raises ValueError for a time that does not exist."""

_DATE = r"(?P<year>[0-9]{4})(?P<sign>[-/])(?P<month>[0-9]{1,2})(?P=sign)(?P<day>[0-9]{1,2})"
_FRACTION = r"(?:[.,](?P<fraction>[0-9]+))?"
_CLOCK = rf"(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}})(?::(?P<second>[0-9]{{2}}){_FRACTION})?"
_COMPACT = (
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})T?"
    rf"(?P<hour>[0-9]{{2}})(?P<minute>[0-9]{{2}})(?P<second>[0-9]{{2}}){_FRACTION}"
)
_OFFSET = r"(?P<offset> ?(?:Z|UTC|(?P<ahead>[+-])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-9]{2}))?))?"
_BUILT_IN = (re.compile(rf"{_DATE}[ T]{_CLOCK}{_OFFSET}"), re.compile(_COMPACT + _OFFSET))
_NUMBER = re.compile(r"([0-9]{1,14})(?:\.([0-9]+))?")
_AT_UTC = timedelta(0)
_UNIX_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC, as its offset says
# 1973 in milliseconds, the year 5138 in seconds.
_FEWEST_MILLISECONDS = 10**11
# Spreadsheets count 29 February 1900, which did not exist, so from day 61 on days count from here.
_SPREADSHEET_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - in the job's zone
_SPREADSHEET_DAYS = range(61, 2_958_466)
# Spreadsheets keep 15 digits, which is not enough for microseconds.
_MILLISECONDS_OF_A_DAY = 86_400_000
# Without %Z: strptime reads the name of a zone, but drops it.
_DIRECTIVES = "%Y %y %m %b %B %d %j %H %I %p %M %S %f %z %a %A"


def built_in(text: str) -> Written | None:
    """Read ISO 8601 with `T` or a blank, `2026/11/28 7:45` and `20261128074500`, with or without an offset."""
    match = next(filter(None, (form.fullmatch(text) for form in _BUILT_IN)), None)
    if match is None:
        return None
    year, month, day = (int(match[name]) for name in ("year", "month", "day"))
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    microsecond = int(f"{match['fraction'] or '':0<6}"[:6])
    return datetime(year, month, day, hour, minute, second, microsecond), _ahead(match)  # noqa: DTZ001 - of clocks


def of_strptime(form: str, text: str) -> Written | None:
    """Read a text by a form of strptime."""
    if not text.isascii() and any(sign.isdecimal() and not sign.isascii() for sign in text):
        return None  # strptime accepts the digits of any script
    try:
        written = datetime.strptime(text, form)  # noqa: DTZ007 - the job's zone follows
    except ValueError:
        return None
    return written.replace(tzinfo=None), written.utcoffset()


def _since_1970(text: str, *, places: int) -> Written | None:
    """Read a number of which `places` decimals count, the last one in microseconds."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    microseconds = int(match[1] + f"{match[2] or '':0<{places}}"[:places])
    return _UNIX_EPOCH + timedelta(microseconds=microseconds), _AT_UTC


def _since_1970_by_size(text: str) -> Written | None:
    """Read seconds, or milliseconds if the number is too large for seconds."""
    match = _NUMBER.fullmatch(text)
    return match and _since_1970(text, places=3 if int(match[1]) >= _FEWEST_MILLISECONDS else 6)


def _days(text: str) -> Written | None:
    match = _NUMBER.fullmatch(text)
    if match is None or int(match[1]) not in _SPREADSHEET_DAYS:
        return None
    fraction = int(f"{match[2] or '':0<18}"[:18])
    milliseconds = round(_MILLISECONDS_OF_A_DAY * fraction / 10**18)
    return _SPREADSHEET_EPOCH + timedelta(days=int(match[1]), milliseconds=milliseconds), None


NUMBERS: Mapping[str, TimeForm] = {
    "epoch_s": partial(_since_1970, places=6),
    "epoch_ms": partial(_since_1970, places=3),
    "excel_serial": _days,
}
"""The forms of times as numbers, by the names that a job uses."""

_EPOCHS = {"epoch_s", "epoch_ms"}


def named_forms(names: Sequence[str]) -> tuple[TimeForm, ...]:
    """Return the forms that a job names. If it names seconds and milliseconds, the size of a number decides."""
    have_both = _EPOCHS.issubset(names)
    return tuple(
        _since_1970_by_size if have_both and name in _EPOCHS else NUMBERS.get(name) or partial(of_strptime, name)
        for name in names
    )


# The likely meaning of a number, by its digits before the point.
_MEANINGS = {
    5: (later("a spreadsheet's day number"), "excel_serial"),
    10: (later("seconds since 1970"), "epoch_s"),
    13: (later("milliseconds since 1970"), "epoch_ms"),
}


def number_hint(text: str) -> str:
    """Return advice for a number that may be a time: `; if it is ...`, or an empty text."""
    match = _NUMBER.fullmatch(text)
    if match is None or len(match[1]) not in _MEANINGS:
        return ""
    meaning, name = _MEANINGS[len(match[1])]
    return t('; if it is {meaning}, set "{name}" for the field in the job\'s formats', meaning=t(meaning), name=name)


def form_fault(form: str) -> str | None:
    """Return the fault of a form that a job names; None if it can be used."""
    if form in NUMBERS:
        return None
    named = set(re.findall("%.", form.replace("%%", ""), re.DOTALL))
    unknown = sorted(named.difference(_DIRECTIVES.split()))
    has_day = "%j" in named or ("%d" in named and named & {"%m", "%b", "%B"})
    faults = (
        (not named, t("is neither a form such as %Y/%m/%d %H:%M nor one of {numbers}", numbers=", ".join(NUMBERS))),
        (unknown, t("{unknown} can't be used; use {directives}", unknown=", ".join(unknown), directives=_DIRECTIVES)),
        (not (named & {"%Y", "%y"} and has_day), t("names no day; it needs %Y, %m and %d")),
        ("%I" in named and "%p" not in named, t("%I needs %p; for 24 hours use %H")),
    )
    fault = next((words for is_so, words in faults if is_so), None)
    # Last, because Python 3.13 warns about a form without a year.
    return fault or (None if _is_form(form) else t("names a part twice, or ends with a lone %"))


def _is_form(form: str) -> bool:
    """Return whether strptime knows a form with a day: then an empty text does not match it."""
    why = ""
    try:
        datetime.strptime("", form)  # noqa: DTZ007 - only the form is checked
    except (re.error, ValueError) as error:
        why = str(error)
    return "does not match" in why


def _ahead(match: re.Match[str]) -> timedelta | None:
    if match["ahead"] is None:
        return _AT_UTC if match["offset"] else None
    hours, minutes = int(match["hours"]), int(match["minutes"] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError
    return timedelta(hours=hours, minutes=minutes) * (-1 if match["ahead"] == "-" else 1)
