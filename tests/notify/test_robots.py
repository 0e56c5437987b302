"""Requests to robots, their signatures, and the answers of robots."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from pipeline.notify.channels.robots import (
    dingtalk_signature,
    event_of,
    fault_of,
    feishu_signature,
    request_of,
)
from pipeline.notify.message import Message
from pipeline.settings import ReceiverType
from tests.notify.ends import NOT_STARTED, RUN_ID, USER, robot, run_end

MESSAGE = Message("title", ('a <at user_id="all"> b', "c"))
TEXT = 'title\na ＜at user_id="all"> b\nc'
NOW = datetime(2025, 11, 29, 17, 0, 0, 123_000, tzinfo=UTC)

# Made by openssl: HMAC-SHA256 over the bytes that the platforms document.
DINGTALK_SECRET, DINGTALK_SIGN = "SECtest0000000000000000000000000000", "pAZh25nq2iC1Ai7g3+uB7GVNKFDRWlvixZt/SibXNy0="
FEISHU_SECRET, FEISHU_SIGN = "feishuTestSecret00", "73s4qsdz0RaCEGawVCogYuGjHA1kfB3MWCB+7zKx28M="


def sent(receiver_type: ReceiverType, url: str, secret: str | None = None) -> tuple[str, Any]:
    request = request_of(robot(receiver_type, url, secret=secret), MESSAGE, run_end(), NOW)
    return request.url, orjson.loads(request.body)


def test_dingtalk_signs_time_and_secret_with_the_secret() -> None:
    """The golden vector of openssl."""
    assert dingtalk_signature(DINGTALK_SECRET, 1764435600123) == DINGTALK_SIGN


def test_feishu_signs_nothing_with_time_and_secret() -> None:
    """The golden vector of openssl."""
    assert feishu_signature(FEISHU_SECRET, 1764435600) == FEISHU_SIGN


def test_a_message_to_dingtalk_is_signed_in_its_query() -> None:
    """Milliseconds and quoted signature follow the token."""
    assert sent(ReceiverType.DINGTALK, "https://d/robot/send?access_token=T", DINGTALK_SECRET) == (
        "https://d/robot/send?access_token=T&timestamp=1764435600123"
        "&sign=pAZh25nq2iC1Ai7g3%2BuB7GVNKFDRWlvixZt%2FSibXNy0%3D",
        {"msgtype": "text", "text": {"content": TEXT}},
    )


def test_a_message_to_feishu_is_signed_in_its_body() -> None:
    """Seconds and signature stand beside the text."""
    assert sent(ReceiverType.FEISHU, "https://f/hook/T", FEISHU_SECRET) == (
        "https://f/hook/T",
        {"timestamp": "1764435600", "sign": FEISHU_SIGN, "msg_type": "text", "content": {"text": TEXT}},
    )


@pytest.mark.parametrize(
    ("receiver_type", "body"),
    [
        (ReceiverType.DINGTALK, {"msgtype": "text", "text": {"content": TEXT}}),
        (ReceiverType.WECOM, {"msgtype": "text", "text": {"content": TEXT}}),
        (ReceiverType.FEISHU, {"msg_type": "text", "content": {"text": TEXT}}),
    ],
)
def test_a_message_without_a_secret_is_unsigned(receiver_type: ReceiverType, body: Any) -> None:
    """The URL is as given, and the text can mention nobody."""
    assert sent(receiver_type, "https://r/x") == ("https://r/x", body)


def test_a_long_text_is_cut_between_characters() -> None:
    """WeCom takes up to 2048 bytes."""
    request = request_of(robot(ReceiverType.WECOM, "https://r"), Message("任务" * 600, ()), run_end(), NOW)

    assert orjson.loads(request.body)["text"]["content"] == ("任务" * 600)[:666]


def test_a_web_server_gets_the_run_as_an_object() -> None:
    """Names of fields as in summary.json; neither faults nor inputs, which may show values."""
    event = event_of(MESSAGE, run_end(3, 0))

    assert event == {
        "event": "failed",
        "job": "orders",
        "run_id": RUN_ID,
        "exit_code": 3,
        "exit_code_before": 0,
        "at": "2024-05-01T17:02:03.500+00:00",
        "title": "title",
        "text": MESSAGE.text,
        "run": {
            "run_id": RUN_ID,
            "parent": None,
            "date": "2024-05-01",
            "api": "alipay.cumulation",
            "account": "zhima",
            "state": "completed",
            "rows": 1010,
            "left": 10,
            "counts": {
                "succeeded": 1000, "skipped": 0, "invalid": 8, "rejected": 0, "unknown": 2, "blocked": 0, "unsent": 0,
            },
            "codes": {"SUCCESS": 1000, "field_invalid": 8, "timeout": 2},
            "attempts": 1011,
            "started_at": "2024-05-01T16:00:00.000Z",
            "finished_at": "2024-05-01T17:02:03.500Z",
            "elapsed_s": 3723.5,
            "sent_per_s": 4.871,
            "quota": {"limit_per_s": 5, "used_fraction": 0.9742, "throttled": 3},
            "report": f"reports/{RUN_ID}",
        },
    }  # fmt: skip
    assert USER not in str(event)


def test_a_web_server_learns_that_no_run_began() -> None:
    """Run and run id are null."""
    event = event_of(MESSAGE, NOT_STARTED)

    assert (event["event"], event["run_id"], event["run"]) == ("failed", None, None)


DINGTALK, WECOM, FEISHU, WEBHOOK = (
    ReceiverType.DINGTALK, ReceiverType.WECOM, ReceiverType.FEISHU, ReceiverType.WEBHOOK,
)  # fmt: skip


@pytest.mark.parametrize(
    ("receiver_type", "status", "answer", "fault"),
    [
        (DINGTALK, 200, b'{"errcode":0,"errmsg":"ok"}', None),
        (DINGTALK, 200, b'{"errcode":310000,"errmsg":"sign not match"}', "code 310000: sign not match"),
        (WECOM, 200, b'{"errcode":93000,"errmsg":"invalid webhook url"}', "code 93000: invalid webhook url"),
        (FEISHU, 200, b'{"code":0,"msg":"success"}', None),
        (FEISHU, 200, b'{"StatusCode":0,"StatusMessage":"success"}', None),
        (FEISHU, 200, b'{"code":19021,"msg":"sign match fail"}', "code 19021: sign match fail"),
        (FEISHU, 200, b"{}", "code None: None"),
        (WECOM, 200, b"<html>", "the answer is no JSON object"),
        (WECOM, 502, b"", "HTTP 502"),
        (WEBHOOK, 204, b"", None),
        (WEBHOOK, 302, b"", "HTTP 302"),
    ],
)
def test_an_answer_says_whether_the_message_was_accepted(
    receiver_type: ReceiverType, status: int, answer: bytes, fault: str | None
) -> None:
    """Robots refuse with status 200 and a code; a web server with its status."""
    assert fault_of(receiver_type, status, answer) == fault
