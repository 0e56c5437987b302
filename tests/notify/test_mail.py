"""Mails, and their way to a real mail server on loopback."""

import socket
from pathlib import Path

import pytest

from pipeline.notify.channels.mail import mail_of, send_mail
from pipeline.notify.channels.not_sent import NotSent
from pipeline.notify.message import Message
from pipeline.settings import MailTls
from tests.notify.ends import AT, mail_server
from tests.notify.loopback import smtp_server
from tests.write.certificates import context_of, write_certificate

MESSAGE = Message("backfill：作业 orders 已恢复正常", ("共 3 行", ".", "报告"))


def test_a_mail_arrives_with_subject_date_id_and_text() -> None:
    """All recipients get one mail; a line with a dot alone does not end it."""
    with smtp_server() as server:
        receiver = mail_server(server.port)
        send_mail(receiver, mail_of(receiver, MESSAGE, AT, "01JD.1"))

    (mail,) = server.mails
    assert server.envelopes == [("backfill@example.com", ["ops@example.com", "data@example.com"])]
    names = ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted")
    assert {name: str(mail[name]) for name in names} == {
        "From": "backfill@example.com",
        "To": "ops@example.com, data@example.com",
        "Subject": "backfill：作业 orders 已恢复正常",
        "Date": "Wed, 01 May 2024 17:02:03 +0000",
        "Message-ID": "<01JD.1@example.com>",
        "Auto-Submitted": "auto-generated",
    }
    assert mail.get_content().replace("\r\n", "\n") == "backfill：作业 orders 已恢复正常\n共 3 行\n.\n报告\n"


def test_a_password_travels_encrypted(tmp_path: Path) -> None:
    """With STARTTLS the login follows the handshake."""
    certificate = write_certificate(tmp_path / "server.pem")
    with smtp_server(starttls=context_of(certificate)) as server:
        receiver = mail_server(
            server.port, tls=MailTls.STARTTLS, user="ops", password="TEST secret", ca_bundle_file=certificate
        )
        send_mail(receiver, mail_of(receiver, MESSAGE, AT, "1"))

    assert (server.logins, server.encrypted) == ([("ops", "TEST secret")], [True])


def test_no_mail_is_sent_if_encryption_fails(tmp_path: Path) -> None:
    """A certificate of an unknown CA ends it before the login."""
    certificate = write_certificate(tmp_path / "server.pem")
    with smtp_server(starttls=context_of(certificate)) as server:
        receiver = mail_server(server.port, tls=MailTls.STARTTLS, user="ops", password="TEST secret")
        with pytest.raises(NotSent) as raised:
            send_mail(receiver, mail_of(receiver, MESSAGE, AT, "1"))

    assert str(raised.value) == f"127.0.0.1:{server.port} can't be reached (SSLCertVerificationError)"
    assert (server.logins, server.mails) == ([], [])


def test_refused_recipients_are_counted() -> None:
    """The others get the mail; the fault names no address."""
    with smtp_server(refused=["ops@example.com"]) as server:
        receiver = mail_server(server.port)
        with pytest.raises(NotSent) as raised:
            send_mail(receiver, mail_of(receiver, MESSAGE, AT, "1"))

    assert str(raised.value) == f"127.0.0.1:{server.port} refused it: 1 of 2 recipients"
    assert server.envelopes == [("backfill@example.com", ["data@example.com"])]


def test_a_server_that_is_down_is_reported() -> None:
    """The fault names host, port and cause."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    receiver = mail_server(port)

    with pytest.raises(NotSent) as raised:
        send_mail(receiver, mail_of(receiver, MESSAGE, AT, "1"))

    assert str(raised.value) == f"127.0.0.1:{port} can't be reached (ConnectionRefusedError)"
