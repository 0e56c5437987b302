"""Receivers of messages: a check of their keys, and the receivers with their secrets read."""

from collections.abc import Collection

from pipeline.errors import SettingsError
from pipeline.language import t
from pipeline.settings.accounts.network import NO_HOST, ca_bundle_file, is_loopback, proxy, url_fault
from pipeline.settings.key_material import LoadContext, check_named_once, load_secret, load_token, secret_files
from pipeline.settings.model import MailReceiver, MailTls, Receiver, ReceiverType, WebReceiver, When
from pipeline.settings.table import Table
from pipeline.settings.wording import did_you_mean, quoted

_SIGNED = (ReceiverType.DINGTALK, ReceiverType.FEISHU)
_COMMON = frozenset({"type", "when", "jobs", "ca_bundle_file"})
_WEB = _COMMON | {"url_file", "url_env", "proxy"}
_SECRET = frozenset({"secret_file", "secret_env"})
_MAIL = _COMMON | {"host", "port", "tls", "user", "password_file", "password_env", "from", "to"}
_PORTS = {MailTls.STARTTLS: 587, MailTls.TLS: 465, MailTls.NONE: 25}


def read_receivers(table: Table, jobs: Collection[str], context: LoadContext) -> tuple[Receiver, ...]:
    """Return the receivers with their secrets read, and report faults. `jobs` are the names of all jobs."""
    receivers = (_read(receiver, jobs, context) for receiver in table.tables())
    return tuple(receiver for receiver in receivers if receiver is not None)


def _read(table: Table, jobs: Collection[str], context: LoadContext) -> Receiver | None:
    if table.text("type") is None:
        return None  # its fault is already reported
    kind = ReceiverType(table.text("type") or "")
    _check_keys(table, kind)
    for name in table.texts("jobs"):
        if name not in jobs:
            table.fault("jobs", t("no job has the name {name}{hint}", name=quoted(name), hint=did_you_mean(name, jobs)))
    wanted = frozenset(table.texts("jobs") or jobs)
    when = When(table.text("when") or When.CHANGE)
    if kind is ReceiverType.MAIL:
        return _read_mail(table, when, wanted, context)
    return _read_web(table, kind, when, wanted, context)


def _check_keys(table: Table, kind: ReceiverType) -> None:
    """Report keys that a receiver of this type does not use."""
    known = _MAIL if kind is ReceiverType.MAIL else _WEB | (_SECRET if kind in _SIGNED else frozenset())
    for key in table.values:
        if key not in known:
            table.fault(key, t('is not used with type = "{kind}"; remove it', kind=kind))


def _read_web(
    table: Table, kind: ReceiverType, when: When, jobs: frozenset[str], context: LoadContext
) -> WebReceiver | None:
    check_named_once(table, "url", needed=True)
    check_named_once(table, "secret", needed=False)
    url = load_secret(table, "url", context, load_url)
    secret = load_secret(table, "secret", context, load_token)
    proxy_url, bundle = proxy(table, url or "", context), ca_bundle_file(table, context)
    if url is None:
        return None
    return WebReceiver(
        name=table.name,
        type=kind,
        when=when,
        jobs=jobs,
        url=url,
        secret=secret,
        proxy=proxy_url,
        ca_bundle_file=bundle,
        secret_files=secret_files(table, ("url", "secret"), context),
    )


def load_url(data: bytes, name: str) -> str:
    """Return a URL of a file or variable; raise SettingsError if it is none, or unencrypted over a network."""
    url = load_token(data, name)
    if not url.startswith(("https://", "http://")):
        raise SettingsError([t("{name} holds no URL; put the whole URL there, such as https://HOST/PATH", name=name)])
    if (fault := url_fault(url)) is not None:
        where = t("{name}: the URL there ", name=name) if fault == t(NO_HOST) else f"{name}: "
        raise SettingsError([where + fault])
    return url


def _read_mail(table: Table, when: When, jobs: frozenset[str], context: LoadContext) -> MailReceiver:
    for key in ("host", "from", "to"):
        if key not in table:
            table.fault(key, t("missing; a mail needs a server, a sender and recipients"))
    check_named_once(table, "password", needed=False)
    password = load_secret(table, "password", context, lambda data, _: data.strip().decode("utf-8", "replace"))
    tls, host = MailTls(table.text("tls") or MailTls.STARTTLS), table.text("host") or ""
    if password is not None and "user" not in table:
        table.fault("user", t("missing; a password needs a user"))
    if password is not None and tls is MailTls.NONE and not is_loopback(host):
        table.fault("tls", t("a password is not sent unencrypted; write starttls or tls"))
    return MailReceiver(
        name=table.name,
        when=when,
        jobs=jobs,
        host=host,
        port=table.values.get("port") or _PORTS[tls],
        tls=tls,
        user=table.text("user"),
        password=password,
        sender=table.text("from") or "",
        recipients=table.texts("to"),
        ca_bundle_file=ca_bundle_file(table, context),
        secret_files=secret_files(table, ("password",), context),
    )
