"""Short constructors of rows as they are read and mapped."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from pipeline.model import Api, Balance, Fault, Invalid, ObjectState, Payload, Status, digest
from pipeline.tables.mapped_chunk import PAYLOAD, MappedChunk, line_of
from pipeline.tables.rows import ArrowRows
from pipeline.tables.text_columns import column_of


@dataclass(frozen=True, slots=True)
class StagedRow:
    """A row as it was read and mapped. With a status it is final, else its payloads are due."""

    source_row: int
    cells: tuple[str | None, ...] = field(repr=False)
    payloads: tuple[Payload, ...] = ()
    request_key: str | None = None
    status: Status | None = None
    code: str | None = None
    message: str | None = None


def mapped_of(rows: Sequence[StagedRow], api: Api) -> MappedChunk:
    """Return rows as a mapped chunk, numbered from 1."""
    payloads = [(at, part, one) for at, row in enumerate(rows) for part, one in enumerate(row.payloads)]
    others = {at: _refused(row) for at, row in enumerate(rows) if not row.payloads}
    keys = column_of(row.request_key for row in rows)
    lines = ArrowRows.of(PAYLOAD, [line_of(*each) for each in payloads])
    return MappedChunk(
        api=api,
        numbers=range(1, len(rows) + 1),
        request_keys=keys,
        payloads=lines,
        others=others,
        cells=lambda at: rows[at].cells,
    )


def _refused(row: StagedRow) -> Invalid:
    return Invalid((Fault(row.code or "", row.message or ""),), row.request_key)


def order(
    key: str,
    content: str = "1",
    *,
    user: str = "u",
    refund_of: str | None = None,
    agreement: str | None = None,
    names: str = "user_id",
) -> StagedRow:
    """Return an order. Without `agreement` each user has one of its own. `names` is the user's field."""
    agreed = agreement or f"agreement of {user}"
    fields = {"out_biz_no": key, "content": content, names: user}
    payload = Payload(
        api=Api.CUMULATION,
        request_key=key,
        identity=key,
        body=orjson.dumps(fields if refund_of is None else fields | {"pay_out_biz_no": refund_of}),
        lane=digest(agreed, user),
        refund_of=refund_of,
        agreement=agreed if names == "user_id" else f"{names} {agreed}",
    )
    return StagedRow(0, (key, content), (payload,), key)


def task(key: str, times: int = 1, content: str = "1") -> StagedRow:
    numbered = [key] if times == 1 else [f"{key}-{n}" for n in range(1, times + 1)]
    payloads = (order(each, content).payloads[0] for each in numbered)
    return StagedRow(0, (key, str(times)), tuple(payloads), key)


def balance(
    card: str, points: int, *, key: str | None = None, version: str | None = None, openid: str = "o"
) -> StagedRow:
    """Return a balance; without `key` the key is made from the row."""
    number = key or f"{card}={points}@{version or ''}"
    fields = {"card": card, "out_request_no": number, "point_balance": points, "openid": openid}
    what = Balance(digest(card), points, version)
    payload = Payload(
        api=Api.POINTS,
        request_key=number,
        identity=number,
        body=orjson.dumps(fields),
        lane=what.card,
        balance=what,
        key_is_derived=key is None,
        openid=openid,
    )
    return StagedRow(0, (card, str(points)), (payload,), number)


def state(
    key: str, code: str, content: str = "1", *, user: str = "u", principal: str = "film", version: str | None = None
) -> StagedRow:
    fields = {"out_biz_no": key, "out_principal_id": principal, "biz_state_code": code, "content": content}
    of = ObjectState(f"{key}\x1f{principal}", version)
    lane = digest(user, principal)
    payload = Payload(Api.STATE, key, of.object, orjson.dumps(fields | {"user": user}), lane, state=of)
    return StagedRow(0, (key, code), (payload,), key)


def invalid(key: str | None = None) -> StagedRow:
    return StagedRow(
        source_row=0,
        cells=("?",),
        payloads=(),
        request_key=key,
        status=Status.INVALID,
        code="field_missing",
        message="user_id is missing",
    )
