"""The offset of this machine's clock, by the Date header of the platform's answer to a request without content."""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from pipeline.check.finding import Finding, Level
from pipeline.clock import Clock
from pipeline.language import t
from pipeline.model import Lost, SignedRequest
from pipeline.settings import Account, AlipayAccount
from pipeline.write.ports import Transport

# Oldest request that the platform accepts; docs/platform.
_ALIPAY_LIMIT = timedelta(minutes=10)
_WECHAT_LIMIT = timedelta(minutes=5)
# A Date header has whole seconds, and a healthy clock is right to less than one.
_WARN_FROM = timedelta(seconds=30)
_PING = SignedRequest("GET", "/", {"Accept": "application/json"}, b"")


def check_clock(account: Account, transport: Transport, clock: Clock) -> Finding:
    """Ask the account's host for its time; the request is not signed and names nobody."""
    what, host = t("account {account}", account=account.name), account.base_url
    before = clock.now()
    answer = transport.send(_PING, fresh=True)
    after = clock.now()
    if isinstance(answer, Lost):
        why = answer.detail or answer.cause
        return Finding(
            Level.WARNING, what, t("no answer from {host}: {why}; check network and proxy", host=host, why=why)
        )
    at = _date(answer.headers.get("date", ""))
    if at is None:
        return Finding(
            Level.WARNING, what, t("{host} answered without a time, so the clock was not compared", host=host)
        )
    return _judged(what, host, before + (after - before) / 2 - at, _limit(account))


def _date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    # On average, half of the second has passed.
    return at + timedelta(seconds=0.5) if at.tzinfo else None


def _limit(account: Account) -> timedelta:
    return _ALIPAY_LIMIT if isinstance(account, AlipayAccount) else _WECHAT_LIMIT


def _judged(what: str, host: str, offset: timedelta, limit: timedelta) -> Finding:
    seconds = abs(offset.total_seconds())
    if seconds <= 1:
        return Finding(Level.OK, what, t("{host} answers; the clock is right to a second", host=host))
    if offset > timedelta(0):
        text = t("the clock is {seconds:,.0f} s ahead of that of {host}", seconds=seconds, host=host)
    else:
        text = t("the clock is {seconds:,.0f} s behind that of {host}", seconds=seconds, host=host)
    if abs(offset) >= limit:
        minutes = int(limit.total_seconds() // 60)
        advice = t("the platform refuses requests {minutes} minutes off; set the clock (NTP)", minutes=minutes)
        return Finding(Level.ERROR, what, f"{text}; {advice}")
    if abs(offset) >= _WARN_FROM:
        return Finding(Level.WARNING, what, t("{text}; set the clock (NTP)", text=text))
    return Finding(Level.OK, what, text)
