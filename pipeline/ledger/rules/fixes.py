"""
Rows that were fixed, in each of their variants: as the export had them, and as somebody fixed them.

At most one variant of a row may count. What the next export still has of a row whose fix was delivered is skipped; what
may have been applied in one variant does not go out in another before that is settled.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

import orjson

from pipeline.ledger.records import ROW_BITS, DeliveryState, Due, RunRecord, position
from pipeline.ledger.rules.admission import Blocked, Conflict, Skip
from pipeline.ledger.rules.objects import object_in, subject_of
from pipeline.model import Api

FIXED_ALREADY = "fixed_already"
FIX_OPEN = "fix_open"
_ASKED_AT_ONCE = 10_000

# The key and the content of a delivery.
Pair = tuple[str, bytes]

DELIVERED_OTHERWISE = Conflict(
    "the row that this one fixes was delivered in another variant, under another key or with other content; "
    "if this row is to count as well, empty its cell _row and give it a key of its own"
)
_OPEN = Blocked(
    FIX_OPEN,
    "another variant of this row, fixed or not, was sent and it is not known whether that was applied; "
    "rerun the run that left it unknown, then rerun this one",
)


class OtherVariants(Enum):
    """How the other variants of a row stand: none counts, some may count, one counts."""

    NONE = auto()
    OPEN = auto()
    DELIVERED = auto()


@dataclass(frozen=True, slots=True)
class VariantDelivery:
    """
    One delivery that stands for a part of a variant, and what is known of it.

    `variant` is the place of the row that was first staged so. `is_current`: nothing newer of the same card or object
    was confirmed since; what only adds up is always current. `card` and `version` are those of a balance.
    """

    variant: int
    part: int
    identity: str
    digest: bytes = field(repr=False)
    state: DeliveryState | None
    is_current: bool
    card: bytes | None = field(repr=False)
    version: str | None

    @property
    def pair(self) -> Pair:
        """Key and content; of a state, its object and content."""
        return subject_of(self.identity), self.digest


def knows_fixes(connection: sqlite3.Connection, run: RunRecord) -> bool:
    """Return whether rows of the run's account and API were ever fixed."""
    asked = "SELECT EXISTS (SELECT 1 FROM contents WHERE account_no = ? AND api = ?)"
    return bool(connection.execute(asked, (run.account_no, run.api)).fetchone()[0])


def variant_deliveries(
    connection: sqlite3.Connection, run: RunRecord, origins: Iterable[int]
) -> dict[int, list[VariantDelivery]]:
    """Return what is known of all variants of some rows, by the place of the first one."""
    found: dict[int, list[VariantDelivery]] = defaultdict(list)
    asked = orjson.dumps(sorted(set(origins))).decode()
    for origin, variant, part, identity, digest, state, is_current, card, version in connection.execute(
        f"SELECT v.origin, v.variant, v.part, v.identity, v.digest, d.state, {_IS_CURRENT[run.api]}, v.card, v.version"
        " FROM json_each(:origins) AS asked CROSS JOIN variants AS v ON v.origin = asked.value"
        " LEFT JOIN deliveries AS d ON d.account_no = v.account_no AND d.api = v.api AND d.identity = v.identity"
        " AND d.digest = v.digest",
        {"origins": asked},
    ):
        known = None if state is None else DeliveryState(state)
        line = VariantDelivery(variant, part, identity, digest, known, bool(is_current), card, version)
        found[origin].append(line)
    return found


# A balance or a state says what is so now: once another one was confirmed, the fixed one says nothing any more.
_IS_CURRENT = {
    Api.CUMULATION: "1",
    Api.POINTS: (
        "coalesce((SELECT c.confirmed_points = v.points AND NOT c.unsettled FROM cards AS c"
        " WHERE c.account_no = v.account_no AND c.card = v.card), 0)"
    ),
    Api.STATE: (
        "coalesce((SELECT iif(h.unsettled, h.before_identity, h.identity) = v.identity FROM objects AS h"
        f" WHERE h.account_no = v.account_no AND h.object = {object_in('v.identity')}), 0)"
    ),
}


def state_of_other_variants(lines: Sequence[VariantDelivery], own: int, pairs: Collection[Pair]) -> OtherVariants:
    """Say how the variants of a row stand other than one, whose place is `own`, and which goes out as `pairs`."""
    others = [line for line in lines if line.variant != own and line.pair not in pairs]
    if any(line.state in (DeliveryState.SENDING, DeliveryState.UNKNOWN) for line in others):
        return OtherVariants.OPEN
    delivered = {line.variant for line in others if line.state is DeliveryState.SUCCEEDED and line.is_current}
    if any(is_whole(lines, variant) for variant in delivered):
        return OtherVariants.DELIVERED
    # Some of its parts count, and the others may yet.
    return OtherVariants.OPEN if delivered else OtherVariants.NONE


