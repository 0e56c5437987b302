"""One job: its settings checked against each other, with defaults filled in."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.language import later, t
from pipeline.model import DEFAULT_MAX_INVALID, Api, CsvFormat, Export, Int96, LaneOrder, RowLimit
from pipeline.resources import schema
from pipeline.settings.jobs.export_words import read_filter, read_values, text_of
from pipeline.settings.jobs.zones import suggested_zone
from pipeline.settings.model import AccountKind, Job, TransportName
from pipeline.settings.table import Table
from pipeline.settings.wording import did_you_mean, listed, quoted

# Most requests per second: wechatpay-v3-points.md, section 1 (per service-provider merchant id), and
# wechatpay-brand-points.md, section 1 (per brand id).
_MOST = {Api.POINTS: 5.0, Api.BRAND_POINTS: 10.0}
DEFAULT_RATE = 20.0
"""
This project's default for the other APIs, in requests per second. Alipay publishes no limit (alipay-v3-cumulation.md,
section 4).
"""
DEFAULT_ZONE = "Asia/Shanghai"
# Only the process that owns the job's lease may write to a SQLite ledger.
ONE_PROCESS = later("with a SQLite ledger only one process sends; write 1, leave it out, or use a PostgreSQL ledger")

_KINDS = {
    Api.CUMULATION: AccountKind.ALIPAY,
    Api.STATE: AccountKind.ALIPAY,
    Api.POINTS: AccountKind.MERCHANT,
    Api.BRAND_POINTS: AccountKind.BRAND,
}
_APIS = {
    Export.ORDERS: (Api.CUMULATION,),
    Export.TASKS: (Api.CUMULATION,),
    Export.POINTS: (Api.POINTS, Api.BRAND_POINTS),
    Export.STATES: (Api.STATE,),
}
# The unit of a duration.
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
# Settings for balances that others send too.
_OF_SENDERS = ("other_senders", "unchanged_for", "share")
_ENCODINGS = ("auto", "utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk", "gb2312", "big5", "latin-1", "cp1252")


def read_job(table: Table, kinds: Mapping[str, AccountKind | None], *, is_in_file: bool) -> Job | None:
    """
    Return a job, and report its faults; return None without an export or an API.

    `kinds` holds the kind of each account, None where the account names no valid platform. `is_in_file`: the ledger is
    a file.
    """
    zone = _zone(table)
    csv = _csv(table.table("csv"))
    _check_account(table, kinds)
    processes = int(_given(table.values, "processes", 1))
    if is_in_file and processes > 1:
        table.fault("processes", t(ONE_PROCESS))
    rate = _rate(table)
    _check_senders(table)
    export, api = table.text("export"), table.text("api")
    if export is None or api is None:
        return None
    _check_api(table, Export(export), Api(api))
    meanings = read_values(table.table("values"))
    _check_fields(table, Export(export), meanings)
    values = table.values
    return Job(
        name=table.name,
        export=Export(export),
        api=Api(api),
        account=table.text("account") or "",
        inputs=_inputs(values.get("input")),
        rate=rate,
        concurrency=int(_given(values, "concurrency", 16)),
        timeout_s=float(_given(values, "timeout_s", 10)),
        max_attempts=int(_given(values, "max_attempts", 6)),
        outage_limit_s=float(_given(values, "outage_limit_s", 900)),
        timezone=zone,
        csv=csv,
        columns=_flat(table.table("columns")),
        units=MappingProxyType(dict(_given_items(table.table("units")))),
        constants=_flat(table.table("constants")),
        values=meanings,
        defaults=_flat(table.table("defaults")),
        filter=read_filter(table.table("filter")),
        formats=_formats(table.table("formats")),
        sends_suspicious_ids=table.text("suspicious_ids") == "send",
        order=_order(table),
        transport=TransportName(_given(values, "transport", TransportName.REQUESTS)),
        max_failures=_row_limit(table, "max_failures"),
        max_invalid=_row_limit(table, "max_invalid") or DEFAULT_MAX_INVALID,
        ready=table.text("ready"),
        sheet=table.text("sheet"),
        int96=None if table.text("int96") is None else Int96(table.text("int96") or ""),
        share=float(_given(values, "share", 1)),
        trusted_for=_duration(table.text("unchanged_for")) if values.get("other_senders") else None,
        processes=processes,
    )


def _check_account(table: Table, kinds: Mapping[str, AccountKind | None]) -> None:
    account, api = table.text("account"), table.text("api")
    if account is None:
        return
    if account not in kinds:
        hint = did_you_mean(account, kinds) or t(
            "; the config has {listed}", listed=listed([*map(quoted, kinds)], t("and"))
        )
        table.fault("account", t("no account has the name {account}{hint}", account=quoted(account), hint=hint))
    elif api is not None and kinds[account] not in (None, needed := _KINDS[Api(api)]):
        given = t("{account} is an account of {kind}", account=quoted(account), kind=t(str(kinds[account])))
        table.fault(
            "account",
            t("{given}, and api is {api}, which needs one of {needed}", given=given, api=api, needed=t(needed)),
        )


def _check_api(table: Table, export: Export, api: Api) -> None:
    if api not in _APIS[export]:
        table.fault(
            "api", t("{export} go to {apis}; change api or export", export=export, apis=listed(_APIS[export], t("or")))
        )


def _check_fields(table: Table, export: Export, meanings: Iterable[str]) -> None:
    rows = schema(f"exports/{export}.json")
    known, parts = rows["properties"], tuple(rows.get("patternProperties", ()))
    named = {name: _flat(table.table(name)) for name in ("columns", "units", "constants", "defaults")}
    for name, fields in (*named.items(), ("values", meanings), ("formats", table.table("formats").values)):
        for field in fields:
            if field not in known and not any(re.match(pattern, field) for pattern in parts):
                table.table(name).fault(
                    field, t("no field of {export}{hint}", export=export, hint=did_you_mean(field, known))
                )


def _rate(table: Table) -> float:
    most = _MOST.get(Api(api)) if (api := table.text("api")) else None
    rate = float(_given(table.values, "rate", most or DEFAULT_RATE))
    if most is not None and rate > most:
        whose = t(" that the brand itself sends") if api == Api.BRAND_POINTS else ""
        table.fault(
            "rate",
            t(
                "WeChat Pay allows {most:g} requests per second for points{whose}; write that or less",
                most=most,
                whose=whose,
            ),
        )
    return rate


def _check_senders(table: Table) -> None:
    api = table.text("api")
    for key in _OF_SENDERS:
        if key in table and api is not None and not Api(api).sends_balances:
            table.fault(key, t("is for points only; leave it out"))
    if "unchanged_for" in table and not table.values.get("other_senders"):
        table.fault("unchanged_for", t("is for points that others send too; add other_senders = true, or leave it out"))


def _duration(text: str | None) -> timedelta:
    """Return the duration of a text such as `12h`; zero for None."""
    return timedelta() if text is None else timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _order(table: Table) -> LaneOrder:
    order = LaneOrder(table.text("order") or LaneOrder.SOURCE)
    if order is LaneOrder.NEWEST and table.text("export") != Export.POINTS:
        table.fault("order", t("newest is for points only; leave it out, or write source"))
    return order


def _row_limit(table: Table, key: str) -> RowLimit | None:
    value = table.values.get(key)
    if value is None:
        return None
    try:
        return RowLimit.parse(str(value))
    except ValueError as exc:
        table.fault(key, f"{value!r} {exc}")
        return None


def _zone(table: Table) -> ZoneInfo:
    name = table.text("timezone") or DEFAULT_ZONE
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        table.fault(
            "timezone", t("no time zone has the name {name}{hint}", name=quoted(name), hint=suggested_zone(name))
        )
        return ZoneInfo(DEFAULT_ZONE)


def _csv(table: Table) -> CsvFormat:
    default = CsvFormat()
    encoding = table.text("encoding") or default.encoding
    if encoding != default.encoding and not _is_codec(encoding):
        table.fault(
            "encoding",
            t("unknown encoding{hint}", hint=did_you_mean(encoding, _ENCODINGS) or t("; auto detects the usual ones")),
        )
    delimiter = table.text("delimiter") or default.delimiter
    quote = _given(table.values, "quote", default.quote)
    escape = _given(table.values, "escape", default.escape)
    if quote and quote in delimiter and delimiter != default.delimiter:
        table.fault("quote", t("must differ from delimiter and not be a part of it"))
    if escape and escape in delimiter and delimiter != default.delimiter:
        table.fault("escape", t("must differ from delimiter and not be a part of it"))
    return CsvFormat(
        encoding=encoding,
        delimiter=delimiter,
        quote=quote,
        null_values=tuple(_given(table.values, "null_values", default.null_values)),
        escape="" if escape == quote else escape,  # a doubled quote needs no escape
        comment=_given(table.values, "comment", default.comment),
        skip_lines=int(_given(table.values, "skip_lines", default.skip_lines)),
    )


def _is_codec(name: str) -> bool:
    line = "a,1\n"
    try:
        return line.encode(name).decode(name) == line
    except (LookupError, ValueError):
        return False


def _inputs(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _flat(table: Table) -> Mapping[str, str]:
    """Return field and value. A dotted TOML key, which TOML turns into a table, counts as one field."""
    flat: dict[str, str] = {}
    for field, value in _given_items(table):
        nested = value if isinstance(value, dict) else {"": value}
        flat |= {f"{field}.{name}" if name else field: text_of(one) for name, one in nested.items() if one is not None}
    return MappingProxyType(flat)


def _formats(table: Table) -> Mapping[str, tuple[str, ...]]:
    """Return the forms of each field's times, stripped, because values are stripped too."""
    forms = {field: [value] if isinstance(value, str) else value for field, value in _given_items(table)}
    return MappingProxyType({field: tuple(form.strip() for form in several) for field, several in forms.items()})


def _given_items(table: Table) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in table.values.items() if value is not None]


def _given(values: Mapping[str, Any], key: str, default: object) -> Any:
    value = values.get(key)
    return default if value is None else value
