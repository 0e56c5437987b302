"""The totals of agreements: what was reported forward and taken back, by status, and which of it is final."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from itertools import groupby

from pipeline.model import Status

# The order of the lines of one agreement.
_ORDER = (Status.SUCCEEDED, Status.UNKNOWN, Status.REJECTED, Status.BLOCKED, Status.UNSENT, Status.INVALID)


@dataclass(frozen=True, slots=True)
class Measures:
    """Numbers of reports and tasks, and amount and discount in fen."""

    reports: int = 0
    tasks: int = 0
    amount: int = 0
    discount: int = 0


@dataclass(frozen=True, slots=True)
class StatusTotals:
    """
    The reports of one agreement that have one status, forward and reverse. Of invalid rows only the number is known.

    `agreement` is None if the ledger does not know it.
    """

    account: str
    agreement: str | None = field(repr=False)
    status: Status
    forward: Measures
    reverse: Measures = Measures()


@dataclass(frozen=True, slots=True)
class TotalsLine:
    """
    One line of the totals: forward minus reverse, and the reverse part by itself. Amounts are in yuan.

    - `final`: all reports of the agreement succeeded, so its totals change only with new reports
    - `reports`: the number of reports; of invalid rows nothing else is known, and the rest is None
    """

    account: str
    agreement_no: str = field(repr=False)
    status: Status
    final: bool
    reports: int
    tasks: int | None = None
    amount: Decimal | None = None
    discount: Decimal | None = None
    reverse_reports: int | None = None
    reverse_tasks: int | None = None
    reverse_amount: Decimal | None = None
    reverse_discount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OpenAgreement:
    """An agreement with `rows` of a run that are not final, and the first one of these."""

    agreement: str = field(repr=False)
    rows: int
    file: str
    row: int


@dataclass(frozen=True, slots=True)
class OpenAgreements:
    """How many agreements of a run have totals that are not final, and the first of them."""

    count: int = 0
    first: tuple[OpenAgreement, ...] = ()


def totals_lines(totals: Iterable[StatusTotals]) -> Iterator[TotalsLine]:
    """Yield the lines of each agreement, succeeded ones first; `totals` are sorted by account and agreement."""
    for (account, agreement), of_agreement in groupby(totals, key=lambda each: (each.account, each.agreement)):
        by_status = {each.status: each for each in of_agreement}
        final = by_status.keys() == {Status.SUCCEEDED}
        yield from (
            _line(account, agreement or "", by_status[status], final=final) for status in _ORDER if status in by_status
        )


def _line(account: str, agreement: str, totals: StatusTotals, *, final: bool) -> TotalsLine:
    forward, reverse = totals.forward, totals.reverse
    if totals.status is Status.INVALID:
        return TotalsLine(account, agreement, totals.status, final, forward.reports)
    return TotalsLine(
        account=account,
        agreement_no=agreement,
        status=totals.status,
        final=final,
        reports=forward.reports - reverse.reports,
        tasks=forward.tasks - reverse.tasks,
        amount=_yuan(forward.amount - reverse.amount),
        discount=_yuan(forward.discount - reverse.discount),
        reverse_reports=reverse.reports,
        reverse_tasks=reverse.tasks,
        reverse_amount=_yuan(reverse.amount),
        reverse_discount=_yuan(reverse.discount),
    )


# Cached, because most amounts of refunds and discounts are 0 or equal to others.
@lru_cache(maxsize=4096)
def _yuan(fen: int) -> Decimal:
    """Return an amount of fen in yuan, with two decimals."""
    return Decimal(fen).scaleb(-2)
