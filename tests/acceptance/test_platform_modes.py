"""Modes of the platforms: keys, certificates, charsets, encryption, backup hosts."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace

import pytest

from pipeline.simulator import Api, InjectedFault, Kind, Simulator
from tests.acceptance.workspace import Workspace, balance, order, state

AES = {"accounts.zhima": {"encrypt_key_file": "keys/encrypt_key.txt"}}
PLATFORM_CERT = {
    "accounts.card": {"public_key_id": None, "public_key_file": None, "platform_cert_file": "keys/wechatpay_cert.pem"}
}
APIV3 = {"accounts.card": {"public_key_id": None, "public_key_file": None, "apiv3_key_file": "keys/apiv3_key.txt"}}


def run_three(workspace: Workspace, job: str) -> tuple[int, list[str]]:
    """Run a job over 3 right rows; return its exit code and their statuses."""
    make = {"orders": order, "states": state}.get(job)
    workspace.export(f"{job}.csv", [make(number) if make else balance(number, 5) for number in range(3)])
    ended = workspace.backfill("run", job)
    return ended.exit_code, [line["status"] for line in workspace.outcomes()]


ALL_DONE = (0, ["succeeded"] * 3)


@pytest.mark.parametrize(
    ("job", "tables", "certificates"),
    [
        pytest.param("orders", {}, True, id="v3 with certificates"),
        pytest.param("states", {}, True, id="gateway with certificates"),
        pytest.param("points", {}, True, id="wechat, certificates by the apiv3 key"),
        pytest.param("points", PLATFORM_CERT, False, id="wechat, a certificate file"),
        pytest.param("orders", AES, False, id="v3 encrypted"),
        pytest.param("states", AES, False, id="gateway encrypted"),
        pytest.param("orders", AES, True, id="v3 encrypted, with certificates"),
        pytest.param("states", AES, True, id="gateway encrypted, with certificates"),
        pytest.param("states", {"accounts.zhima": {"charset": "gbk"}}, False, id="gateway in GBK"),
        pytest.param(
            "states", {"accounts.zhima": {"charset": "gbk"} | AES["accounts.zhima"]}, False, id="GBK encrypted"
        ),
        pytest.param("states", {"accounts.zhima": {"sign_type": "RSA"}}, False, id="gateway with SHA-1"),
    ],
)
def test_every_mode_works(
    job: str, tables: Mapping[str, Mapping[str, object]], certificates: bool, workspace: Workspace
) -> None:
    """The simulator checks every signature itself and accepts all rows, and its answers verify."""
    workspace.configure(tables, certificates=certificates)

    assert run_three(workspace, job) == ALL_DONE


def test_an_app_auth_token_is_sent_and_signed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service provider's token is sent with both of Alipay's protocols."""
    monkeypatch.setenv("TOKEN", "202511BBtest")
    workspace.configure({"accounts.zhima": {"app_auth_token_env": "TOKEN"}})

    assert [run_three(workspace, job) for job in ("orders", "states")] == [ALL_DONE] * 2


def test_wechat_pays_certificates_are_fetched_before_the_first_row(workspace: Workspace) -> None:
    """With the APIv3 key only, the first request of a run fetches the certificates, once."""
    workspace.configure(APIV3)

    ended = run_three(workspace, "points")

    apis = [entry.api for entry in workspace.simulator.journal.entries]
    assert (ended, apis) == (ALL_DONE, [Api.WECHATPAY_CERTIFICATES, *[Api.POINTS] * 3])


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(InjectedFault(Kind.STATUS, status=403, code="NO_AUTH"), r"status 403 \(NO_AUTH\)", id="refused"),
        pytest.param(InjectedFault(Kind.STATUS, status=404), "status 404", id="none there"),
        pytest.param(InjectedFault(Kind.UNKNOWN_SERIAL), "none that the APIv3 key opens", id="signed by somebody else"),
        pytest.param(InjectedFault(Kind.BAD_SIGNATURE), "none that the APIv3 key opens", id="signed wrongly"),
    ],
)
def test_without_wechat_pays_certificates_nothing_is_sent(fault: InjectedFault, why: str, workspace: Workspace) -> None:
    """If the first certificates can't be fetched, the run stops with the reason, and no row is sent."""
    workspace.configure(APIV3)
    workspace.simulator.set_faults([replace(fault, api=Api.WECHATPAY_CERTIFICATES)])
    exit_code, statuses = run_three(workspace, "points")
    (message,) = {line["message"] for line in workspace.outcomes()}
    workspace.simulator.set_faults([])

    assert (exit_code, statuses, workspace.requests(Api.POINTS)) == (4, ["unsent"] * 3, [])
    assert re.search(why, message)
    assert (workspace.backfill("resume", "last").exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 3)


def test_a_lost_certificate_answer_is_retried(workspace: Workspace) -> None:
    """The request for the first certificates is sent again after a lost answer."""
    workspace.configure(APIV3)
    workspace.simulator.set_faults([InjectedFault(Kind.LOSE_BEFORE_APPLYING, api=Api.WECHATPAY_CERTIFICATES, times=1)])

    assert run_three(workspace, "points") == ALL_DONE


@pytest.mark.parametrize(
    ("job", "api", "fetched"),
    [
        pytest.param("points", Api.POINTS, Api.WECHATPAY_CERTIFICATES, id="wechat"),
        pytest.param("states", Api.STATE, Api.ALIPAY_CERTIFICATE, id="gateway"),
    ],
)
def test_a_platforms_new_key_is_fetched_once(job: str, api: Api, fetched: Api, workspace: Workspace) -> None:
    """An answer signed with an unknown key causes a download, and then every row succeeds."""
    workspace.configure(certificates=True)
    workspace.simulator.set_faults([InjectedFault(Kind.UNKNOWN_SERIAL, api=api, fetchable=True)])

    ended = run_three(workspace, job)

    downloads = [entry for entry in workspace.simulator.journal.entries if entry.api is fetched]
    assert (ended, len(downloads)) == (ALL_DONE, 1 + (job == "points"))


