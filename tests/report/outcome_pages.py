"""Pages of outcomes, as the ledger returns them."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import islice

from pipeline.tables.outcome_page import Outcome, OutcomePage


def page_of(*outcomes: Outcome) -> OutcomePage:
    """Return outcomes as one page."""
    columns = {field.name: [getattr(each, field.name) for each in outcomes] for field in fields(Outcome)}
    return OutcomePage(**columns)


def in_pages(outcomes: Iterable[Outcome], page_rows: int) -> Iterator[OutcomePage]:
    """Yield outcomes in pages of up to `page_rows` rows."""
    remaining = iter(outcomes)
    while page := tuple(islice(remaining, page_rows)):
        yield page_of(*page)
