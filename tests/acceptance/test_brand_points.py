"""Points that a brand sends itself: `api = "wechatpay.brand_points"`."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from pipeline.simulator import Api, FaultKind, InjectedFault
from tests.acceptance.workspace import CARD, CommandResult, Workspace, balance, read_csv

BRAND_JOB: Mapping[str, Mapping[str, object]] = {
    "jobs.brand": {
        "export": "points", "api": "wechatpay.brand_points", "account": "brand", "input": ["brand.csv"],
        "max_attempts": 2,
    },
    "jobs.brand.constants": {"card_id": CARD},
}  # fmt: skip
DONE = "succeeded SUCCESS"


@pytest.fixture
def brand(workspace: Workspace) -> Workspace:
    """The workspace with a job of the brand."""
    workspace.configure(BRAND_JOB)
    return workspace


def send(brand: Workspace, *rows: Mapping[str, str], words: tuple[str, ...] = ()) -> CommandResult:
    """Run the brand's job over these rows."""
    brand.export("brand.csv", rows)
    return brand.backfill("run", "brand", *words)


def test_a_brand_sends_its_balances(brand: Workspace) -> None:
    """Rows without a brand, and rows of the account's brand, reach the brand's API and no other; the answers verify."""
    ended = send(brand, balance(1, 5), balance(2, 6, brand_id="1004"), balance(3, 0, out_request_no="N-3"))

    assert (ended.exit_code, brand.results()) == (0, [DONE] * 3)
    assert {(entry.api, entry.merchant) for entry in brand.simulator.journal.entries} == {(Api.BRAND_POINTS, "1004")}
    assert [brand.simulator.journal.balance(CARD, f"{card:012d}") for card in (1, 2, 3)] == [5, 6, 0]
    summary = brand.summary()
    assert (summary["api"], summary["account"], summary["quota"]["limit_per_s"]) == (
        "wechatpay.brand_points",
        "brand",
        10.0,
    )


def test_a_row_of_another_brand_is_invalid(brand: Workspace) -> None:
    """The brand of a row must be the account's: another one is invalid, named in the fix file, and not sent."""
    ended = send(brand, balance(1, 5, brand_id="1005"), balance(2, 6, brand_id="1004"))

    assert (ended.exit_code, brand.results()) == (3, ["invalid field_invalid", DONE])
    assert [line["_message"] for line in read_csv(brand.reports()[-1] / "rows_to_fix.csv")] == [
        'brand_id "1***5" (4 characters) is not the brand_id of the account; send this row by a job with that '
        "brand's account"
    ]
    assert len(brand.requests()) == 1


def test_only_the_newest_balance_is_sent_and_none_twice(brand: Workspace) -> None:
    """Balances of a brand are absolute, as those of a provider: superseded, unchanged, and sent again if changed."""
    first = send(
        brand,
        balance(1, 5, updated_at="2025-11-20 10:00:00"),
        balance(1, 7, updated_at="2025-11-20 09:00:00"),
    )
    after_first = brand.results()
    send(brand, balance(1, 5, updated_at="2025-11-21 10:00:00"))
    after_second = brand.results()
    send(brand, balance(1, 8, updated_at="2025-11-22 10:00:00"))

    assert (first.exit_code, after_first) == (0, [DONE, "skipped superseded"])
    assert (after_second, brand.results()) == (["skipped unchanged"], [DONE])
    assert [entry.points for entry in brand.simulator.journal.entries] == [5, 8]


def test_a_resync_sends_balances_again(brand: Workspace) -> None:
    """`--resync` trusts no earlier confirmation: the balance goes out again under a new number."""
    send(brand, balance(1, 5))
    send(brand, balance(1, 5), words=("--resync",))

    assert brand.results() == [DONE]
    assert len(set(brand.requests())) == 2


