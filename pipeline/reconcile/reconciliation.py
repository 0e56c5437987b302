"""Ask the platform about the rows of a run that are in doubt, and settle those that it lists as they were sent."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, TypeVar

from pipeline.language import later, t
from pipeline.ledger.records import DeliveryState, Due, NamedDue, Settlement
from pipeline.model import Api, Status
from pipeline.reconcile.conclusion import Conclusion, conclude
from pipeline.reconcile.listing import ListedReport, agreement_status, read_page
from pipeline.reconcile.queries import NotAnswered, Queries
from pipeline.reconcile.targets import Agreement, agreement_of, agreement_target, reports_target
from pipeline.write.answers.sent_request import SentRequest
from pipeline.write.brakes.run_control import Drained

T = TypeVar("T")

RECONCILED = "reconciled"
"""The code of a row that the platform's list settled."""
AGREEMENT_CODES = ("EASY_MEMBER_CONSULT_FAIL", "REQUEST_ACCESS_ILLEGAL")
"""Codes of refusals that may mean that the agreement has ended."""

# Pages of one agreement that are read at most: 20,000 reports.
_MOST_PAGES = 1000
# The number of the calibration for the circuit breaker; dues count from 1.
_CALIBRATION = 0
_STATES = {"Y": later("valid"), "P": later("ending"), "N": later("ended")}
_OTHER_STATE = later("in a state that is not known here")
# A message may be of a run in the other language.
_STATE_NOTE = re.compile(r"(?:; asked later, the agreement is |；之后查询，该协议)[\w ]+$")


class DoubtLedger(Protocol):
    """The ledger of a run, as reconciliation uses it."""

    def dues_in_doubt(self) -> Iterator[NamedDue]:
        """Yield the dues of the run that may have been applied, lane by lane."""
        ...

    def refused_dues(self, codes: Sequence[str]) -> Iterator[NamedDue]:
        """Yield the dues of the run that were refused with one of these codes, lane by lane."""
        ...

    def confirmed_report(self) -> bytes | None:
        """Return the body of the account's newest confirmed report; None if none is known."""
        ...

    def settle(self, due: Due, end: Settlement) -> None:
        """Record the outcome of a due."""
        ...

    def note(self, due: Due, message: str) -> None:
        """Replace the message of a due that ended."""
        ...


class ForEach(Protocol):
    """Works on several tasks at once, and keeps the lease of the job meanwhile."""

    def __call__(self, tasks: Iterator[T], work: Callable[[T], None]) -> None:
        """Do all tasks; raise the first exception once all workers are idle."""
        ...


@dataclass(frozen=True, slots=True)
class ReconciledRow:
    """What was found about a row: a conclusion, or why there is none. `settles`: the row succeeded."""

    due: NamedDue
    text: str
    settles: bool = False


