"""
Messages as web requests, as each robot takes them, and the faults that robots answer.

Robots get plain text, which looks alike in all their apps, so no word of an export can become markup.

Signatures are base64 of HMAC-SHA256, and differ in key and content:

- DingTalk: key is the secret, content is `<milliseconds>\\n<secret>`; both go into the query.
- Feishu: key is `<seconds>\\n<secret>`, content is empty; both go into the body.
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

import orjson

from pipeline.language import t
from pipeline.notify.message import Message
from pipeline.notify.run_end import RunEnd
from pipeline.settings import ReceiverType, WebReceiver

# Limits of a text in bytes: WeCom's is documented, the others' are larger.
_MOST_BYTES = 2000


@dataclass(frozen=True, slots=True)
class WebRequest:
    """A POST of JSON. The URL is a secret."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)


def request_of(receiver: WebReceiver, message: Message, end: RunEnd, now: datetime) -> WebRequest:
    """Return the request that brings a message to a receiver; `now` is for its signature."""
    url, text = receiver.url, _robot_text(message)
    match receiver.type:
        case ReceiverType.DINGTALK:
            content: Mapping[str, Any] = {"msgtype": "text", "text": {"content": text}}
            url += _dingtalk_query(receiver, now)
        case ReceiverType.WECOM:
            content = {"msgtype": "text", "text": {"content": text}}
        case ReceiverType.FEISHU:
            content = {**_feishu_fields(receiver, now), "msg_type": "text", "content": {"text": text}}
        case _:
            content = event_of(message, end)
    return WebRequest(url, orjson.dumps(content))


def dingtalk_signature(secret: str, milliseconds: int) -> str:
    """Return the signature of a message to DingTalk, before it is quoted for the URL."""
    return _hmac(secret, f"{milliseconds}\n{secret}")


def feishu_signature(secret: str, seconds: int) -> str:
    """Return the signature of a message to Feishu."""
    return _hmac(f"{seconds}\n{secret}", "")


def event_of(message: Message, end: RunEnd) -> Mapping[str, Any]:
    """Return the JSON object that a web server gets (docs/how-to/alerts.md). `run` is null if there was no run."""
    summary = end.summary
    run = summary and {
        key: value
        for key, value in summary.as_dict().items()
        # Faults have values of rows, and inputs may have many entries.
        if key not in ("faults", "inputs", "job", "exit_code")
    }
    return {
        "event": end.change,
        "job": end.job,
        "run_id": end.run_id,
        "exit_code": end.exit_code,
        "exit_code_before": end.before,
        "at": end.at.isoformat(timespec="milliseconds"),
        "title": message.title,
        "text": message.text,
        "run": run,
    }


def fault_of(receiver_type: ReceiverType, status: int, answer: bytes) -> str | None:
    """Return why an answer says that the message was not accepted; None if it was. Robots refuse with status 200."""
    if not 200 <= status < 300:
        return f"HTTP {status}"
    if receiver_type is ReceiverType.WEBHOOK:
        return None
    try:
        content = orjson.loads(answer)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return t("the answer is no JSON object")
    names = ("errcode",) if receiver_type is not ReceiverType.FEISHU else ("code", "StatusCode")
    code = next((content[name] for name in names if name in content), None)
    return None if code == 0 else f"code {code}: {content.get('errmsg') or content.get('msg')}"


def _dingtalk_query(receiver: WebReceiver, now: datetime) -> str:
    if receiver.secret is None:
        return ""
    milliseconds = int(now.timestamp() * 1000)
    sign = quote_plus(dingtalk_signature(receiver.secret, milliseconds))
    return f"{'&' if '?' in receiver.url else '?'}timestamp={milliseconds}&sign={sign}"


def _feishu_fields(receiver: WebReceiver, now: datetime) -> Mapping[str, str]:
    if receiver.secret is None:
        return {}
    seconds = int(now.timestamp())
    return {"timestamp": str(seconds), "sign": feishu_signature(receiver.secret, seconds)}


def _hmac(key: str, content: str) -> str:
    return b64encode(hmac.digest(key.encode(), content.encode(), "sha256")).decode()


def _robot_text(message: Message) -> str:
    """Return the text for a robot: no tag that mentions people, and not longer than each robot accepts."""
    text = message.text.replace("<", "＜")
    return text.encode()[:_MOST_BYTES].decode(errors="ignore")
