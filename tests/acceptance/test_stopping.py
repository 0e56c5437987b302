"""Runs stop early if the caller is refused or the platform is down."""

import shutil

import pytest

from pipeline.simulator import Decision, FaultKind, InjectedFault, Simulator, When
from tests.acceptance.workspace import Workspace, balance, order, state

JOBS = ["orders", "states", "points"]


def export_twenty(workspace: Workspace) -> None:
    """Write 20 right rows for each API."""
    workspace.export("orders.csv", [order(number) for number in range(20)])
    workspace.export("states.csv", [state(number) for number in range(20)])
    workspace.export("points.csv", [balance(number, 100) for number in range(20)])


@pytest.mark.parametrize("job", JOBS)
def test_a_wrong_private_key_costs_three_requests_at_most(job: str, workspace: Workspace) -> None:
    """With an unknown key the run stops, all rows are unsent, and resume sends them."""
    export_twenty(workspace)
    keys = workspace.folder / "keys"
    own, other = ("app_private_key.pem", "apiclient_key.pem")
    own, other = (other, own) if job == "points" else (own, other)
    shutil.copy(keys / own, keys / "right.pem")
    shutil.copy(keys / other, keys / own)

    ended = workspace.backfill("run", job)
    refused, results = len(workspace.requests()), workspace.results()
    shutil.copy(keys / "right.pem", keys / own)
    resumed = workspace.backfill("resume", "last")

    assert (ended.exit_code, results, 1 <= refused <= 3) == (4, ["unsent stopped"] * 20, True)
    assert "private_key_file" in ended.stdout
    assert (resumed.exit_code, workspace.summary()["counts"]["succeeded"]) == (0, 20)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("status", [301, 401, 403, 404, 405])
def test_a_status_about_the_caller_costs_three_requests_at_most(status: int, job: str, workspace: Workspace) -> None:
    """Status 401, 403, 302 or 404: the run stops, and no row is used up."""
    export_twenty(workspace)
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=status)])

    ended = workspace.backfill("run", job)

    assert (ended.exit_code, workspace.results(), 1 <= len(workspace.requests()) <= 3) == (
        4,
        ["unsent stopped"] * 20,
        True,
    )


@pytest.mark.parametrize(
    ("job", "code"),
    [
        pytest.param("orders", "insufficient-isv-permissions", id="v3 permission"),
        pytest.param("orders", "app-cert-expired", id="v3 certificate"),
        pytest.param("orders", "illegal-timestamp", id="v3 clock"),
        pytest.param("orders", "REQUEST_ACCESS_ILLEGAL", id="v3 access"),
        pytest.param("states", "isv.invalid-app-id", id="gateway app"),
        pytest.param("states", "isv.insufficient-isv-permissions", id="gateway permission"),
        pytest.param("states", "aop.invalid-app-auth-token", id="gateway token"),
        pytest.param("points", "NO_AUTH", id="wechat permission"),
        pytest.param("points", "APPID_MCHID_NOT_MATCH", id="wechat account"),
    ],
)
def test_a_code_about_the_caller_costs_three_requests_at_most(job: str, code: str, workspace: Workspace) -> None:
    """A code about signature, permission, app or certificate stops the run."""
    export_twenty(workspace)
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, code=code)])

    ended = workspace.backfill("run", job)

    counts = workspace.summary()["counts"]
    assert (ended.exit_code, 1 <= len(workspace.requests()) <= 3) == (4, True)
    assert counts["unsent"] + counts["rejected"] == 20
    assert counts["unsent"] >= 17


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("kind", [FaultKind.BAD_SIGNATURE, FaultKind.MISSING_SIGNATURE])
def test_answers_that_never_verify_stop_the_run(kind: FaultKind, job: str, workspace: Workspace) -> None:
    """With a wrong platform key in the config, rows in flight are unknown, and the rest is unsent."""
    export_twenty(workspace)
    workspace.simulator.set_faults([InjectedFault(kind)])

    ended = workspace.backfill("run", job)

    counts = workspace.summary()["counts"]
    assert (ended.exit_code, counts["succeeded"], counts["unknown"] + counts["unsent"]) == (4, 0, 20)
    assert 1 <= counts["unknown"] <= len(workspace.requests()) <= 6


