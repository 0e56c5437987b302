"""The balances of a whole run are judged at once as each would be alone."""

import sqlite3
from collections.abc import Iterable, Sequence, Set
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.ledger.history import runs
from pipeline.ledger.records import NewRun, RunRecord, position
from pipeline.ledger.rules.admission import OtherSenders, is_overtaken, is_unchanged
from pipeline.ledger.rules.cards import cards_of
from pipeline.ledger.staging.staging import LocalStaging
from pipeline.ledger.staging.unchanged_balances import Sure, Unchanged
from pipeline.ledger.store.database import open_for_reading
from pipeline.map import retarget
from pipeline.model import Api, Balance, Export, Payload
from tests.ledger_runs.staged_rows import StagedRow, mapped_of

T = TypeVar("T")

ACCOUNT, ANOTHER = 1, 2
BEFORE, NOW, AFTER = 1, 2, 3
# Temporary files, which no test makes with the ledger in memory.
NOWHERE = Path("nowhere")


def mostly(usual: T, *others: T) -> st.SearchStrategy[T]:
    """Return mostly the first value, sometimes one of the others."""
    return st.sampled_from([usual] * 4 * len(others) + [*others])


# Few cards, so that they collide; one in five shares its first half with another one.
cards = st.builds(
    lambda start, end: bytes([start] * 8 + [end] * 8), st.sampled_from([0, *range(64, 70), 255]), mostly(0, 1)
)
versions = st.sampled_from([None, "2025-11-19T16:00:00.000000Z", "2025-11-20T16:00:00.000000Z"])
points = mostly(7, 8)


@dataclass(frozen=True)
class KnownCard:
    """What the ledger knows of a card."""

    card: bytes
    newest: Balance
    run_no: int
    confirmed: int | None
    unsettled: bool
    account_no: int
    sent_at: int | None = 100


@dataclass(frozen=True)
class DueBalance:
    """A balance that a run is to send, or has sent."""

    card: bytes
    run_no: int
    status: str | None


@dataclass(frozen=True)
class ExportBalance:
    """A balance in the run's export."""

    balance: Balance
    key_is_derived: bool


# Cards that no export has: many of them between those of an export make the ledger look these up by name.
CROWD = [
    KnownCard(balance.card, balance, BEFORE, 7, unsettled=False, account_no=ACCOUNT)
    for balance in (Balance(bytes([66, n] * 8), 7) for n in range(60))
]
balances = st.builds(Balance, cards, points, versions)
known_cards = st.lists(
    st.builds(
        lambda newest, *rest: KnownCard(newest.card, newest, *rest),
        balances,
        mostly(BEFORE, AFTER),
        mostly(7, 6, 8, None),
        mostly(False, True),
        mostly(ACCOUNT, ANOTHER),
        mostly(100, 99, 301, None),
    ),
    unique_by=lambda known: (known.account_no, known.card),
    max_size=16,
)
due_balances = st.lists(
    st.builds(
        DueBalance,
        cards,
        st.sampled_from([BEFORE, AFTER]),
        st.sampled_from([None, "unsent", "unknown", "rejected", "succeeded", "skipped"]),
    ),
    max_size=3,
)
others_now = st.sampled_from([None, None, OtherSenders(since=100, now=300), OtherSenders(since=301, now=300)])
exports = st.lists(st.builds(ExportBalance, balances, mostly(True, False)), min_size=1, max_size=12)


def key_of(balance: Balance) -> str:
    return f"{balance.card.hex()}={balance.points}@{balance.version or ''}"


def ledger_with(
    connection: sqlite3.Connection, known_cards: Sequence[KnownCard], due_balances: Sequence[DueBalance]
) -> RunRecord:
    """Write what is known; return the run that is staging now, between two others."""
    runs.bind_account(connection, "card", "a merchant", 1)
    runs.bind_account(connection, "other", "another merchant", 1)
    _, now, _ = (runs.begin(connection, run(number), ACCOUNT) for number in (BEFORE, NOW, AFTER))
    connection.executemany(
        "INSERT INTO cards (account_no, card, confirmed_points, unsettled, newest_identity, newest_version,"
        " newest_position, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                h.account_no,
                h.card,
                h.confirmed,
                h.unsettled,
                key_of(h.newest),
                h.newest.version,
                position(h.run_no, 1),
                h.sent_at,
            )
            for h in (*known_cards, *CROWD)
        ],
    )
    connection.executemany(
        "INSERT INTO dues (run_no, row_no, part, position, request_key, identity, key_is_derived, digest, lane, card,"
        " status) VALUES (?, ?, 0, ?, 'K', 'K', 1, x'00', ?, ?, ?)",
        [(o.run_no, n, position(o.run_no, n), o.card, o.card, o.status) for n, o in enumerate(due_balances, 1)],
    )
    return now


