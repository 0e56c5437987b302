"""Stopping instead of burning rows: a caller who is refused, and a platform that is down."""

import shutil

import pytest

from pipeline.simulator import Decision, InjectedFault, Kind, Simulator, When
from tests.acceptance.night import Night, balance, order, state

JOBS = ["orders", "states", "points"]


def export_twenty(night: Night) -> None:
    """Write twenty right rows for each API."""
    night.export("orders.csv", [order(number) for number in range(20)])
    night.export("states.csv", [state(number) for number in range(20)])
    night.export("points.csv", [balance(number, 100) for number in range(20)])


@pytest.mark.parametrize("job", JOBS)
def test_a_wrong_private_key_costs_three_requests_at_most(job: str, night: Night) -> None:
    """With a key that the platform does not know the run stops, all rows are unsent, and resume sends them."""
    export_twenty(night)
    keys = night.folder / "keys"
    own, other = ("app_private_key.pem", "apiclient_key.pem")
    own, other = (other, own) if job == "points" else (own, other)
    shutil.copy(keys / own, keys / "right.pem")
    shutil.copy(keys / other, keys / own)

    ended = night.backfill("run", job)
    refused, fates = len(night.requests()), night.fates()
    shutil.copy(keys / "right.pem", keys / own)
    resumed = night.backfill("resume", "last")

    assert (ended.exit_code, fates, 1 <= refused <= 3) == (4, ["unsent stopped"] * 20, True)
    assert "private_key_file" in ended.stdout
    assert (resumed.exit_code, night.summary()["counts"]["succeeded"]) == (0, 20)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("status", [301, 401, 403, 404, 405])
def test_a_status_about_the_caller_costs_three_requests_at_most(status: int, job: str, night: Night) -> None:
    """Unauthorized, forbidden, redirected or unknown to the server: the run stops and no row is spent."""
    export_twenty(night)
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=status)])

    ended = night.backfill("run", job)

    assert (ended.exit_code, night.fates(), 1 <= len(night.requests()) <= 3) == (4, ["unsent stopped"] * 20, True)


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
def test_a_code_about_the_caller_costs_three_requests_at_most(job: str, code: str, night: Night) -> None:
    """What is said of signature, permission, app or certificate stops the run, whatever the row."""
    export_twenty(night)
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, code=code)])

    ended = night.backfill("run", job)

    counts = night.summary()["counts"]
    assert (ended.exit_code, 1 <= len(night.requests()) <= 3) == (4, True)
    assert counts["unsent"] + counts["rejected"] == 20
    assert counts["unsent"] >= 17


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("kind", [Kind.BAD_SIGNATURE, Kind.MISSING_SIGNATURE])
def test_answers_that_never_verify_stop_the_run(kind: Kind, job: str, night: Night) -> None:
    """With a wrong platform key in the config nothing succeeds; rows in hand are unknown, and the rest is unsent."""
    export_twenty(night)
    night.simulator.set_faults([InjectedFault(kind)])

    ended = night.backfill("run", job)

    counts = night.summary()["counts"]
    assert (ended.exit_code, counts["succeeded"], counts["unknown"] + counts["unsent"]) == (4, 0, 20)
    assert 1 <= counts["unknown"] <= len(night.requests()) <= 6


def test_a_caller_refused_in_the_middle_stops_what_is_not_in_flight(night: Night) -> None:
    """Once a permission is taken away, no more is sent than was in flight and one to confirm it; no row is in doubt."""
    night.configure({"jobs.orders": {"concurrency": 4}})
    night.export("orders.csv", [order(number) for number in range(40)])
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=403, key="A[23]?")])

    ended = night.backfill("run", "orders")

    refused = [entry for entry in night.simulator.journal.entries if entry.status == 403]
    assert (ended.exit_code, 1 <= len(refused) <= 5) == (4, True)
    assert night.fates() == ["succeeded SUCCESS"] * 20 + ["unsent stopped"] * 20