@pytest.mark.parametrize(("job", "api"), [("orders", Api.CUMULATION), ("states", Api.STATE), ("points", Api.POINTS)])
def test_a_key_that_cannot_be_fetched_stops_the_run(job: str, api: Api, workspace: Workspace) -> None:
    """Answers with a key that can't be fetched prove nothing: the row in flight is unknown, the rest unsent."""
    workspace.configure(certificates=True)
    workspace.simulator.set_faults([InjectedFault(Kind.UNKNOWN_SERIAL, api=api)])

    exit_code, statuses = run_three(workspace, job)

    assert (exit_code, sorted(statuses)) == (4, ["unknown", "unsent", "unsent"])


@pytest.mark.parametrize("job", ["orders", "states"])
def test_an_answer_that_does_not_decrypt_stops_the_run(job: str, workspace: Workspace) -> None:
    """With a wrong AES key no answer can be read: the row in flight is unknown, the rest unsent."""
    workspace.configure(AES)
    workspace.simulator.set_faults([InjectedFault(Kind.BAD_ENCRYPTION)])

    assert run_three(workspace, job) == (4, ["unknown", "unsent", "unsent"])


def test_a_probe_is_retried(workspace: Workspace) -> None:
    """WeChat Pay's deliberately wrong signature is no success; the retry is."""
    workspace.simulator.set_faults([InjectedFault(Kind.PROBE_SIGNATURE, each_key=True, times=1)])

    ended = run_three(workspace, "points")

    assert (ended, [line["attempts"] for line in workspace.outcomes()]) == (ALL_DONE, ["2"] * 3)


def test_an_old_answer_is_not_trusted(workspace: Workspace) -> None:
    """An answer more than 5 minutes off may be a replay: it is retried once, then the run stops."""
    workspace.simulator.set_faults([InjectedFault(Kind.STALE_TIMESTAMP, times=1)])
    once = run_three(workspace, "points")
    workspace.simulator.reset()
    shutil.rmtree(workspace.folder / "state")
    shutil.rmtree(workspace.folder / "reports")
    workspace.simulator.set_faults([InjectedFault(Kind.STALE_TIMESTAMP)])

    exit_code, statuses = run_three(workspace, "points")

    assert (once, exit_code, "succeeded" in statuses) == (ALL_DONE, 4, False)


def test_the_backup_host_is_used_if_the_first_is_unreachable(workspace: Workspace) -> None:
    """Without a connection, the same signed request is sent to backup_url."""
    with Simulator() as gone:
        url = gone.url
    workspace.configure({"accounts.card": {"base_url": url, "backup_url": workspace.simulator.url}})

    assert run_three(workspace, "points") == ALL_DONE


@pytest.mark.parametrize("url", ["http://openapi.alipay.com", "http://192.168.0.7:8080"])
def test_plain_http_is_for_this_machine_only(url: str, workspace: Workspace) -> None:
    """A base URL that would send unencrypted requests over a network is refused."""
    workspace.configure({"accounts.zhima": {"base_url": url}})
    workspace.export("orders.csv", [order(1)])

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, "http is for this machine only" in ended.stderr) == (2, True)


WITH_DISCOUNT = {"discount_name": "会员日", "discount_type": "memberPoint", "discount_amount": "1.5"}
IN_FEN = {"jobs.orders.units": {"trade_amount": "fen"}, "jobs.orders.columns": {"trade_amount": "paid_fen"}}


@pytest.mark.parametrize(
    ("job", "row", "tables"),
    [
        pytest.param("orders", order(1, user_id="", open_id="014aQs"), {}, id="open_id"),
        pytest.param("orders", order(1, **WITH_DISCOUNT), {}, id="a discount"),
        pytest.param("orders", order(1, trade_no="", trade_amount="", **WITH_DISCOUNT), {}, id="a discount alone"),
        pytest.param(
            "orders",
            order(1, discounts='[{"discount_name":"a","discount_type":"memberPoint","discount_amount":"1.00"}]'),
            {},
            id="several discounts",
        ),
        pytest.param("orders", order(1, task_name="签到", **WITH_DISCOUNT), {}, id="amount and task"),
        pytest.param("orders", order(1, has_alipay_trade="true", ext_info='{"a":1}'), {}, id="Alipay trade"),
        pytest.param("orders", order(1, trade_amount="", paid_fen="1250"), IN_FEN, id="fen, another column"),
        pytest.param("states", state(1, biz_data="", **{"biz_data.cinema": "光明"}), {}, id="biz_data in parts"),
        pytest.param("points", balance(1, 5, out_request_no="N-1"), {}, id="a number of its own"),
        pytest.param("points", balance(1, 0), {}, id="no points"),
    ],
)
def test_every_kind_of_row_is_accepted(
    job: str, row: Mapping[str, str], tables: Mapping[str, Mapping[str, object]], workspace: Workspace
) -> None:
    """All fields of an export in the contract make a payload that the platform accepts."""
    workspace.configure(tables)
    workspace.export(f"{job}.csv", [row])

    ended = workspace.backfill("run", job)

    assert (ended.exit_code, [line["status"] for line in workspace.outcomes()]) == (0, ["succeeded"])
