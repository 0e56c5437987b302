"""Pages of listed reports: forms, and amounts from the digits as received."""

from decimal import Decimal

import pytest

from pipeline.reconcile.listing import ListedReport, Page, agreement_status, read_page

ENTRY = '{"out_biz_no":"A1","action_type":"POSITIVE","task_times":1,"task_desc":"签到"'


def page(amounts: str) -> bytes:
    return f'{{"page_no":1,"detail_list":[{ENTRY},{amounts}}}]}}'.encode()


@pytest.mark.parametrize(
    ("digits", "amount"),
    [
        pytest.param("3.57", Decimal("3.57"), id="number"),
        pytest.param('"3.57"', Decimal("3.57"), id="text"),
        pytest.param("3.570", Decimal("3.57"), id="more digits"),
        pytest.param("3", Decimal(3), id="whole"),
        pytest.param("123456789012345.67", Decimal("123456789012345.67"), id="more digits than a float has"),
        pytest.param("null", Decimal(0), id="null"),
        pytest.param('""', Decimal(0), id="empty"),
        pytest.param("-3.57", None, id="negative"),
        pytest.param("1e2", None, id="exponent"),
        pytest.param('"3,57"', None, id="comma"),
        pytest.param("true", None, id="boolean"),
        pytest.param("[3]", None, id="list"),
        pytest.param('"３"', None, id="full-width digit"),
    ],
)
def test_an_amount_is_read_from_its_digits(digits: str, amount: Decimal | None) -> None:
    """Text and number are read exactly; what is no decimal is no amount."""
    report = ListedReport("A1", "POSITIVE", amount, Decimal(0), Decimal(1), "签到")

    assert read_page(page(f'"task_amount":{digits}'), 1) == Page((report,), is_last=True)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"page_no":2,"detail_list":[]}', id="another page"),
        pytest.param(b'{"detail_list":[]}', id="no page number"),
        pytest.param(b'{"page_no":1,"detail_list":"A1"}', id="no list"),
        pytest.param(b'{"page_no":1,"detail_list":["A1"]}', id="no objects"),
        pytest.param(b'["A1"]', id="no object"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b"", id="empty"),
    ],
)
def test_another_form_is_no_page(content: bytes) -> None:
    """An answer that is not the page that was asked for proves nothing."""
    assert read_page(content, 1) is None


@pytest.mark.parametrize(("count", "is_last"), [(0, True), (19, True), (20, False)])
def test_a_page_that_is_not_full_is_the_last(count: int, is_last: bool) -> None:
    """No total number is given: the first page with fewer than 20 reports is the last."""
    entries = ",".join([f"{ENTRY}}}"] * count)

    read = read_page(f'{{"page_no":1,"detail_list":[{entries}]}}'.encode(), 1)

    assert read is not None
    assert (len(read.reports), read.is_last) == (count, is_last)


def test_a_page_without_a_list_has_no_report() -> None:
    """The platform may leave the list out if an agreement has no report."""
    assert read_page(b'{"page_no":"1","aggr_times":0}', 1) == Page((), is_last=True)


@pytest.mark.parametrize(
    ("content", "status"),
    [(b'{"agreement_status":"N"}', "N"), (b'{"agreement_status":1}', None), (b"{}", None), (b"[]", None)],
)
def test_the_state_of_an_agreement_is_a_letter(content: bytes, status: str | None) -> None:
    """What is no text is no state."""
    assert agreement_status(content) == status
