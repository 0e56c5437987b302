"""Variants of the case `cause-of-a-broken-connection`: the outcome names the cause."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cases.inputs import csv_of, job, order, points, row, run, state
from tests.cases.player import Player
from tests.write.certificates import context_of, write_certificate
from tests.write.loopback import Loopback, Phase, closes, resets, says, serving

ROWS = {"orders": [order(1)], "states": [state(1, "BUY")], "points": [points(1, 5)]}
HARDLY = "outage_limit_s = 2\nmax_attempts = 2\n"
both = pytest.mark.parametrize("transport", ["requests", "curl"])


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """The servers of a test; they are closed at its end."""
    with ExitStack() as stack:
        yield stack


def reach(player: Player, base_url: str, export: str, transport: str, *, account: str = "") -> None:
    """Prepare a job of one row that sends to this address; `account` are more keys of its account."""
    more = f'{HARDLY}transport = "{transport}"\n'
    files = {f"{export}.csv": csv_of(ROWS[export])}
    player.prepare(job(export, [f"{export}.csv"], more=more), files, base_url=base_url)
    config = player.folder / "backfill.toml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace(f'base_url = "{base_url}"', f'base_url = "{base_url}"\n{account}'), encoding="utf-8")


def check(player: Player, export: str, status: str, code: str, *message: str) -> None:
    """Run the job, and expect this status, code and message of its only row."""
    player.play([{**run(f"run {export}", 4, [row(f"{export}.csv", 1, status, code, *message)], []), "exit": [3, 4]}])


@both
@pytest.mark.parametrize(
    ("certificate", "trusted", "message"),
    [
        pytest.param({"since": -3, "until": -1}, True, "expired", id="expired"),
        pytest.param({"host": "127.0.0.2"}, True, "another host name", id="wrong-name"),
        pytest.param({}, False, "unknown issuer", id="unknown-issuer"),
    ],
)
@pytest.mark.parametrize("export", ["orders", "states", "points"])
def test_a_certificate_that_does_not_verify(
    export: str,
    certificate: dict[str, int],
    trusted: bool,
    message: str,
    transport: str,
    servers: ExitStack,
    player: Player,
    tmp_path: Path,
) -> None:
    """An expired certificate, another name or an unknown issuer is named in the message, with host and port."""
    path = write_certificate(tmp_path / "server.pem", **certificate)  # type: ignore[arg-type]
    server = servers.enter_context(serving(Loopback(context=context_of(path))))
    reach(player, server.url, export, transport, account=f'ca_bundle_file = "{path}"' if trusted else "")

    check(player, export, "unsent", "stopped", message, rf"127\.0\.0\.1:{server.port}\b")


@both
@pytest.mark.parametrize(
    ("act", "message"),
    [
        pytest.param(says("407 Proxy Authentication Required"), "status 407", id="407"),
        pytest.param(says("403 Forbidden"), "status 403", id="403"),
        pytest.param(closes, "closed by proxy", id="closes"),
    ],
)
def test_a_proxy_that_refuses(act: Phase, message: str, transport: str, servers: ExitStack, player: Player) -> None:
    """A proxy that refuses is named in the message, with its host, port and status."""
    proxy = servers.enter_context(serving(Loopback([act] * 9)))
    account = f'proxy = "http://127.0.0.1:{proxy.port}"'
    reach(player, "https://platform.invalid", "orders", transport, account=account)

    check(player, "orders", "unsent", "not_connected", message, rf"proxy 127\.0\.0\.1:{proxy.port}\b")


@both
def test_a_proxy_that_does_not_listen(transport: str, player: Player) -> None:
    """If nothing listens at the proxy's address, the message names the proxy, not the platform."""
    reach(player, "https://platform.invalid", "points", transport, account='proxy = "http://127.0.0.1:1"')

    check(player, "points", "unsent", "not_connected", "refused", r"proxy 127\.0\.0\.1:1\b")


@both
@pytest.mark.parametrize(("act", "message"), [(resets, "reset"), (closes, "closed")])
def test_a_connection_that_breaks(act: Phase, message: str, transport: str, servers: ExitStack, player: Player) -> None:
    """A connection that breaks after the request was sent leaves the row unknown; the message says who closed it."""
    server = servers.enter_context(serving(Loopback([act] * 9)))
    reach(player, server.url, "orders", transport)

    check(player, "orders", "unknown", "connection_lost", message, rf"127\.0\.0\.1:{server.port}\b")
