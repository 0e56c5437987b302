"""`{date}` in the name of an input."""

import datetime
import re

from pipeline.errors import SourceError
from pipeline.language import t

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
            raise SourceError(
                t("{found} in an input has no date form; write for example {{date:%Y%m%d}}", found=found[0])
            )
        return date.strftime(form)

    return DATE.sub(written, pattern)
