"""
Fixed rows, in each of their variants: as the export had the row, and as somebody fixed it.

At most one variant of a row may count. A row of a later export is skipped once a fix of it was delivered. While one
variant may have been applied, no other one is sent.

A position names a row among all rows ever staged. `origin` is the position of the first row, `variant` that of the row
that was first staged as this variant.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from pipeline.language import t
from pipeline.ledger.records import ROW_BITS, DeliveryState, Due, RunRecord, position
from pipeline.ledger.rules.admission import Blocked, Conflict, Skip
from pipeline.ledger.rules.known_deliveries import known_deliveries_of
from pipeline.ledger.rules.objects import MAY_BE_APPLIED, object_in, subject_of
from pipeline.ledger.store.port import Connection, json_of
from pipeline.model import Api, Payload, digest

# Values in one query: SQLite takes up to 32,766.
_VALUES_AT_ONCE = 10_000

# The subject (a request key, or the object of a state) and the digest of a delivery.
Pair = tuple[str, bytes]

# Whether any row of an account and API was ever fixed.
_KNOWS_FIXES = "SELECT EXISTS (SELECT 1 FROM contents WHERE account_no = ? AND api = ?)"
# The deliveries of all variants of some rows. `is_current`: the platform still has what was delivered.
_VARIANT_DELIVERIES = """
SELECT v.origin, v.variant, v.part, v.identity, v.digest, d.state, {is_current}, v.card, v.version
FROM json_each(:origins) AS wanted
CROSS JOIN variants AS v ON v.origin = CAST(wanted.value AS BIGINT)
LEFT JOIN deliveries AS d ON d.account_no = v.account_no AND d.api = v.api AND d.identity = v.identity
    AND d.digest = v.digest
"""
_IS_CONFIRMED_BALANCE = """coalesce((
    SELECT CASE WHEN c.confirmed_points = v.points AND c.unsettled = 0 THEN 1 ELSE 0 END FROM cards AS c
    WHERE c.account_no = v.account_no AND c.card = v.card
), 0)"""
# Cumulation is always current. A balance or a state is current until another one is confirmed.
_IS_CURRENT = {
    Api.CUMULATION: "1",
    Api.POINTS: _IS_CONFIRMED_BALANCE,
    Api.BRAND_POINTS: _IS_CONFIRMED_BALANCE,
    Api.STATE: f"""coalesce((
        SELECT CASE WHEN v.identity = CASE WHEN h.unsettled <> 0 THEN h.before_identity ELSE h.identity END
            THEN 1 ELSE 0 END FROM objects AS h
        WHERE h.account_no = v.account_no AND h.object = {object_in("v.identity")}
    ), 0)""",
}
# Dues that belong to a fixed row, with their origin and variant. First by identity and digest, and by content, for rows
# that an export has again: they have positions of their own. Then by position, which dues of a rerun keep; it counts
# where both match.
_VARIANTS_OF_DUES = """
SELECT d.due_no, v.origin, v.variant, 0 AS is_by_position
FROM json_each(:dues) AS wanted
CROSS JOIN dues AS d ON d.due_no = CAST(wanted.value AS BIGINT)
CROSS JOIN variants AS v ON v.digest = d.digest AND v.identity = d.identity
WHERE v.variant = v.origin AND v.account_no = :account_no AND v.api = :api
UNION
SELECT d.due_no, v.origin, v.variant, 1
FROM json_each(:dues) AS wanted
CROSS JOIN dues AS d ON d.due_no = CAST(wanted.value AS BIGINT)
CROSS JOIN variants AS v ON v.variant = d.position
UNION
SELECT d.due_no, c.origin, c.origin, 0
FROM json_each(:dues) AS wanted
CROSS JOIN dues AS d ON d.due_no = CAST(wanted.value AS BIGINT)
CROSS JOIN contents AS c ON c.variant = d.position
WHERE c.origin <> c.variant AND c.account_no = :account_no AND c.api = :api
ORDER BY is_by_position
"""
# Write the keys and contents of dues of known variants: a rerun may have changed both.
_NOTE_SENT_VARIANTS = """
INSERT INTO variants (account_no, api, origin, variant, part, identity, digest, card, points, version)
SELECT v.account_no, v.api, v.origin, v.variant, d.part, d.identity, d.digest, d.card, d.points, d.version
FROM json_each(?) AS wanted
CROSS JOIN dues AS d ON d.due_no = CAST(wanted.value AS BIGINT)
CROSS JOIN variants AS v ON v.variant = d.position AND v.part = d.part
WHERE true ON CONFLICT DO NOTHING
"""
# Write the dues of fixed rows that say what their origin said, as variants: a changed config may send other bytes.
_NOTE_SENT_FIXES = f"""
INSERT INTO variants (account_no, api, origin, variant, part, identity, digest, card, points, version)
SELECT r.account_no, r.api, (o.origin_run_no << {ROW_BITS}) | o.origin_row_no, d.position, d.part,
    d.identity, d.digest, d.card, d.points, d.version
