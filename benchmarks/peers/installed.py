"""Peers that need packages, each in its own virtual environment, which is made on first use."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Unavailable


@dataclass(frozen=True, slots=True)
class Peer:
    """
    Another way to send, as a module of this folder, with the package versions it was written for.

    `share` is its part of the rows, 0 to 1; slow peers get few.
    """

    name: str
    module: str
    requirements: tuple[str, ...]
    share: float = 1.0


PEERS = (
    Peer("script, aiohttp, 32 at once", "async_http", ("aiohttp==3.14.5", "cryptography==50.0.2")),
    Peer("alipay-sdk-python, one by one", "alipay_sdk", ("alipay-sdk-python==3.7.1411", "cryptography==50.0.2"), 0.1),
    Peer(
        "python-alipay-sdk, 32 threads", "python_alipay_sdk", ("python-alipay-sdk==3.4.0", "cryptography==50.0.2"), 0.5
    ),
    Peer("wechatpayv3, 32 threads", "wechatpay_sdk", ("wechatpayv3==2.0.4", "cryptography==50.0.2")),
)


def python_of(peer: Peer, environments: Path | None) -> Path:
    """Return the Python with the peer's packages, installed if needed. Raises Unavailable if it can't be installed."""
    if environments is None:
        raise Unavailable("not installed; `make bench PEERS=1` installs it")
    python = environments / peer.module / "bin" / "python"
    # Written last, so that an incomplete environment is made again.
    done = environments / peer.module / "installed"
    if done.exists() and done.read_text() == "\n".join(peer.requirements):
        return python
    try:
        _run(sys.executable, "-m", "venv", "--clear", str(environments / peer.module))
        _run(str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", *peer.requirements)
    except (subprocess.CalledProcessError, OSError) as exc:
        raise Unavailable("could not be installed") from exc
    done.write_text("\n".join(peer.requirements))
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
