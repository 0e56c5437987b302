"""Modes of the platforms: keys, certificates, charsets, encryption, backup hosts."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import replace

import pytest

from pipeline.simulator import Api, FaultKind, InjectedFault, Simulator
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
        pytest.param(
            InjectedFault(FaultKind.STATUS, status=403, code="NO_AUTH"), r"status 403 \(NO_AUTH\)", id="refused"
        ),
        pytest.param(InjectedFault(FaultKind.STATUS, status=404), "status 404", id="none there"),
        pytest.param(
            InjectedFault(FaultKind.UNKNOWN_SERIAL), "none that the APIv3 key opens", id="signed by somebody else"
        ),
        pytest.param(InjectedFault(FaultKind.BAD_SIGNATURE), "none that the APIv3 key opens", id="signed wrongly"),
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
    workspace.simulator.set_faults(
        [InjectedFault(FaultKind.LOSE_BEFORE_APPLYING, api=Api.WECHATPAY_CERTIFICATES, times=1)]
    )

    assert run_three(workspace, "points") == ALL_DONE


NOT_OPEN = "the switch to the public key is not open yet"
BOTH_KINDS = {"accounts.card": {"platform_cert_file": "keys/wechatpay_cert.pem"}}
BEFORE_THE_SWITCH = InjectedFault(FaultKind.PLATFORM_CERTIFICATE)


@pytest.mark.parametrize(
    ("fault", "is_noted"),
    [
        pytest.param(BEFORE_THE_SWITCH, True, id="before the switch"),
        pytest.param(replace(BEFORE_THE_SWITCH, every=2), True, id="answers of both kinds"),
        pytest.param(None, False, id="after the switch"),
    ],
)
def test_both_kinds_of_keys_work_together(fault: InjectedFault | None, is_noted: bool, workspace: Workspace) -> None:
    """With public key and certificate every row succeeds; the log has one line while the switch is not open."""
    workspace.configure(BOTH_KINDS)
    workspace.simulator.set_faults([fault] if fault else [])
    workspace.export("points.csv", [balance(number, 5) for number in range(3)])

    ended = workspace.backfill("run", "points")

    assert (ended.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 3)
    assert ended.stderr.count(NOT_OPEN) == is_noted


def test_a_public_key_and_the_apiv3_key_work_together(workspace: Workspace) -> None:
    """Before the switch the certificate is fetched once, when the first answer names it."""
    workspace.configure({"accounts.card": {"apiv3_key_file": "keys/apiv3_key.txt"}})
    workspace.simulator.set_faults([BEFORE_THE_SWITCH])

    ended = run_three(workspace, "points")

    downloads = [entry for entry in workspace.simulator.journal.entries if entry.api is Api.WECHATPAY_CERTIFICATES]
    assert (ended, len(downloads)) == (ALL_DONE, 1)


def test_a_public_key_alone_stops_before_the_switch(workspace: Workspace) -> None:
    """No answer can be verified: the run stops with the reason; with the certificate, `resume` sends the same again."""
    workspace.simulator.set_faults([BEFORE_THE_SWITCH])
    exit_code, statuses = run_three(workspace, "points")
    (message,) = {line["message"] for line in workspace.outcomes() if line["status"] == "unknown"}
    workspace.configure(BOTH_KINDS)

    assert (exit_code, sorted(statuses)) == (4, ["unknown", "unsent", "unsent"])
    assert message == (
        f"unknown_serial: WeChat Pay signs with a platform certificate: {NOT_OPEN}; open it in the merchant platform "
        "(API security), or name the newest certificate in platform_cert_file, or set apiv3_key_env to download it, "
        "then resume"
    )
    assert (workspace.backfill("resume", "last").exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 3)
    assert len(workspace.simulator.journal.applied_keys()) == 3


def test_a_wrong_public_key_id_stops_the_run(workspace: Workspace) -> None:
    """The platform refuses a `Wechatpay-Serial` that it does not know: the run stops, and no row is rejected for it."""
    workspace.configure({"accounts.card": {"public_key_id": "PUB_KEY_ID_01"}})
    exit_code, statuses = run_three(workspace, "points")

    messages = [line["message"] for line in workspace.outcomes()]
    assert (exit_code, statuses, workspace.simulator.journal.applied_keys()) == (4, ["unsent"] * 3, [])
    assert all("check public_key_id of the account" in message for message in messages)


@pytest.mark.parametrize(
    ("tables", "statuses", "said"),
    [
        pytest.param(
            APIV3, ["unsent"] * 3,
            "nothing was sent; set public_key_id and public_key_file of the account, then resume",
            id="no public key",
        ),
        pytest.param(
            {"accounts.card": {"apiv3_key_file": "keys/apiv3_key.txt"}}, ["unknown", "unsent", "unsent"],
            f"{NOT_OPEN}; open it in the merchant platform (API security), then resume; fetching certificates failed",
            id="public key before the switch",
        ),
    ],
)  # fmt: skip
def test_an_expired_platform_certificate_needs_the_public_key(
    tables: Mapping[str, Mapping[str, object]], statuses: list[str], said: str, workspace: Workspace
) -> None:
    """403 NOT_ENOUGH says that there is no certificate any more, and what to do instead."""
    workspace.configure(tables)
    expired = InjectedFault(FaultKind.STATUS, api=Api.WECHATPAY_CERTIFICATES, status=403, code="NOT_ENOUGH")
    workspace.simulator.set_faults([expired, BEFORE_THE_SWITCH])

    exit_code, ended = run_three(workspace, "points")

    messages = " ".join(line["message"] for line in workspace.outcomes())
    assert (exit_code, sorted(ended)) == (4, statuses)
    assert said in messages
    assert "the merchant's platform certificate has expired, status 403 (NOT_ENOUGH)" in messages


SEVERAL = {"accounts.zhima": {"alipay_cert_file": ["keys/alipay_cert.pem", "keys/alipay_cert_reissued.pem"]}}


@pytest.mark.parametrize(
    ("tables", "downloads"), [pytest.param({}, 1, id="downloaded"), pytest.param(SEVERAL, 0, id="configured")]
)
@pytest.mark.parametrize("job", ["orders", "states"])
def test_a_reissued_alipay_certificate_verifies(
    job: str, tables: Mapping[str, Mapping[str, object]], downloads: int, workspace: Workspace
) -> None:
    """A certificate with the same key and another SN is downloaded once, or is in the config beside the old one."""
    workspace.configure(tables, certificates=True)
    api = Api.CUMULATION if job == "orders" else Api.STATE
    workspace.simulator.set_faults([InjectedFault(FaultKind.REISSUED_CERTIFICATE, api=api)])

    ended = run_three(workspace, job)

    fetched = [entry for entry in workspace.simulator.journal.entries if entry.api is Api.ALIPAY_CERTIFICATE]
    assert (ended, len(fetched)) == (ALL_DONE, downloads)


def test_a_reissued_certificate_without_its_root_is_not_believed(workspace: Workspace) -> None:
    """The chain of a downloaded certificate must lead to the root file, although its key is the old one's."""
    workspace.configure(certificates=True)
    roots = workspace.folder / "keys" / "alipay_root_cert.pem"
    begin = b"-----BEGIN CERTIFICATE-----"
    roots.write_bytes(begin.join(roots.read_bytes().split(begin)[:-1]))
    workspace.simulator.set_faults([InjectedFault(FaultKind.REISSUED_CERTIFICATE, api=Api.CUMULATION)])

    exit_code, statuses = run_three(workspace, "orders")

    assert (exit_code, sorted(statuses)) == (4, ["unknown", "unsent", "unsent"])