def test_a_caller_refused_in_the_middle_stops_what_is_not_in_flight(workspace: Workspace) -> None:
    """After a permission is withdrawn, only one more request confirms it; no row is in doubt."""
    workspace.configure({"jobs.orders": {"concurrency": 4}})
    workspace.export("orders.csv", [order(number) for number in range(40)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=403, key="A[23]?")])

    ended = workspace.backfill("run", "orders")

    refused = [entry for entry in workspace.simulator.journal.entries if entry.status == 403]
    assert (ended.exit_code, 1 <= len(refused) <= 5) == (4, True)
    assert workspace.results() == ["succeeded SUCCESS"] * 20 + ["unsent stopped"] * 20


def waiting_rows(job: str) -> list[dict[str, str]]:
    """Return rows that depend on each other although their users differ: states of one object, and refunds."""
    if job == "states":
        return [state(1, f"STEP{number}", user_id=f"208800000000{number:04d}") for number in range(20)]
    payments = [order(number) for number in range(10)]
    return [*payments, *(order(10 + number, **REFUND, pay_out_biz_no=f"A{number}") for number in range(10))]


REFUND = {"biz_action": "ORDER_REFUND"}


@pytest.mark.parametrize("job", ["orders", "states"])
def test_dependent_rows_are_unsent_if_the_run_stops_first(job: str, workspace: Workspace) -> None:
    """After a refused caller no row is blocked, because no row failed."""
    workspace.export(f"{job}.csv", waiting_rows(job))
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=403)])

    ended = workspace.backfill("run", job)
    results = workspace.results()
    workspace.simulator.set_faults([])
    resumed = workspace.backfill("resume", "last")

    assert (ended.exit_code, results) == (4, ["unsent stopped"] * 20)
    assert (resumed.exit_code, workspace.summary()["counts"]["succeeded"]) == (0, 20)


@pytest.mark.parametrize("status", [500, 503])
def test_a_platform_that_stays_down_stops_the_run(status: int, workspace: Workspace) -> None:
    """After outage_limit_s of probing the run stops with exit 4; resume sends everything, each row applied once."""
    export_twenty(workspace)
    workspace.configure({"jobs.orders": {"outage_limit_s": 2, "max_attempts": 6}})
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=status, when=When.AFTER_APPLYING)])

    ended = workspace.backfill("run", "orders")
    counts, requests = workspace.summary()["counts"], len(workspace.requests())
    workspace.simulator.set_faults([])
    resumed = workspace.backfill("resume", "last")

    assert (ended.exit_code, counts["unknown"] + counts["unsent"], requests <= 25) == (4, 20, True)
    assert "the platform has not answered correctly for" in ended.stdout
    assert (resumed.exit_code, workspace.results()) == (0, ["succeeded SUCCESS"] * 20)
    assert sorted(workspace.simulator.journal.applied_keys()) == sorted(f"A{number}" for number in range(20))


def test_a_platform_that_cannot_be_reached_stops_the_run(workspace: Workspace) -> None:
    """Without a connection for outage_limit_s, every row is unsent."""
    export_twenty(workspace)
    with Simulator() as gone:
        url = gone.url
    workspace.configure({"accounts.zhima": {"base_url": url}, "jobs.orders": {"outage_limit_s": 1, "max_attempts": 6}})

    ended = workspace.backfill("run", "orders")

    assert (ended.exit_code, workspace.summary()["counts"]["unsent"]) == (4, 20)


def test_an_outage_that_ends_costs_no_row(workspace: Workspace) -> None:
    """While the platform is down, one request at a time probes; afterwards every row is sent."""
    export_twenty(workspace)
    workspace.configure({"jobs.orders": {"max_attempts": 6}})
    workspace.simulator.set_faults([InjectedFault(FaultKind.STATUS, status=503, until_seconds=2.5)])

    ended = workspace.backfill("run", "orders")

    failed = workspace.simulator.journal.decided(Decision.UNTOUCHED)
    assert (ended.exit_code, workspace.results(), len(failed) <= 20) == (0, ["succeeded SUCCESS"] * 20, True)


def test_the_same_refusal_for_every_row_from_the_start_stops_the_run(workspace: Workspace) -> None:
    """The same refusal for each of the first rows stops the run before it uses up the whole export."""
    workspace.export("states.csv", [state(number) for number in range(60)])
    workspace.simulator.set_faults([InjectedFault(FaultKind.REFUSE, code="ZMDATA.CATEGORY_CODE_ERROR")])

    ended = workspace.backfill("run", "states")

    counts = workspace.summary()["counts"]
    assert (ended.exit_code, counts["rejected"] + counts["unsent"], counts["rejected"] < 60) == (4, 60, True)
