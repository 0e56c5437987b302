"""Targets of the two queries, made from the body of a report."""

import orjson
import pytest

from pipeline.reconcile.targets import agreement_of, agreement_target, reports_target

BODY = {"agreement_no": "20255108518085620001", "partner_id": "2088000000000504", "out_biz_no": "A1"}


@pytest.mark.parametrize(
    ("user", "name"),
    [
        pytest.param({"user_id": "2088000000005001"}, "user_id=2088000000005001", id="user_id"),
        pytest.param({"open_id": "0a+/b=&c"}, "open_id=0a%2B%2Fb%3D%26c", id="open_id, percent-encoded"),
    ],
)
def test_a_query_names_agreement_user_and_merchant(user: dict[str, str], name: str) -> None:
    """The parameters are those of the platform, with the values of the report, percent-encoded."""
    agreement = agreement_of(orjson.dumps(BODY | user))

    assert reports_target(agreement, 3) == (
        f"/v3/zhima/merchant/zmgo/cumulate/query?agreement_id=20255108518085620001&{name}"
        "&provider_pid=2088000000000504&need_detail=true&page_no=3&page_size=20"
    )


def test_the_state_of_an_agreement_is_found_by_its_number() -> None:
    """The agreement's number is all that the query needs."""
    assert agreement_target("ZMGO_AGR 1") == "/v3/zhima/credit/pe/zmgo/agreement/query?agreement_id=ZMGO_AGR%201"


def test_a_repr_shows_no_user() -> None:
    """Agreement, user and merchant are in no repr."""
    assert repr(agreement_of(orjson.dumps(BODY | {"user_id": "2088000000005001"}))) == "Agreement()"
