"""Messages as mails, sent by SMTP."""

import smtplib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from pipeline.language import t
from pipeline.notify.channels.not_sent import NotSent
from pipeline.notify.channels.tls import tls_context
from pipeline.notify.message import Message
from pipeline.settings import MailReceiver, MailTls

_TIMEOUT_SECONDS = 5.0


def mail_of(receiver: MailReceiver, message: Message, at: datetime, name: str) -> EmailMessage:
    """Return a message as a mail that no one answers automatically. `name` is unique, for the mail's id."""
    mail = EmailMessage()
    sender = Address(addr_spec=receiver.sender)
    mail["From"], mail["To"] = sender, [Address(addr_spec=address) for address in receiver.recipients]
    mail["Subject"], mail["Date"] = message.title, format_datetime(at)
    mail["Message-ID"] = f"<{name}@{sender.domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text + "\n")
    return mail


def send_mail(receiver: MailReceiver, mail: EmailMessage) -> None:
    """Send a mail. Raises NotSent if the server can't be reached or refuses it."""
    place = f"{receiver.host}:{receiver.port}"
    try:
        with _connect(receiver) as server:
            if receiver.tls is MailTls.STARTTLS:
                server.starttls(context=tls_context(receiver.ca_bundle_file))
            if receiver.password is not None:
                server.login(receiver.user or "", receiver.password)
            refused = server.send_message(mail)
    except smtplib.SMTPResponseException as exc:
        # The text after the code may repeat addresses.
        raise NotSent(t("{place} refused it: {fault}", place=place, fault=f"SMTP {exc.smtp_code}")) from None
    except (OSError, smtplib.SMTPException, UnicodeError) as exc:
        raise NotSent(t("{place} can't be reached ({cause})", place=place, cause=type(exc).__name__)) from None
    if refused:
        fault = t("{count} of {all} recipients", count=len(refused), all=len(receiver.recipients))
        raise NotSent(t("{place} refused it: {fault}", place=place, fault=fault))


def _connect(receiver: MailReceiver) -> smtplib.SMTP:
    if receiver.tls is MailTls.TLS:
        return smtplib.SMTP_SSL(
            receiver.host, receiver.port, timeout=_TIMEOUT_SECONDS, context=tls_context(receiver.ca_bundle_file)
        )
    return smtplib.SMTP(receiver.host, receiver.port, timeout=_TIMEOUT_SECONDS)