def waiting_rows(job: str) -> list[dict[str, str]]:
    """Return rows that wait for one another although they name other users: states of one object, and refunds."""
    if job == "states":
        return [state(1, f"STEP{number}", user_id=f"208800000000{number:04d}") for number in range(20)]
    payments = [order(number) for number in range(10)]
    return [*payments, *(order(10 + number, **REFUND, pay_out_biz_no=f"A{number}") for number in range(10))]


REFUND = {"biz_action": "ORDER_REFUND"}


@pytest.mark.parametrize("job", ["orders", "states"])
def test_rows_that_wait_are_unsent_where_the_run_stops_first(job: str, night: Night) -> None:
    """Behind a refused caller nothing is blocked: no row failed that another one waits for."""
    night.export(f"{job}.csv", waiting_rows(job))
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=403)])

    ended = night.backfill("run", job)
    fates = night.fates()
    night.simulator.set_faults([])
    resumed = night.backfill("resume", "last")

    assert (ended.exit_code, fates) == (4, ["unsent stopped"] * 20)
    assert (resumed.exit_code, night.summary()["counts"]["succeeded"]) == (0, 20)


@pytest.mark.parametrize("status", [500, 503])
def test_a_platform_that_stays_down_stops_the_run(status: int, night: Night) -> None:
    """After outage_limit_s of probing the run stops with exit 4; resume sends everything, each row applied once."""
    export_twenty(night)
    night.configure({"jobs.orders": {"outage_limit_s": 2, "max_attempts": 6}})
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=status, when=When.AFTER_APPLYING)])

    ended = night.backfill("run", "orders")
    counts, requests = night.summary()["counts"], len(night.requests())
    night.simulator.set_faults([])
    resumed = night.backfill("resume", "last")

    assert (ended.exit_code, counts["unknown"] + counts["unsent"], requests <= 25) == (4, 20, True)
    assert "the platform has not answered correctly for" in ended.stdout
    assert (resumed.exit_code, night.fates()) == (0, ["succeeded SUCCESS"] * 20)
    assert sorted(night.simulator.journal.applied_keys()) == sorted(f"A{number}" for number in range(20))


def test_a_platform_that_cannot_be_reached_stops_the_run(night: Night) -> None:
    """Where no connection comes about for outage_limit_s, every row is unsent."""
    export_twenty(night)
    with Simulator() as gone:
        url = gone.url
    night.configure({"accounts.zhima": {"base_url": url}, "jobs.orders": {"outage_limit_s": 1, "max_attempts": 6}})

    ended = night.backfill("run", "orders")

    assert (ended.exit_code, night.summary()["counts"]["unsent"]) == (4, 20)


def test_an_outage_that_ends_costs_no_row(night: Night) -> None:
    """While the platform is down one request at a time probes; once it is back every row goes out."""
    export_twenty(night)
    night.configure({"jobs.orders": {"max_attempts": 6}})
    night.simulator.set_faults([InjectedFault(Kind.STATUS, status=503, until_seconds=2.5)])

    ended = night.backfill("run", "orders")

    failed = night.simulator.journal.decided(Decision.UNTOUCHED)
    assert (ended.exit_code, night.fates(), len(failed) <= 20) == (0, ["succeeded SUCCESS"] * 20, True)


def test_the_same_refusal_for_every_row_from_the_start_stops_the_run(night: Night) -> None:
    """A mapping that no row passes with does not burn a whole export."""
    night.export("states.csv", [state(number) for number in range(60)])
    night.simulator.set_faults([InjectedFault(Kind.REFUSE, code="ZMDATA.CATEGORY_CODE_ERROR")])

    ended = night.backfill("run", "states")

    counts = night.summary()["counts"]
    assert (ended.exit_code, counts["rejected"] + counts["unsent"], counts["rejected"] < 60) == (4, 60, True)