class Reconciliation:
    """
    Questions about one run.

    - `findings`: one for each delivery that was asked for; `agreements`: one for each row refused for its agreement
    - `obstacle`: why the platform's list proves nothing; None if it lists a report that surely succeeded

    Each method may end early, without an error, if the run is drained. An exception is an error of the ledger or of the
    program.
    """

    def __init__(self, ledger: DoubtLedger, queries: Queries, for_each: ForEach) -> None:
        self._ledger = ledger
        self._queries = queries
        self._for_each = for_each
        self.findings: list[ReconciledRow] = []
        self.agreements: list[ReconciledRow] = []
        self.obstacle: str | None = None

    def calibrate(self) -> bool:
        """Return whether the platform lists a report that surely succeeded. If not, its list proves nothing."""
        self.obstacle = t("this ledger knows no confirmed report of the account, which the query would have to list")
        body = self._ledger.confirmed_report()
        self._for_each(iter([] if body is None else [body]), self._calibrate_with)
        return self.obstacle is None

    def _calibrate_with(self, body: bytes) -> None:
        self.obstacle = t("the query was not answered")
        with suppress(Drained):
            listed = self._listed(agreement_of(body), _CALIBRATION)
            if isinstance(listed, NotAnswered):
                self.obstacle = t("the query for a confirmed report of the account failed ({reason})", reason=listed)
            else:
                self.obstacle = _obstacle(conclude(body, listed))

    def settle(self) -> None:
        """Ask for each agreement with rows in doubt, and settle the rows that are listed."""
        self._for_each(_by_agreement(self._ledger.dues_in_doubt()), self._settle_agreement)

    def ask_for_agreements(self) -> None:
        """Ask for the agreements of rows that were refused for them, and write the state into their messages."""
        self._for_each(_by_agreement(self._ledger.refused_dues(AGREEMENT_CODES)), self._note_agreement)

    def _settle_agreement(self, task: "_Task") -> None:
        with suppress(Drained):
            listed = self._listed(task.agreement, task.dues[0].due.due_no)
            if isinstance(listed, NotAnswered):
                self.findings += [
                    ReconciledRow(due, t("the query failed ({reason})", reason=listed)) for due in task.dues
                ]
                return
            for due in task.dues:
                found = conclude(due.due.body, listed)
                if found is Conclusion.APPLIED:
                    self._ledger.settle(due.due, _settlement())
                self.findings.append(ReconciledRow(due, t(found), settles=found is Conclusion.APPLIED))

    def _listed(self, agreement: Agreement, number: int) -> list[ListedReport] | NotAnswered:
        """Return all reports that the platform lists for an agreement."""
        reports: list[ListedReport] = []
        for page_no in range(1, _MOST_PAGES + 1):
            content = self._queries.ask(reports_target(agreement, page_no), _sent(agreement), number)
            if isinstance(content, NotAnswered):
                return content
            page = read_page(content, page_no)
            if page is None or (page.reports and reports[-len(page.reports) :] == list(page.reports)):
                return NotAnswered(
                    "answer_unreadable", t("it is not page {page_no} of a list of reports", page_no=page_no)
                )
            reports += page.reports
            if page.is_last:
                return reports
        return NotAnswered("list_too_long", t("more than {most_pages} pages", most_pages=_MOST_PAGES))

    def _note_agreement(self, task: "_Task") -> None:
        with suppress(Drained):
            agreement = task.agreement
            content = self._queries.ask(
                agreement_target(agreement.agreement_no), _sent(agreement), task.dues[0].due.due_no
            )
            if isinstance(content, NotAnswered):
                self.agreements += [
                    ReconciledRow(due, t("the query failed ({reason})", reason=content)) for due in task.dues
                ]
                return
            state = t(_STATES.get(agreement_status(content) or "", _OTHER_STATE))
            for due in task.dues:
                message = _STATE_NOTE.sub("", due.message)
                self._ledger.note(
                    due.due, t("{message}; asked later, the agreement is {state}", message=message, state=state)
                )
                self.agreements.append(
                    ReconciledRow(due, t("{code}, and the agreement is {state}", code=due.code, state=state))
                )


def _settlement() -> Settlement:
    message = t("the platform lists this report as it was sent")
    return Settlement(Status.SUCCEEDED, RECONCILED, message, leaves=DeliveryState.SUCCEEDED)


def _obstacle(found: Conclusion) -> str | None:
    """Return why the list proves nothing, from what it says about a report that surely succeeded."""
    match found:
        case Conclusion.APPLIED:
            return None
        case Conclusion.ABSENT:
            how = t("it may list reports later, or never those of this call")
        case _:
            how = t("it is {listed}", listed=re.split("[;；]", t(found))[0])
    return t("the query does not show the account's newest confirmed report: {how}", how=how)


@dataclass(frozen=True, slots=True)
class _Task:
    """The dues of one agreement."""

    agreement: Agreement
    dues: Sequence[NamedDue]


def _by_agreement(dues: Iterable[NamedDue]) -> Iterator[_Task]:
    # Dues come lane by lane, and a lane has one agreement and user.
    for agreement, group in groupby(dues, key=lambda due: agreement_of(due.due.body)):
        yield _Task(agreement, list(group))


def _sent(agreement: Agreement) -> SentRequest:
    """Return what a true answer repeats."""
    return SentRequest(Api.CUMULATION, "", {"agreement_id": agreement.agreement_no}, agreement.private)