def test_one_card_of_two_users_is_a_contradiction(brand: Workspace) -> None:
    """A card that one run gives to two openids is sent for neither."""
    ended = send(brand, balance(1, 5), balance(1, 6, openid="oOTHER"))

    assert (ended.exit_code, brand.results()) == (3, ["invalid contradiction"] * 2)


def test_the_brand_s_quota_is_ten_in_a_second(brand: Workspace) -> None:
    """Requests come close to 10 in a second, and the platform never throttles."""
    ended = send(brand, *(balance(card, 5) for card in range(30)))

    times = sorted(entry.steady for entry in brand.simulator.journal.entries)
    (peak,) = (entry["requests_in_one_second"] for entry in peaks(brand))
    assert (ended.exit_code, brand.summary()["quota"]["throttled"]) == (0, 0)
    assert (peak, len(times)) == (10, 30)
    assert times[-1] - times[0] < 4


def peaks(brand: Workspace) -> list[dict[str, object]]:
    """Return the platform's most requests in any second, by API and merchant."""
    found = brand.simulator.journal.summary()["peaks"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        pytest.param(InjectedFault(FaultKind.PROBE_SIGNATURE, times=1), DONE, id="probe"),
        pytest.param(InjectedFault(FaultKind.STALE_TIMESTAMP, times=1), DONE, id="stale answer"),
        pytest.param(InjectedFault(FaultKind.BAD_SIGNATURE, times=1), DONE, id="wrong signature"),
        pytest.param(InjectedFault(FaultKind.MISSING_SIGNATURE), "unknown signature_invalid", id="no signature"),
        pytest.param(InjectedFault(FaultKind.WRONG_ECHO), "unknown echo_differs", id="answer of another request"),
        pytest.param(InjectedFault(FaultKind.THROTTLE, times=1, retry_after=0), DONE, id="throttled"),
        pytest.param(
            InjectedFault(FaultKind.STATUS, status=500, code="SYSTEM_ERROR", times=1), DONE, id="system error once"
        ),
        pytest.param(InjectedFault(FaultKind.LOSE_AFTER_APPLYING, times=1), DONE, id="answer lost once"),
        pytest.param(InjectedFault(FaultKind.REFUSE, code="PARAM_ERROR"), "rejected PARAM_ERROR", id="parameter"),
        pytest.param(
            InjectedFault(FaultKind.REFUSE, code="NOT_FOUND", status=404), "rejected NOT_FOUND", id="not found"
        ),
        pytest.param(InjectedFault(FaultKind.REFUSE, code="NO_AUTH", status=403), "unsent stopped", id="no permission"),
        pytest.param(
            InjectedFault(FaultKind.UNKNOWN_SERIAL),
            "unknown certificate_unknown",
            id="another key, which nobody can fetch",
        ),
    ],
)
def test_each_answer_has_its_outcome(fault: InjectedFault, result: str, brand: Workspace) -> None:
    """What an answer means for a provider's balance, it means for a brand's."""
    brand.simulator.set_faults([replace(fault, api=Api.BRAND_POINTS)])

    send(brand, balance(1, 5))

    assert brand.results() == [result]


@pytest.mark.parametrize(
    ("account", "code", "advice"),
    [
        pytest.param(
            {"private_key_file": "keys/apiclient_key.pem"},
            "SIGN_ERROR",
            "check brand_id, serial_no and private_key_file",
            id="the merchant's key",
        ),
        pytest.param({"brand_id": "1005"}, "SIGN_ERROR", "against the brand API certificate", id="another brand"),
        pytest.param({"public_key_id": "PUB_KEY_ID_1"}, "INVALID_REQUEST", "check public_key_id", id="another key id"),
    ],
)
def test_a_refused_caller_stops_the_run(
    account: Mapping[str, object], code: str, advice: str, brand: Workspace
) -> None:
    """With a wrong key, brand or key id the run stops after at most 3 requests; no row is rejected."""
    brand.configure({**BRAND_JOB, "accounts.brand": account})

    ended = send(brand, *(balance(card, 5) for card in range(40)))

    assert (ended.exit_code, set(brand.results())) == (4, {"unsent stopped"})
    assert len(brand.requests()) <= 3
    assert {(code in line["message"], advice in line["message"]) for line in brand.outcomes()} == {(True, True)}


