"""The clock offset: the platform's Date header is compared with the middle of the request."""

from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from pipeline.check.clock_offset import check_clock
from pipeline.check.finding import Finding, Level
from pipeline.model import Loss, Lost, Reply, SignedRequest
from pipeline.settings import Account, load
from pipeline.simulator import client_config, write_client_keys
from pipeline.write.ports import at_once
from tests.moved_clock import NOON, MovedClock

URL = "https://platform.test"


class FakeTransport:
    """Answers after some seconds, with this Date header or without an answer."""

    def __init__(self, clock: MovedClock, seconds: float, answer: Reply | Lost) -> None:
        self.clock, self.seconds, self.answer = clock, seconds, answer
        self.requests: list[SignedRequest] = []

    def send(
        self, request: SignedRequest, depart: Callable[[], None] = at_once, *, fresh: bool = False
    ) -> Reply | Lost:
        depart()
        self.requests.append(request)
        self.clock.move(self.seconds)
        return self.answer


@pytest.fixture
def accounts(tmp_path: Path) -> dict[str, Account]:
    """Return the accounts of the simulator's client, with another host."""
    write_client_keys(tmp_path / "keys")
    jobs = "".join(
        f'\n[jobs.{name}]\nexport = "{name}"\napi = "{api}"\naccount = "{account}"\n'
        for name, api, account in (("states", "alipay.state", "zhima"), ("points", "wechatpay.points", "card"))
    )
    config = tmp_path / "backfill.toml"
    config.write_text(client_config(URL) + jobs, encoding="utf-8")
    return dict(load(config, environ={}, at=NOON).accounts)


def dated(seconds: float) -> Reply:
    """Return an answer whose Date is this many seconds after NOON, less the half second that has passed."""
    return Reply(404, {"date": format_datetime(NOON + timedelta(seconds=seconds), usegmt=True)}, b"")


@pytest.mark.parametrize(
    ("account", "answer", "level", "message"),
    [
        ("zhima", dated(1), Level.OK, f"{URL} answers; the clock is right to a second"),
        ("zhima", dated(-9), Level.OK, f"the clock is 10 s ahead of that of {URL}"),
        ("card", dated(41), Level.WARNING, f"the clock is 40 s behind that of {URL}; set the clock (NTP)"),
        (
            "card", dated(-301), Level.ERROR,
            f"the clock is 302 s ahead of that of {URL}; the platform refuses requests 5 minutes off; "
            "set the clock (NTP)",
        ),
        ("zhima", dated(-301), Level.WARNING, f"the clock is 302 s ahead of that of {URL}; set the clock (NTP)"),
        (
            "zhima", dated(700), Level.ERROR,
            f"the clock is 700 s behind that of {URL}; the platform refuses requests 10 minutes off; "
            "set the clock (NTP)",
        ),
        ("card", Reply(404, {}, b""), Level.WARNING, f"{URL} answered without a time, so the clock was not compared"),
        (
            "card", Reply(404, {"date": "soon"}, b""), Level.WARNING,
            f"{URL} answered without a time, so the clock was not compared",
        ),
        (
            "card", Lost(Loss.NOT_CONNECTED, "connection refused by platform.test:443"), Level.WARNING,
            f"no answer from {URL}: connection refused by platform.test:443; check network and proxy",
        ),
        ("card", Lost(Loss.TIMEOUT), Level.WARNING, f"no answer from {URL}: timeout; check network and proxy"),
    ],
)  # fmt: skip
def test_the_clock_is_compared_with_the_platform(
    accounts: dict[str, Account], account: str, answer: Reply | Lost, level: Level, message: str
) -> None:
    """The limits are the platform's: 10 minutes at Alipay, 5 at WeChat Pay."""
    clock = MovedClock()
    transport = FakeTransport(clock, 2.0, answer)

    assert check_clock(accounts[account], transport, clock) == Finding(level, f"account {account}", message)


def test_the_question_is_not_signed(accounts: dict[str, Account]) -> None:
    """The request has no body and no Authorization, and names nobody."""
    clock = MovedClock()
    transport = FakeTransport(clock, 0.0, dated(0))

    check_clock(accounts["card"], transport, clock)

    (request,) = transport.requests
    assert (request.method, request.target, request.body) == ("GET", "/", b"")
    assert dict(request.headers) == {"Accept": "application/json"}
