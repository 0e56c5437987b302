"""The rules of admission, one by one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.ledger.records import DeliveryState
from pipeline.ledger.rules.admission import (
    Card,
    Conflict,
    Go,
    KnownDelivery,
    OtherSenders,
    Skip,
    admit,
    is_overtaken,
    is_unchanged,
)
from pipeline.model import Balance

SAME, OTHER = b"same", b"other"
SENDING, UNKNOWN, SUCCEEDED, REJECTED, UNSENT = DeliveryState
ADMITTED = Go(doubt=False)
SKIPPED = Skip("already_succeeded")


@pytest.mark.parametrize(
    ("known", "admission"),
    [
        pytest.param(None, ADMITTED, id="new"),
        pytest.param(KnownDelivery(SENDING, SAME), Go(doubt=True, before=SENDING), id="in-the-air"),
        pytest.param(KnownDelivery(SENDING, OTHER), Conflict, id="in-the-air-with-other-content"),
        pytest.param(KnownDelivery(UNKNOWN, SAME), Go(doubt=True, before=UNKNOWN), id="in-doubt"),
        pytest.param(KnownDelivery(UNKNOWN, OTHER), Conflict, id="in-doubt-with-other-content"),
        pytest.param(KnownDelivery(SUCCEEDED, SAME), SKIPPED, id="delivered"),
        pytest.param(KnownDelivery(SUCCEEDED, OTHER), Conflict, id="delivered-with-other-content"),
        pytest.param(KnownDelivery(REJECTED, SAME), Go(doubt=False, before=REJECTED), id="refused"),
        pytest.param(KnownDelivery(REJECTED, OTHER), Go(doubt=False, before=REJECTED), id="refused-and-fixed"),
        pytest.param(KnownDelivery(UNSENT, SAME), Go(doubt=False, before=UNSENT), id="surely-not-applied"),
        pytest.param(KnownDelivery(UNSENT, OTHER), Conflict, id="seen-with-other-content"),
        pytest.param(KnownDelivery(REJECTED, SAME, "K-k2", SUCCEEDED), SKIPPED, id="delivered-under-a-new-key"),
        pytest.param(KnownDelivery(REJECTED, OTHER, "K-k2", SUCCEEDED), Conflict, id="other-content-under-a-new-key"),
        pytest.param(KnownDelivery(REJECTED, SAME, "K-k2", UNKNOWN), Conflict, id="in-doubt-under-a-new-key"),
        pytest.param(KnownDelivery(REJECTED, SAME, "K-k2", REJECTED), Conflict, id="refused-under-a-new-key"),
        pytest.param(KnownDelivery(REJECTED, SAME, "K-k2"), Conflict, id="still-to-go-under-a-new-key"),
    ],
)
def test_content_is_admitted_by_what_is_known(
    known: KnownDelivery | None, admission: Go | Skip | type[Conflict]
) -> None:
    """Content is sent under a key only if no other content was, and nothing is sent twice."""
    reported = admit(known, SAME)

    assert isinstance(reported, Conflict) if admission is Conflict else reported == admission


def test_a_conflict_says_what_to_do() -> None:
    """The message of a conflict has the state of the key, and what to do."""
    reported = {state: admit(KnownDelivery(state, OTHER), SAME) for state in DeliveryState if state is not REJECTED}

    assert reported == {
        SUCCEEDED: Conflict(
            "the request key was delivered with other content; if this row is to count as well, give it another key"
        ),
        **dict.fromkeys(
            (SENDING, UNKNOWN),
            Conflict(
                "the request key was sent with other content and it is not known whether that was applied; "
                "rerun the run that left it unknown, then run this row again"
            ),
        ),
        UNSENT: Conflict(
            "the request key was attempted with other content; rerun the run that left it unsent, "
            "or give this row another key"
        ),
    }


def card(version: str | None = None, *, points: int | None = 5, unsettled: bool = False) -> Card:
    return Card(points, unsettled, "newest", version, 100)


@pytest.mark.parametrize(
    ("version", "position", "identity", "known", "overtaken"),
    [
        pytest.param(None, 99, "k", None, False, id="a-card-never-seen"),
        pytest.param(None, 99, "k", card(), True, id="staged-earlier"),
        pytest.param(None, 101, "k", card(), False, id="staged-later"),
        pytest.param(None, 99, "newest", card(), False, id="the-newest-itself"),
        pytest.param("2", 99, "k", card("1"), False, id="staged-earlier-but-newer"),
        pytest.param("1", 101, "k", card("2"), True, id="staged-later-but-older"),
        pytest.param("1", 101, "k", card("1"), False, id="as-old-and-staged-later"),
        pytest.param("1", 99, "k", card("1"), True, id="as-old-and-staged-earlier"),
        pytest.param("1", 101, "k", card(), False, id="the-card-does-not-say-when"),
        pytest.param(None, 99, "k", card("1"), True, id="the-balance-does-not-say-when"),
    ],
)
def test_a_newer_balance_overtakes(
    version: str | None, position: int, identity: str, known: Card | None, *, overtaken: bool
) -> None:
    """The time of change decides where both have one, else the order of staging."""
    assert is_overtaken(Balance(b"card", 5, version), position, identity, known) is overtaken


@pytest.mark.parametrize(
    ("known", "unchanged"),
    [
        pytest.param(None, False, id="a-card-never-seen"),
        pytest.param(card(), True, id="confirmed"),
        pytest.param(card(points=6), False, id="another-balance"),
        pytest.param(card(points=None, unsettled=True), False, id="never-confirmed"),
        pytest.param(card(unsettled=True), False, id="something-later-may-stand"),
    ],
)
def test_a_confirmed_balance_is_unchanged(known: Card | None, *, unchanged: bool) -> None:
    """A balance need not be sent if it was the last one confirmed and nothing was sent since."""
    assert is_unchanged(Balance(b"card", 5), known) is unchanged


NOW = datetime(2026, 3, 1, 12, 0, 0, 600_000, tzinfo=UTC)
NOW_SECONDS = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("sent_at", "unchanged_for", "unchanged"),
    [
        pytest.param(NOW_SECONDS - 59, timedelta(minutes=1), True, id="less-than-that-ago"),
        pytest.param(NOW_SECONDS - 60, timedelta(minutes=1), False, id="that-long-ago"),
        pytest.param(NOW_SECONDS, timedelta(minutes=1), True, id="now"),
        pytest.param(NOW_SECONDS + 1, timedelta(minutes=1), False, id="later-than-now"),
        pytest.param(None, timedelta(days=99_999), False, id="nobody-knows-when"),
        pytest.param(NOW_SECONDS, timedelta(), False, id="never"),
    ],
)
def test_others_leave_a_balance_unchanged_for_a_time(
    sent_at: int | None, unchanged_for: timedelta, *, unchanged: bool
) -> None:
    """If others send balances too, a confirmed one is unchanged if it was sent less than that long ago."""
    known = replace(card(), sent_at=sent_at)

    assert is_unchanged(Balance(b"card", 5), known, OtherSenders.at(NOW, unchanged_for)) is unchanged