@pytest.mark.parametrize(
    ("number", "exit_code", "result", "said"),
    [
        pytest.param(
            268575528, 3, "rejected PARAM_ERROR", "inner error number 268575528 (the card waits for activation)",
            id="of the row",
        ),
        pytest.param(270924358, 4, "unsent stopped", "a field that the platform's document lacks", id="of the program"),
        pytest.param(270924289, 3, "unsent throttled", "every attempt was throttled", id="too many requests"),
    ],
)  # fmt: skip
def test_an_inner_error_number_of_wechat_pay_is_shown(
    number: int, exit_code: int, result: str, said: str, workspace: Workspace
) -> None:
    """The number at the end of the Request-ID is in the message; three of them decide how the row ends."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, api=Api.POINTS, code="PARAM_ERROR", number=number)])
    workspace.export("points.csv", [balance(1, 5)])

    ended = workspace.backfill("run", "points")

    (line,) = workspace.outcomes()
    assert (ended.exit_code, workspace.results()) == (exit_code, [result])
    assert said in line["message"]


@pytest.mark.parametrize(
    ("job", "api", "fetched"),
    [
        pytest.param("points", Api.POINTS, Api.WECHATPAY_CERTIFICATES, id="wechat"),
        pytest.param("states", Api.STATE, Api.ALIPAY_CERTIFICATE, id="gateway"),
        pytest.param("orders", Api.CUMULATION, Api.ALIPAY_CERTIFICATE, id="v3"),
    ],
)
def test_a_platforms_new_key_is_fetched_once(job: str, api: Api, fetched: Api, workspace: Workspace) -> None:
    """An answer signed with an unknown key causes a download, and then every row succeeds."""
    workspace.configure(certificates=True)
    workspace.simulator.set_faults([InjectedFault(FaultKind.UNKNOWN_SERIAL, api=api, fetchable=True)])

    ended = run_three(workspace, job)

    downloads = [entry for entry in workspace.simulator.journal.entries if entry.api is fetched]
    assert (ended, len(downloads)) == (ALL_DONE, 1 + (job == "points"))


@pytest.mark.parametrize(("job", "api"), [("orders", Api.CUMULATION), ("states", Api.STATE), ("points", Api.POINTS)])
def test_a_key_that_cannot_be_fetched_stops_the_run(job: str, api: Api, workspace: Workspace) -> None:
    """Answers with a key that can't be fetched prove nothing: the row in flight is unknown, the rest unsent."""
    workspace.configure(certificates=True)
    workspace.simulator.set_faults([InjectedFault(FaultKind.UNKNOWN_SERIAL, api=api)])

    exit_code, statuses = run_three(workspace, job)

    assert (exit_code, sorted(statuses)) == (4, ["unknown", "unsent", "unsent"])