def is_whole(lines: Iterable[VariantDelivery], variant: int) -> bool:
    """Return whether all parts of a variant were delivered."""
    own = [line for line in lines if line.variant == variant]
    delivered = {line.part for line in own if line.state is DeliveryState.SUCCEEDED}
    return bool(own) and delivered == {line.part for line in own}


def judge_dues(
    connection: sqlite3.Connection, run: RunRecord, dues: Sequence[Due]
) -> Mapping[int, Blocked | Conflict | Skip]:
    """Return, by their numbers, for which dues another variant of their row forbids that they go out, and why."""
    owns = _variants_of(connection, run, dues)
    lines = variant_deliveries(connection, run, (origin for origin, _ in owns.values()))
    judged = {}
    for due in dues:
        if due.due_no in owns:
            origin, own = owns[due.due_no]
            pairs = {line.pair for line in lines[origin] if line.variant == own} | {
                (subject_of(due.identity), due.digest)
            }
            said = forbidden(run.api, state_of_other_variants(lines[origin], own, pairs), is_fix=own != origin)
            if said is not None:
                judged[due.due_no] = said
    return judged


def forbidden(api: Api, standing: OtherVariants, *, is_fix: bool) -> Blocked | Conflict | Skip | None:
    """Say why a variant of a row may not go out while the others stand so."""
    if standing is OtherVariants.NONE or (is_fix and api is not Api.CUMULATION):
        # A fixed balance or state says what is so now, whatever was said before.
        return None
    if standing is OtherVariants.OPEN:
        return _OPEN
    return DELIVERED_OTHERWISE if is_fix else Skip(FIXED_ALREADY)


def _variants_of(connection: sqlite3.Connection, run: RunRecord, dues: Sequence[Due]) -> dict[int, tuple[int, int]]:
    """Return for dues that belong to a fixed row the places of that row and of their variant."""
    # A rerun's due has the place of the row that was staged first. What an export has once more has a place of its own.
    found = connection.execute(
        "SELECT d.due_no, v.origin, v.variant, 0 AS is_by_place FROM json_each(:dues) AS asked CROSS JOIN dues AS d"
        " ON d.due_no = asked.value CROSS JOIN variants AS v ON v.digest = d.digest AND v.identity = d.identity"
        " WHERE v.variant = v.origin AND v.account_no = :account_no AND v.api = :api"
        " UNION SELECT d.due_no, v.origin, v.variant, 1 FROM json_each(:dues) AS asked CROSS JOIN dues AS d"
        " ON d.due_no = asked.value CROSS JOIN variants AS v ON v.variant = d.position ORDER BY is_by_place",
        {"dues": _json([due.due_no for due in dues]), "account_no": run.account_no, "api": run.api},
    )
    return {due_no: (origin, variant) for due_no, origin, variant, _ in found}


def note_sent(connection: sqlite3.Connection, dues: Sequence[Due]) -> None:
    """Note under which keys, and with which content, variants are about to go out: both may have changed by a rerun."""
    connection.execute(
        "INSERT OR IGNORE INTO variants"
        " (account_no, api, origin, variant, part, identity, digest, card, points, version)"
        " SELECT v.account_no, v.api, v.origin, v.variant, d.part, d.identity, d.digest, d.card, d.points, d.version"
        " FROM json_each(?) AS asked CROSS JOIN dues AS d ON d.due_no = asked.value"
        " CROSS JOIN variants AS v ON v.variant = d.position AND v.part = d.part",
        (_json([due.due_no for due in dues]),),
    )
    # A fixed row that says what its origin said is no variant by content, but a changed config may send other bytes.
    connection.execute(
        "INSERT OR IGNORE INTO variants"
        " (account_no, api, origin, variant, part, identity, digest, card, points, version)"
        f" SELECT r.account_no, r.api, (o.origin_run_no << {ROW_BITS}) | o.origin_row_no, d.position, d.part,"
        " d.identity, d.digest, d.card, d.points, d.version"
        " FROM json_each(?) AS asked CROSS JOIN dues AS d ON d.due_no = asked.value"
        " CROSS JOIN origins AS o ON o.run_no = d.run_no AND o.row_no = d.row_no JOIN runs AS r ON r.run_no = d.run_no"
        " WHERE NOT EXISTS (SELECT 1 FROM variants AS v WHERE v.identity = d.identity AND v.digest = d.digest"
        f" AND v.origin = (o.origin_run_no << {ROW_BITS}) | o.origin_row_no)",
        (_json([due.due_no for due in dues]),),
    )


def own_keys(connection: sqlite3.Connection, run: RunRecord) -> set[str]:
    """Return the request keys that rows had before they were fixed."""
    found = connection.execute(
        "SELECT DISTINCT request_key FROM contents WHERE account_no = ? AND api = ? AND request_key IS NOT NULL",
        (run.account_no, run.api),
    )
    return {key for (key,) in found}


