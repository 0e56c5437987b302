"""Warnings that do not stop a run, and the secret texts that logs must mask."""

import base64
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cryptography import x509

from pipeline.language import t
from pipeline.settings.jobs.zones import reversed_offset
from pipeline.settings.model import Account, AlipayAccount, Config, Receiver, WebReceiver, WechatAccount
from pipeline.settings.wording import quoted

SOON = timedelta(days=30)
"""How long before a certificate expires a warning is given."""

_SHORTEST_TOKEN = 16


def warnings(config: Config, *, at: datetime, user: int | None = None) -> list[str]:
    """
    Return warnings: files that others can read or change, certificates that expire soon, unused accounts.

    `user` is the id of the user who reads the files; None: that of this process.
    """
    reader = os.geteuid() if user is None else user
    found = list(_about_config(config))
    for account in config.accounts.values():
        found += _about_account(f"{config.path} [accounts.{quoted(account.name)}]", account, at, reader)
    for receiver in config.receivers:
        found += _about_files(f"{config.path} [notify.{quoted(receiver.name)}]", receiver.secret_files, reader)
    return found


def _about_config(config: Config) -> Iterator[str]:
    if _mode(config.path) & (stat.S_IWGRP | stat.S_IWOTH):
        yield t("{path}: users other than its owner may change it; run chmod go-w on it", path=config.path)
    if config.ledger_server is None and _mode(config.ledger_path) & (stat.S_IRWXG | stat.S_IRWXO):
        ledger = config.ledger_path
        yield t(
            "{path} [ledger] url: users other than its owner may open {ledger}; run chmod 600 on it",
            path=config.path,
            ledger=ledger,
        )
    for job in config.jobs.values():
        if offset := reversed_offset(job.timezone):
            where = f"{config.path} [jobs.{quoted(job.name)}] timezone"
            hint = t("; for China's time write Asia/Shanghai") if offset in ("UTC-8", "UTC+8") else ""
            yield t(
                "{where}: {key} means {offset} (the sign is reversed){hint}",
                where=where,
                key=job.timezone.key,
                offset=offset,
                hint=hint,
            )
    for name in config.unused_accounts:
        yield t(
            "{path} [accounts.{name}]: no job uses it, so its keys are not checked", path=config.path, name=quoted(name)
        )


def _about_files(where: str, secret_files: Iterable[Path], reader: int) -> Iterator[str]:
    for file in secret_files:
        if _is_open_to_others(file, reader):
            yield t("{where}: users other than its owner may open {file}; run chmod 600 on it", where=where, file=file)


def _about_account(where: str, account: Account, at: datetime, reader: int) -> Iterator[str]:
    yield from _about_files(where, account.secret_files, reader)
    for key, certificates in _certificates(account):
        # Of several certificates the last one counts: the others are about to be replaced by it.
        expiry = max((one.not_valid_after_utc for one in certificates), default=None)
        if expiry is not None and expiry - at <= SOON:
            yield t(
                "{where} {key}: a certificate expires on {isoformat}; replace it before that day",
                where=where,
                key=key,
                isoformat=expiry.date().isoformat(),
            )
    if isinstance(account, AlipayAccount) and account.sign_type == "RSA":
        yield t("{where} sign_type: RSA signs with SHA-1; Alipay advises RSA2", where=where)


def _certificates(account: Account) -> Iterator[tuple[str, Sequence[x509.Certificate]]]:
    if isinstance(account, AlipayAccount):
        yield "app_cert_file", [account.app_cert] if account.app_cert is not None else []
        yield "alipay_cert_file", account.alipay_certs
    elif isinstance(account, WechatAccount):
        yield "platform_cert_file", account.platform_certs


def _is_open_to_others(file: Path, reader: int) -> bool:
    """Return whether more users than `reader` needs may open a secret file."""
    try:
        state = file.stat()
    except OSError:
        return False  # removed after it was read
    # Root owns a Secret that Kubernetes mounts with an fsGroup: the reader gets it through the group alone.
    needs_group = reader not in (0, state.st_uid)
    return bool(state.st_mode & (stat.S_IRWXO | (stat.S_IWGRP | stat.S_IXGRP if needs_group else stat.S_IRWXG)))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0  # removed after it was read


def secrets(config: Config) -> tuple[str, ...]:
    """Return the texts that logs must mask. Private keys are not among them: they never become text."""
    found = [text for account in config.accounts.values() for text in _secret_texts(account)]
    found += [text for receiver in config.receivers for text in _receiver_texts(receiver)]
    found += filter(None, [config.telemetry.openlineage_api_key])
    return tuple(dict.fromkeys(found))


def _secret_texts(account: Account) -> Iterator[str]:
    if isinstance(account, AlipayAccount):
        if account.encrypt_key is not None:
            yield base64.b64encode(account.encrypt_key).decode()
        if account.app_auth_token is not None:
            yield account.app_auth_token
    elif isinstance(account, WechatAccount) and account.apiv3_key is not None:
        yield account.apiv3_key.decode()
    yield from _proxy_texts(account.proxy)


def _receiver_texts(receiver: Receiver) -> Iterator[str]:
    if isinstance(receiver, WebReceiver):
        # The token of a robot is in the path or the query of its URL. A short path is no token, but may be a word.
        parts = urlsplit(receiver.url)
        yield receiver.url
        yield from (text for text in (parts.query, parts.path) if len(text) >= _SHORTEST_TOKEN)
        if receiver.secret is not None:
            yield receiver.secret
        yield from _proxy_texts(receiver.proxy)
    elif receiver.password is not None:
        yield receiver.password


def _proxy_texts(proxy: str | None) -> Iterator[str]:
    password = urlsplit(proxy or "").password
    if password:
        yield from (password, unquote(password))