FROM json_each(?) AS wanted
CROSS JOIN dues AS d ON d.due_no = CAST(wanted.value AS BIGINT)
CROSS JOIN origins AS o ON o.run_no = d.run_no AND o.row_no = d.row_no
JOIN runs AS r ON r.run_no = d.run_no
WHERE NOT EXISTS (
    SELECT 1 FROM variants AS v
    WHERE v.identity = d.identity AND v.digest = d.digest
        AND v.origin = (o.origin_run_no << {ROW_BITS}) | o.origin_row_no
)
ON CONFLICT DO NOTHING
"""
# Write the dues of rows that are fixed rows by their content, as first variants.
_NOTE_SENT_UNFIXED = """
INSERT INTO variants (account_no, api, origin, variant, part, identity, digest, card, points, version)
SELECT c.account_no, c.api, c.origin, c.origin, d.part, d.identity, d.digest, d.card, d.points, d.version
FROM json_each(?) AS wanted
CROSS JOIN dues AS d ON d.due_no = CAST(wanted.value AS BIGINT)
CROSS JOIN contents AS c ON c.variant = d.position AND c.origin <> c.variant
WHERE NOT EXISTS (SELECT 1 FROM variants AS v WHERE v.variant = d.position)
ON CONFLICT DO NOTHING
"""
# The request keys that rows had before they were fixed.
_OWN_KEYS = "SELECT DISTINCT request_key FROM contents WHERE account_no = ? AND api = ? AND request_key IS NOT NULL"
# The variants that have some contents.
_VARIANTS_WITH = """
SELECT content, origin, variant FROM contents WHERE account_no = ? AND api = ? AND content IN ({values})
"""
_INSERT_CONTENT = """
INSERT INTO contents (account_no, api, content, origin, variant, request_key) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
_INSERT_VARIANT = """
INSERT INTO variants (account_no, api, origin, variant, part, identity, digest, card, points, version)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
# The keys of a row, with those that it was given later; and the dues that have one of them and are of this row: by
# position, or with the same cells. Another run may have staged the same cells before, and mapped them otherwise: its
# row keeps them while it is open.
_OWN_IDENTITIES = """
WITH RECURSIVE own (identity) AS (
    SELECT identity FROM dues WHERE run_no = :run_no AND row_no = :row_no
    UNION
    SELECT d.successor FROM own
    JOIN deliveries AS d ON d.account_no = :account_no AND d.api = :api AND d.identity = own.identity
    WHERE d.successor IS NOT NULL
)
"""
_OWN_DUES = """
FROM own JOIN dues AS d ON d.identity = own.identity
LEFT JOIN rows AS w ON w.run_no = d.run_no AND w.row_no = d.row_no
WHERE d.position = :position
    OR w.cells = (SELECT f.cells FROM rows AS f WHERE f.run_no = :run_no AND f.row_no = :row_no)