def variants_with(
    connection: sqlite3.Connection, run: RunRecord, contents: Iterable[bytes]
) -> dict[bytes, list[tuple[int, int]]]:
    """Return by their contents the variants that rows have: the place of the first row, and that of the variant."""
    found: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    wanted = list(contents)
    for start in range(0, len(wanted), _ASKED_AT_ONCE):
        some = wanted[start : start + _ASKED_AT_ONCE]
        for content, origin, variant in connection.execute(
            "SELECT content, origin, variant FROM contents WHERE account_no = ? AND api = ?"
            f" AND content IN ({', '.join('?' * len(some))})",
            (run.account_no, run.api, *some),
        ):
            found[content].append((origin, variant))
    return found


def write_contents(
    connection: sqlite3.Connection,
    run: RunRecord,
    *,
    origin: int,
    variant: int,
    contents: Iterable[bytes],
    key: str | None = None,
) -> None:
    """Write what a variant of a row says."""
    connection.executemany(
        "INSERT OR IGNORE INTO contents (account_no, api, content, origin, variant, request_key)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        ((run.account_no, run.api, content, origin, variant, key) for content in contents),
    )


def write_variant(
    connection: sqlite3.Connection, run: RunRecord, origin: int, variant: int, parts: Iterable[tuple[object, ...]]
) -> None:
    """Write a variant: part, identity, digest, card, points and version of each delivery that it makes."""
    connection.executemany(
        "INSERT OR IGNORE INTO variants"
        " (account_no, api, origin, variant, part, identity, digest, card, points, version)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((run.account_no, run.api, origin, variant, *part) for part in parts),
    )


_OWN = (
    "WITH RECURSIVE own (identity) AS (SELECT identity FROM dues WHERE run_no = :run_no AND row_no = :row_no"
    " UNION SELECT d.successor FROM own JOIN deliveries AS d ON d.account_no = :account_no AND d.api = :api"
    " AND d.identity = own.identity WHERE d.successor IS NOT NULL)"
)
_OWN_DUES = (
    " FROM own JOIN dues AS d ON d.identity = own.identity LEFT JOIN rows AS w"
    " ON w.run_no = d.run_no AND w.row_no = d.row_no WHERE d.position = :place"
    " OR w.cells = (SELECT f.cells FROM rows AS f WHERE f.run_no = :run_no AND f.row_no = :row_no)"
)


def _reported(run: RunRecord, row: tuple[int, int]) -> dict[str, object]:
    return {
        "run_no": row[0],
        "row_no": row[1],
        "place": position(*row),
        "account_no": run.account_no,
        "api": run.api,
    }


def first_variant(
    connection: sqlite3.Connection, run: RunRecord, origin: int, row: tuple[int, int]
) -> list[VariantDelivery]:
    """Return as what a row went out before somebody fixed it, as `write_first_variant` would write it now."""
    found = connection.execute(
        f"{_OWN} SELECT d.part, d.identity, d.digest, (SELECT v.state FROM deliveries AS v"
        " WHERE v.account_no = :account_no AND v.api = :api AND v.identity = d.identity AND v.digest = d.digest),"
        f" d.card, d.version {_OWN_DUES}",
        _reported(run, row),
    )
    return [
        VariantDelivery(
            origin, part, identity, digest, None if state is None else DeliveryState(state), True, card, version
        )
        for part, identity, digest, state, card, version in found
    ]


def write_first_variant(connection: sqlite3.Connection, run: RunRecord, origin: int, row: tuple[int, int]) -> None:
    """
    Write as what a row went out before somebody fixed it, if it did, with the keys that a rerun gave it.

    `row` is the first row, at the place `origin`, or one of a later run that says the same.

    Another run may have staged the same cells before, and read them otherwise: its row keeps them while it is open.
    """
    connection.execute(
        f"{_OWN} INSERT OR IGNORE INTO variants"
        " (account_no, api, origin, variant, part, identity, digest, card, points, version)"
        " SELECT :account_no, :api, :origin, :origin, d.part, d.identity, d.digest, d.card, d.points, d.version"
        f" {_OWN_DUES}",
        {**_reported(run, row), "origin": origin},
    )


def own_contents(connection: sqlite3.Connection, places: Iterable[int]) -> dict[int, tuple[bytes, ...]]:
    """Return what rows said before they were fixed, by their places."""
    found: dict[int, tuple[bytes, ...]] = {}
    for place in places:
        said = connection.execute("SELECT content FROM contents WHERE variant = ? AND origin = variant", (place,))
        found[place] = tuple(content for (content,) in said)
    return found


def forget_fixes(connection: sqlite3.Connection, first: int, end: int) -> None:
    """Forget the variants that a run staged, from one place to before another: it is to be staged anew."""
    for table in ("variants", "contents"):
        connection.execute(
            f"DELETE FROM {table} WHERE variant >= ? AND variant < ? AND origin <> variant", (first, end)
        )


def _json(values: Sequence[object]) -> str:
    return orjson.dumps(values).decode()
