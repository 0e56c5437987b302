"""`{date}` in the name of an input."""

import datetime
import re

from pipeline.errors import SourceError

DATE = re.compile(r"\{date(?::([^{}]*))?\}")
"""The pattern of `{date}` and `{date:FORM}`; its group is the form."""


def with_date(pattern: str, date: datetime.date) -> str:
    """
    Return a pattern with `{date}` replaced by an ISO date, and `{date:FORM}` by the date in a form of strftime.

    Raises `SourceError` for a form without `%`.
    """

    def written(found: re.Match[str]) -> str:
        form = found[1]
        if form is None:
            return date.isoformat()
        if "%" not in form:
            raise SourceError(f"{found[0]} in an input has no date form; write for example {{date:%Y%m%d}}")
        return date.strftime(form)

    return DATE.sub(written, pattern)