"""
# The deliveries of a row before it was fixed.
_FIRST_VARIANT = f"""
{_OWN_IDENTITIES}
SELECT d.part, d.identity, d.digest, (
        SELECT v.state FROM deliveries AS v
        WHERE v.account_no = :account_no AND v.api = :api AND v.identity = d.identity AND v.digest = d.digest
    ), d.card, d.version
{_OWN_DUES}
"""
# Write these as the first variant of the row.
_INSERT_FIRST_VARIANT = f"""
{_OWN_IDENTITIES}
INSERT INTO variants (account_no, api, origin, variant, part, identity, digest, card, points, version)
SELECT :account_no, :api, :origin, :origin, d.part, d.identity, d.digest, d.card, d.points, d.version
{_OWN_DUES}
ON CONFLICT DO NOTHING
"""
# The open dues of other runs for a row: an invalid row has none, but its key. Parts have that key and a hyphen, which
# sorts before a full stop.
_DUES_OF_OTHER_RUNS = """
SELECT d.position, d.part, d.identity, d.digest, v.state
FROM rows AS w
JOIN dues AS d ON d.identity >= w.request_key AND d.identity < w.request_key || '.' AND d.run_no <> w.run_no
JOIN rows AS o ON o.run_no = d.run_no AND o.row_no = d.row_no AND o.cells = w.cells
JOIN runs AS r ON r.run_no = d.run_no AND r.account_no = :account_no AND r.api = :api
LEFT JOIN deliveries AS v ON v.account_no = :account_no AND v.api = :api AND v.identity = d.identity
    AND v.digest = d.digest
WHERE w.run_no = :run_no AND w.row_no = :row_no
    AND NOT EXISTS (SELECT 1 FROM variants AS x WHERE x.variant = d.position)
"""
# The contents of a row before it was fixed.
_OWN_CONTENTS = "SELECT content FROM contents WHERE variant = ? AND origin = variant"


class OtherVariants(Enum):
    """The state of the other variants of a row: none counts, one may count, or one counts."""

    NONE = auto()
    OPEN = auto()
    DELIVERED = auto()


@dataclass(frozen=True, slots=True)
class VariantDelivery:
    """
    A delivery for one part of a variant, with what the ledger knows of it.

    `is_current`: nothing newer of the card or object was confirmed since; cumulation is always current. `card` and
    `version` are those of a balance.
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
    def counts(self) -> bool:
        """Whether the platform has it."""
        return self.state is DeliveryState.SUCCEEDED and self.is_current

    @property
    def may_be_applied(self) -> bool:
        """Whether the platform may have it."""
        return self.state in MAY_BE_APPLIED

    @property
    def as_part(self) -> tuple[object, ...]:
        """The delivery as a part of a variant that `write_variant` writes, without points."""
        return (self.part, self.identity, self.digest, self.card, None, self.version)

    @property
    def pair(self) -> Pair:
        """The subject and the digest."""
        return subject_of(self.identity), self.digest


def knows_fixes(connection: Connection, run: RunRecord) -> bool:
    """Return whether rows of the run's account and API were ever fixed."""
    return bool(connection.execute(_KNOWS_FIXES, (run.account_no, run.api)).fetchone()[0])


def variant_deliveries(
    connection: Connection, run: RunRecord, origins: Iterable[int]
) -> dict[int, list[VariantDelivery]]:
    """Return the deliveries of all variants of some rows, by origin."""
    found: dict[int, list[VariantDelivery]] = defaultdict(list)
    query = _VARIANT_DELIVERIES.format(is_current=_IS_CURRENT[run.api])
    for origin, variant, part, identity, content, state, is_current, card, version in connection.execute(
        query, {"origins": json_of(sorted(set(origins)))}
    ):
        known = None if state is None else DeliveryState(state)
        delivery = VariantDelivery(variant, part, identity, content, known, bool(is_current), card, version)
        found[origin].append(delivery)
    return found


def state_of_other_variants(deliveries: Sequence[VariantDelivery], own: int, pairs: Collection[Pair]) -> OtherVariants:
    """Return the state of the variants of a row other than `own`, which is sent as `pairs`."""
    others = [delivery for delivery in deliveries if delivery.variant != own and delivery.pair not in pairs]
    if any(delivery.state in (DeliveryState.SENDING, DeliveryState.UNKNOWN) for delivery in others):
        return OtherVariants.OPEN
    delivered = {delivery.variant for delivery in others if delivery.counts}
    if any(is_whole(deliveries, variant) for variant in delivered):
        return OtherVariants.DELIVERED
    # Some parts of a variant count, and its other parts may still be sent.
    return OtherVariants.OPEN if delivered else OtherVariants.NONE