@pytest.mark.parametrize("job", ["orders", "states"])
def test_an_answer_that_does_not_decrypt_stops_the_run(job: str, workspace: Workspace) -> None:
    """With a wrong AES key no answer can be read: the row in flight is unknown, the rest unsent."""
    workspace.configure(AES)
    workspace.simulator.set_faults([InjectedFault(FaultKind.BAD_ENCRYPTION)])

    assert run_three(workspace, job) == (4, ["unknown", "unsent", "unsent"])


def test_a_probe_is_retried(workspace: Workspace) -> None:
    """WeChat Pay's deliberately wrong signature is no success; the retry is."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.PROBE_SIGNATURE, each_key=True, times=1)])

    ended = run_three(workspace, "points")

    assert (ended, [line["attempts"] for line in workspace.outcomes()]) == (ALL_DONE, ["2"] * 3)


def test_an_old_answer_is_not_trusted(workspace: Workspace) -> None:
    """An answer more than 5 minutes off may be a replay: it is retried once, then the run stops."""
    workspace.simulator.set_faults([InjectedFault(FaultKind.STALE_TIMESTAMP, times=1)])
    once = run_three(workspace, "points")
    workspace.simulator.reset()
    shutil.rmtree(workspace.folder / "state")
    shutil.rmtree(workspace.folder / "reports")
    workspace.simulator.set_faults([InjectedFault(FaultKind.STALE_TIMESTAMP)])

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