def run(number: int) -> NewRun:
    return NewRun(
        run_id=f"RUN-{number}",
        job="points",
        export=Export.POINTS,
        api=Api.POINTS,
        account="card",
        limit_per_s=5.0,
        started_at="2025-11-21T00:00:00.000Z",
    )


def judged_at_once(
    connection: sqlite3.Connection, now: RunRecord, export: Sequence[ExportBalance], others: OtherSenders | None
) -> Unchanged:
    staging = LocalStaging(now, NOWHERE, retarget)
    with closing(staging):
        staging.add(connection, 1, 1, mapped_of([staged_row(row) for row in export], Api.POINTS))
        found = staging.findings(connection, lambda: None, is_gone=lambda _: False, others=others).unchanged
    assert found is not None
    return found


def staged_row(row: ExportBalance) -> StagedRow:
    key, balance = key_of(row.balance), row.balance
    payload = Payload(
        Api.POINTS, key, key, b"{}", balance.card, balance=balance, key_is_derived=row.key_is_derived
    )  # fmt: skip
    return StagedRow(0, (), (payload,), key)


def judged_one_by_one(
    connection: sqlite3.Connection,
    now: RunRecord,
    export: Sequence[ExportBalance],
    to_send: Set[bytes],
    others: OtherSenders | None,
    *,
    with_identity: bool,
) -> set[int]:
    """Return the unchanged rows; without identities, as if another balance had been sent last."""
    unchanged = set()
    for at, row in enumerate(export):
        balance, place = row.balance, position(now.run_no, at + 1)
        card = cards_of(connection, now, [balance.card]).get(balance.card)
        identity = key_of(balance) if with_identity else ""
        if row.key_is_derived and balance.card not in to_send and is_unchanged(balance, card, others):
            unchanged |= set() if is_overtaken(balance, place, identity, card) else {at}
    return unchanged


def with_equal_beginning(cards: Iterable[bytes]) -> set[bytes]:
    """Return the cards that share their first eight bytes with another one."""
    of_start: dict[bytes, set[bytes]] = {}
    for card in cards:
        of_start.setdefault(card[:8], set()).add(card)
    return {card for several in of_start.values() if len(several) > 1 for card in several}


@example(
    # Two cards of the export share their first half, and come in the wrong order.
    [KnownCard(bytes([64] * 8 + [0] * 8), Balance(bytes([64] * 8 + [0] * 8), 7), BEFORE, 7, False, ACCOUNT)],
    [DueBalance(bytes([64] * 8 + [0] * 8), BEFORE, None)],
    [
        ExportBalance(Balance(bytes([first] * 8 + [last] * 8), 7), True)
        for first, last in ((64, 1), (66, 0), (67, 0), (64, 0))
    ],
    None,
)
@given(known_cards, due_balances, exports, others_now)
@settings(deadline=None, max_examples=300)
def test_balances_are_judged_at_once_as_one_by_one(
    known_cards: Sequence[KnownCard],
    due_balances: Sequence[DueBalance],
    export: Sequence[ExportBalance],
    others: OtherSenders | None,
) -> None:
    """
    Rows found unchanged are so by the rules for one balance, and all that surely are so are found.

    Two kinds may be left for a look of their own: the balance that was sent last, if a later run overtook it, and a
    card that shares its first half with another one. Among digests there are no such cards.
    """
    with closing(open_for_reading(NOWHERE)) as connection:
        now = ledger_with(connection, known_cards, due_balances)
        found = judged_at_once(connection, now, export, others)
        to_send = {one.card for one in due_balances if one.status not in ("succeeded", "skipped")}
        known = cards_of(connection, now, [row.balance.card for row in export])
        ambiguous = with_equal_beginning(
            [
                *(one.card for one in known_cards),
                *(one.card for one in due_balances),
                *(one.balance.card for one in export),
            ]
        )

        unchanged = set(found.sure.nonzero()[0].tolist())
        assert unchanged <= judged_one_by_one(connection, now, export, to_send, others, with_identity=True)
        surely = judged_one_by_one(connection, now, export, to_send, others, with_identity=False)
        assert unchanged >= {at for at in surely if export[at].balance.card not in ambiguous}
        newest = {at: known[export[at].balance.card].newest_version or "" for at in unchanged}
        later = {at for at in unchanged if (export[at].balance.version or "") > newest[at]}
        assert set((found.sure == Sure.UNCHANGED_LATER).nonzero()[0].tolist()) == later