def is_whole(deliveries: Iterable[VariantDelivery], variant: int) -> bool:
    """Return whether all parts of a variant were delivered."""
    own = [delivery for delivery in deliveries if delivery.variant == variant]
    delivered = {delivery.part for delivery in own if delivery.state is DeliveryState.SUCCEEDED}
    return bool(own) and delivered == {delivery.part for delivery in own}


def judge_dues(connection: Connection, run: RunRecord, dues: Sequence[Due]) -> Mapping[int, Blocked | Conflict | Skip]:
    """Return, by number, the dues that may not be sent because of another variant of their row, with the reason."""
    variants = _variants_of(connection, run, dues)
    deliveries = variant_deliveries(connection, run, (origin for origin, _ in variants.values()))
    judged = {}
    for due in dues:
        if due.due_no in variants:
            origin, own = variants[due.due_no]
            pairs = {delivery.pair for delivery in deliveries[origin] if delivery.variant == own}
            pairs.add((subject_of(due.identity), due.digest))
            others = state_of_other_variants(deliveries[origin], own, pairs)
            reason = forbidden(run.api, others, is_fix=own != origin)
            if reason is not None:
                judged[due.due_no] = reason
    return judged


def forbidden(api: Api, others: OtherVariants, *, is_fix: bool) -> Blocked | Conflict | Skip | None:
    """Return why a variant of a row may not be sent while the others are in this state; None: it may."""
    if others is OtherVariants.NONE or (is_fix and api is not Api.CUMULATION):
        # A fixed balance or state says what is so now, whatever was said before.
        return None
    if others is OtherVariants.OPEN:
        return _open()
    return Conflict(delivered_otherwise()) if is_fix else Skip("fixed_already")


def _variants_of(connection: Connection, run: RunRecord, dues: Sequence[Due]) -> dict[int, tuple[int, int]]:
    """Return the origin and the variant of dues that belong to a fixed row, by the number of the due."""
    values = {"dues": json_of([due.due_no for due in dues]), "account_no": run.account_no, "api": run.api}
    found = connection.execute(_VARIANTS_OF_DUES, values)
    return {due_no: (origin, variant) for due_no, origin, variant, _ in found}


def note_sent(connection: Connection, dues: Sequence[Due]) -> None:
    """Note the keys and contents under which variants are about to be sent."""
    due_nos = (json_of([due.due_no for due in dues]),)
    connection.execute(_NOTE_SENT_VARIANTS, due_nos)
    connection.execute(_NOTE_SENT_FIXES, due_nos)
    connection.execute(_NOTE_SENT_UNFIXED, due_nos)


def own_keys(connection: Connection, run: RunRecord) -> set[str]:
    """Return the request keys that rows had before they were fixed."""
    return {key for (key,) in connection.execute(_OWN_KEYS, (run.account_no, run.api))}


def variants_with(
    connection: Connection, run: RunRecord, contents: Iterable[bytes]
) -> dict[bytes, list[tuple[int, int]]]:
    """Return the variants with these contents, by content: origin and variant of each."""
    found: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    wanted = list(contents)
    for start in range(0, len(wanted), _VALUES_AT_ONCE):
        some = wanted[start : start + _VALUES_AT_ONCE]
        query = _VARIANTS_WITH.format(values=", ".join("?" * len(some)))
        for content, origin, variant in connection.execute(query, (run.account_no, run.api, *some)):
            found[content].append((origin, variant))
    return found


def write_contents(
    connection: Connection,
    run: RunRecord,
    *,
    origin: int,
    variant: int,
    contents: Iterable[bytes],
    key: str | None = None,
) -> None:
    """Write the contents of a variant; `key` is the request key that the row had before it was fixed."""
    connection.executemany(
        _INSERT_CONTENT, ((run.account_no, run.api, content, origin, variant, key) for content in contents)
    )


def write_variant(
    connection: Connection, run: RunRecord, origin: int, variant: int, parts: Iterable[tuple[object, ...]]
) -> None:
    """Write a variant: part, identity, digest, card, points and version of each of its deliveries."""
    connection.executemany(_INSERT_VARIANT, ((run.account_no, run.api, origin, variant, *part) for part in parts))


