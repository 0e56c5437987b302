"""The questions about one run: whose answers settle which dues."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import orjson
import pytest

from pipeline.ledger.records import DeliveryState, Due, NamedDue, Settlement
from pipeline.model import Reply, Status, digest
from pipeline.reconcile.conclusion import Conclusion
from pipeline.reconcile.queries import Queries
from pipeline.reconcile.reconciliation import Reconciliation
from tests.reconcile.query_signer import FakeQuerySigner
from tests.write.harness import WriterHarness

T = TypeVar("T")


def body_of(key: str, agreement: str) -> bytes:
    fields = {"out_biz_no": key, "agreement_no": agreement, "user_id": "2088000000000001", "partner_id": "2088"}
    task = {"biz_action": "ORDER_PAID", "cumulate_data_type": "TASK", "task_type_data": {"name": "sign in"}}
    return orjson.dumps(fields | task)


def in_doubt(number: int, key: str, agreement: str) -> NamedDue:
    body = body_of(key, agreement)
    due = Due(number, number, key, key, digest(body), body, agreement.encode(), None, None, number)
    return NamedDue("tasks.csv", number, number + 1, "timeout", "", due)


def entry(key: str) -> dict[str, Any]:
    return {"out_biz_no": key, "action_type": "POSITIVE", "task_times": 1, "task_desc": "sign in"}


def page(agreement: str, number: int, keys: Sequence[str]) -> Reply:
    content = {"agreement_id": agreement, "page_no": number, "detail_list": [entry(key) for key in keys]}
    return Reply(200, {"trust": "verified"}, orjson.dumps(content))


class DoubtLedger:
    """A ledger with dues in doubt and a confirmed report."""

    def __init__(self, *dues: NamedDue, confirmed: bytes | None) -> None:
        self._dues = dues
        self._confirmed = confirmed
        self.settled: dict[str, Settlement] = {}
        self.notes: dict[str, str] = {}

    def dues_in_doubt(self) -> Iterator[NamedDue]:
        return iter(self._dues)

    def refused_dues(self, codes: Sequence[str]) -> Iterator[NamedDue]:
        return iter(())

    def confirmed_report(self) -> bytes | None:
        return self._confirmed

    def settle(self, due: Due, end: Settlement) -> None:
        self.settled[due.identity] = end

    def note(self, due: Due, message: str) -> None:
        self.notes[due.identity] = message


def one_by_one(tasks: Iterator[T], work: Callable[[T], None]) -> None:
    for task in tasks:
        work(task)


@pytest.fixture
def writer() -> WriterHarness:
    return WriterHarness()


def questions(writer: WriterHarness, ledger: DoubtLedger, *answers: Reply) -> Reconciliation:
    writer.network.keys = list(answers)
    return Reconciliation(ledger, Queries(writer.services, FakeQuerySigner(), writer.ledger.keep_job), one_by_one)


def test_each_agreement_is_queried_once_and_listed_dues_are_settled(writer: WriterHarness) -> None:
    """Dues of one agreement share its list; the settlement makes no attempt and leaves a success."""
    ledger = DoubtLedger(in_doubt(1, "a", "1"), in_doubt(2, "b", "1"), in_doubt(3, "c", "2"), confirmed=None)
    reconciliation = questions(writer, ledger, page("1", 1, ["b", "x"]), page("2", 1, ["c"]))

    reconciliation.settle()

    assert [(finding.due.due.identity, finding.text) for finding in reconciliation.findings] == [
        ("a", Conclusion.ABSENT),
        ("b", Conclusion.APPLIED),
        ("c", Conclusion.APPLIED),
    ]
    ended = Settlement(
        Status.SUCCEEDED, "reconciled", "the platform lists this report as it was sent", leaves=DeliveryState.SUCCEEDED
    )
    assert ledger.settled == {"b": ended, "c": ended}


def test_a_second_entry_on_a_later_page_is_found(writer: WriterHarness) -> None:
    """A full page is never the last one, so that an entry is known to be the only one."""
    first = ["a", *(f"x{number}" for number in range(19))]
    ledger = DoubtLedger(in_doubt(1, "a", "1"), confirmed=None)
    reconciliation = questions(writer, ledger, page("1", 1, first), page("1", 2, ["a"]))

    reconciliation.settle()

    assert ([finding.text for finding in reconciliation.findings], ledger.settled) == ([Conclusion.TWICE], {})


@pytest.mark.parametrize(
    ("number", "keys"),
    [
        pytest.param(1, [f"x{number}" for number in range(20)], id="page 1 again"),
        pytest.param(2, [f"x{number}" for number in range(20)], id="the reports of page 1 again"),
    ],
)
def test_a_platform_that_sends_a_page_again_settles_nothing(
    number: int, keys: list[str], writer: WriterHarness
) -> None:
    """A server that ignores `page_no` would otherwise be queried without end."""
    ledger = DoubtLedger(in_doubt(1, "x1", "1"), confirmed=None)
    reconciliation = questions(writer, ledger, page("1", 1, keys), page("1", number, keys))

    reconciliation.settle()

    why = "the query failed (answer_unreadable: it is not page 2 of a list of reports)"
    assert ([finding.text for finding in reconciliation.findings], ledger.settled) == ([why], {})


@pytest.mark.parametrize(("listed", "is_calibrated"), [(["sure"], True), (["x"], False), (["sure", "sure"], False)])
def test_the_list_counts_if_it_has_a_confirmed_report(
    listed: list[str], is_calibrated: bool, writer: WriterHarness
) -> None:
    """The calibration compares as strictly as any settlement does."""
    ledger = DoubtLedger(confirmed=body_of("sure", "1"))
    reconciliation = questions(writer, ledger, page("1", 1, listed))

    assert reconciliation.calibrate() is is_calibrated
    assert (reconciliation.obstacle is None) is is_calibrated
