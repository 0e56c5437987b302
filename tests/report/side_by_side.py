"""Outcomes as a ledger tells them: many at once."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import islice

from pipeline.tables.outcome_page import Outcome, OutcomePage


def side_by_side(*outcomes: Outcome) -> OutcomePage:
    """Return outcomes as columns."""
    columns = {field.name: [getattr(each, field.name) for each in outcomes] for field in fields(Outcome)}
    return OutcomePage(**columns)


def in_pages(outcomes: Iterable[Outcome], at_once: int) -> Iterator[OutcomePage]:
    """Yield outcomes so many at once, as long as there are any."""
    waiting = iter(outcomes)
    while page := tuple(islice(waiting, at_once)):
        yield side_by_side(*page)