def test_a_retry_sends_the_same_body(brand: Workspace) -> None:
    """After an open attempt the same bytes go out again: the platform applies the balance once."""
    brand.simulator.set_faults([InjectedFault(FaultKind.LOSE_AFTER_APPLYING, api=Api.BRAND_POINTS, times=2)])
    send(brand, balance(1, 5))
    before = brand.results()
    brand.simulator.set_faults([])

    rerun = brand.backfill("rerun", "last")

    entries = brand.simulator.journal.entries
    assert (before, rerun.exit_code, brand.results()) == (["unknown connection_lost"], 0, [DONE])
    assert all(one.body_digest == other.body_digest for one, other in pairwise(entries))
    assert brand.simulator.journal.applied_keys() == [entries[0].key]


def test_a_plan_shows_what_is_sent(brand: Workspace) -> None:
    """The sample payload has no brand, and the time needed is that of 10 requests per second."""
    brand.export("brand.csv", [balance(card, 5, out_request_no=f"N-{card}") for card in range(50)])

    planned = brand.backfill("plan", "brand", "--show-ids")

    assert planned.exit_code == 0
    assert f'{{"card_id":"{CARD}","openid":"oTEST{0:023d}","out_request_no":"N-0","point_balance":5,' in planned.stdout
    assert "brand_id" not in planned.stdout
    assert "50 requests in 50 lanes, 0 min 05 s at the quota" in planned.stdout


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        pytest.param({"jobs.brand": {"account": "card"}}, ["card", "mchid", "brand_id"], id="a merchant's account"),
        pytest.param({"jobs.brand": {"account": "zhima"}}, ["zhima", "alipay", "brand_id"], id="an app"),
        pytest.param({"jobs.points": {"account": "brand"}}, ["brand", "brand_id", "mchid"], id="a brand for points"),
        pytest.param({"jobs.brand": {"rate": 11}}, ["rate", "10 requests per second"], id="too fast"),
        pytest.param({"jobs.brand.constants": {"brand_id": "1005"}}, ["brand_id", "account"], id="another constant"),
        pytest.param(
            {"accounts.brand": {"apiv3_key_file": "keys/apiv3_key.txt"}}, ["apiv3_key_file", "no platform"], id="apiv3"
        ),
    ],
)
def test_a_wrong_account_is_refused(
    tables: Mapping[str, Mapping[str, object]], words: list[str], workspace: Workspace
) -> None:
    """A job with an account of another kind, or a setting that a brand has not, ends with exit 2 and names both."""
    workspace.configure(
        {name: {**BRAND_JOB.get(name, {}), **tables.get(name, {})} for name in dict.fromkeys([*BRAND_JOB, *tables])}
    )
    workspace.export("brand.csv", [balance(1, 5)])

    refused = workspace.refused("brand")

    assert [word for word in words if word not in refused] == []


def test_a_fixed_balance_counts_for_its_old_row(brand: Workspace) -> None:
    """A fix sends the balance; the next export that still has the unfixed row skips it."""
    send(brand, balance(1, -5))
    fixes = brand.reports()[-1] / "rows_to_fix.csv"
    fixes.write_text(fixes.read_text(encoding="utf-8-sig").replace("-5", "5"), encoding="utf-8")

    fixed = brand.backfill("run", "brand", str(fixes))
    after_fix = brand.results()
    send(brand, balance(1, -5))

    assert (fixed.exit_code, after_fix, brand.results()) == (0, [DONE], ["skipped fixed_already"])
    assert [entry.points for entry in brand.simulator.journal.entries] == [5]
