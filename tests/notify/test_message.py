"""Who wants a message, and its text."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pipeline.language import Language, language_in_use, use_language
from pipeline.notify.message import Message, is_wanted, message_of
from pipeline.notify.run_end import Change
from pipeline.settings import ReceiverType, When
from tests.notify.ends import FINE, NOT_STARTED, RUN_ID, SUMMARY, USER, robot, run_end


@pytest.fixture
def chinese() -> Iterator[None]:
    """Print Chinese during a test."""
    before = language_in_use()
    use_language(Language.CHINESE)
    yield
    use_language(before)


@pytest.mark.parametrize(
    ("before", "exit_code", "when"),
    [
        pytest.param(0, 0, {"always"}, id="fine, as before"),
        pytest.param(0, 3, {"change", "failure", "always"}, id="fine before, failed now"),
        pytest.param(3, 3, {"failure", "always"}, id="the same failure again"),
        pytest.param(3, 4, {"change", "failure", "always"}, id="another failure"),
        pytest.param(4, 0, {"change", "always"}, id="fine again"),
        pytest.param(None, 0, {"change", "always"}, id="fine after a killed run"),
        pytest.param(None, 5, {"change", "failure", "always"}, id="failed after a killed run"),
    ],
)
def test_the_rule_says_which_ends_are_wanted(before: int | None, exit_code: int, when: set[str]) -> None:
    """`change` wants an end unlike the one before, `failure` each failed run, `always` each run."""
    end = run_end(exit_code, before)
    receivers = [replace(robot(ReceiverType.WECOM, "https://r"), when=each) for each in When]

    assert {receiver.when for receiver in receivers if is_wanted(receiver, end)} == when


def test_a_receiver_wants_only_its_jobs() -> None:
    """A message about a job goes to the receivers that name it."""
    assert not is_wanted(robot(ReceiverType.WECOM, "https://r", jobs=frozenset({"points"})), run_end())


@pytest.mark.parametrize(
    ("before", "exit_code", "change"),
    [(0, 0, Change.SUCCEEDED), (3, 0, Change.RECOVERED), (None, 0, Change.RECOVERED), (0, 5, Change.FAILED)],
)
def test_an_end_is_a_failure_a_recovery_or_a_success(before: int | None, exit_code: int, change: Change) -> None:
    """Exit code 0 after another one is a recovery."""
    assert run_end(exit_code, before).change is change


def test_a_message_about_rows_left_has_counts_faults_and_next_steps() -> None:
    """Counts, the largest faults by column, rows left, report and commands; no value of a row."""
    message = message_of(run_end())

    assert message == Message(
        "backfill: job orders needs attention (exit code 3)",
        (
            "Run finished: some rows need attention.",
            f"run {RUN_ID}, date 2024-05-01",
            "rows: 1,010 (succeeded 1,000, invalid 8, unknown 2)",
            "- 8 invalid field_invalid 实付金额",
            "- 2 unknown timeout",
            "rows left: 10",
            f"report: reports/{RUN_ID}",
            "Send 2 rows again",
            f"  backfill rerun {RUN_ID}",
        ),
    )
    assert USER not in message.text


def test_a_message_about_a_stopped_run_says_why() -> None:
    """The reason of the run follows its verdict."""
    stopped = replace(SUMMARY, exit_code=4, state="stopped", reason="signature refused (isv.invalid-signature)")

    assert message_of(run_end(4, summary=stopped)).lines[:2] == (
        "Run aborted: the same error would hit every remaining row.",
        "signature refused (isv.invalid-signature)",
    )


def test_a_message_about_a_run_that_did_not_start_has_its_error() -> None:
    """Each fault is a line."""
    assert message_of(NOT_STARTED) == Message(
        "backfill: job orders needs attention (exit code 2)",
        ("no file matches exports/*.csv", "see docs/inputs.md"),
    )


@pytest.mark.usefixtures("chinese")
def test_a_message_is_in_the_language_of_the_process() -> None:
    """A recovery in Chinese; statuses and ids stay as they are."""
    assert message_of(FINE) == Message(
        "backfill：作业 orders 已恢复正常",
        (
            "运行完成：所有行都已成功或已跳过。",
            f"运行 {RUN_ID}，日期 2024-05-01",
            "行数：1,010（succeeded 1,000, invalid 8, unknown 2）",
            f"报告：reports/{RUN_ID}",
        ),
    )


def test_a_line_is_short_and_holds_no_control_character() -> None:
    """A text of an export or platform can't break a message."""
    (line,) = message_of(replace(NOT_STARTED, error=f"\x1b[31m{'x' * 400}")).lines

    assert line == f"\\x1b[31m{'x' * 291}…"