def _values_of(run: RunRecord, row: tuple[int, int]) -> dict[str, object]:
    account = {"account_no": run.account_no, "api": run.api}
    return {**account, "run_no": row[0], "row_no": row[1], "position": position(*row)}


def first_variant(connection: Connection, run: RunRecord, origin: int, row: tuple[int, int]) -> list[VariantDelivery]:
    """Return the deliveries that `write_first_variant` would write now."""
    return [
        VariantDelivery(
            origin, part, identity, content, None if state is None else DeliveryState(state), True, card, version
        )
        for part, identity, content, state, card, version in connection.execute(_FIRST_VARIANT, _values_of(run, row))
    ]


@dataclass(frozen=True, slots=True)
class SameRows:
    """
    An invalid row in other runs, which found it valid: their deliveries of it, if one of these may be applied, and
    the positions of their open rows.

    A change of the config makes a row valid, or a change of the rows that it contradicted.
    """

    deliveries: list[VariantDelivery]
    positions: set[int]


def same_rows(
    connection: Connection, run: RunRecord, origin: int, row: tuple[int, int], payloads: Sequence[Payload]
) -> SameRows:
    """
    Return what other runs have of an invalid `row`, which maps to `payloads` now.

    An open row is found by its key and cells. A row that is done has no cells; what it delivered is found if the row
    still maps to the same.
    """
    if run.api is not Api.CUMULATION:
        # Newer balances and states replace older ones, whatever row they are of.
        return SameRows([], set())
    found = connection.execute(_DUES_OF_OTHER_RUNS, _values_of(run, row)).fetchall()
    deliveries = [(part, identity, content, state) for _, part, identity, content, state in found]
    known = known_deliveries_of(connection, run, [payload.identity for payload in payloads])
    for part, payload in enumerate(payloads):
        sent, content = known.known(payload.identity), digest(payload.body)
        is_same = sent is not None and sent.digest == content
        deliveries.append((part, payload.identity, content, sent.state if sent is not None and is_same else None))
        if sent is not None and is_same and sent.successor is not None:
            moved = known_deliveries_of(connection, run, [sent.successor]).known(sent.successor)
            deliveries += [] if moved is None else [(part, sent.successor, moved.digest, moved.state)]
    of_rows = [
        VariantDelivery(origin, part, identity, content, state and DeliveryState(state), True, None, None)
        for part, identity, content, state in deliveries
    ]
    is_sent = any(each.may_be_applied for each in of_rows)
    return SameRows(of_rows if is_sent else [], {position for position, *_ in found})


def write_first_variant(connection: Connection, run: RunRecord, origin: int, row: tuple[int, int]) -> None:
    """
    Write the deliveries of a row before it was fixed, if it had any, with the keys that a rerun gave it.

    `row` is the first row, at the position `origin`, or one of a later run that says the same.
    """
    connection.execute(_INSERT_FIRST_VARIANT, {**_values_of(run, row), "origin": origin})


def own_contents(connection: Connection, positions: Iterable[int]) -> dict[int, tuple[bytes, ...]]:
    """Return the contents of rows before they were fixed, by position."""
    return {own: tuple(content for (content,) in connection.execute(_OWN_CONTENTS, (own,))) for own in positions}


def forget_fixes(connection: Connection, first: int, end: int) -> None:
    """Delete the variants that a run staged at positions from `first` to before `end`: it will be staged again."""
    for table in ("variants", "contents"):
        connection.execute(
            f"DELETE FROM {table} WHERE variant >= ? AND variant < ? AND origin <> variant", (first, end)
        )


def delivered_otherwise() -> str:
    """Return why a fixed row is not sent."""
    return t(
        "the row that this one fixes was delivered in another variant, under another key or with other content; "
        "if this row is to count as well, empty its cell _row and give it a key of its own"
    )


def _open() -> Blocked:
    message = t(
        "another variant of this row, fixed or not, was sent and it is not known whether that was applied; "
        "rerun the run that left it unknown, then rerun this one"
    )
    return Blocked("fix_open", message)
