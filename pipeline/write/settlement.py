"""The settlement of a delivery, computed from its history and its last verdict. No effects."""

from dataclasses import dataclass, replace

from pipeline.language import t
from pipeline.ledger.records import DeliveryState, Settlement
from pipeline.model import Status
from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict


@dataclass(frozen=True, slots=True)
class DeliveryHistory:
    """
    The facts about a delivery so far.

    - `before`: its state in the ledger before this run's intent.
    - `doubt`: some attempt, in this run or an earlier one, may have been applied; `doubt_code` says why.
    - `seen`: the platform may have received the request.
    - `unconfirmed`: code of an answer that may belong to another request, until a fresh connection repeats it.
    - `questions_caller`: that answer refuses the caller, not the row.
    """

    before: DeliveryState | None = None
    doubt: bool = False
    doubt_code: str = ""
    unconfirmed: str = ""
    questions_caller: bool = False
    seen: bool = False
    attempts: int = 0
    first_sent_at: str | None = None
    finished_at: str | None = None
    http_status: int | None = None
    latency_ms: int | None = None
    trace_id: str | None = None

    @property
    def is_in_doubt(self) -> bool:
        """Whether the platform may have applied the delivery, and no trusted answer says if it did."""
        return self.doubt or bool(self.unconfirmed)

    def after(self, verdict: Verdict) -> "DeliveryHistory":
        """Return the history with one more verdict."""
        if isinstance(verdict, TryAgain) and verdict.is_unconfirmed:
            return replace(self, unconfirmed=verdict.code, questions_caller=verdict.questions_caller, seen=True)
        history = self._confirmed(verdict.code)
        may_have_acted = isinstance(verdict, Open) or (isinstance(verdict, TryAgain | Halt) and verdict.may_have_acted)
        if history.seen and not may_have_acted:
            return history
        never_left = isinstance(verdict, TryAgain) and verdict.code == "not_connected"
        return replace(
            history,
            doubt=history.doubt or may_have_acted,
            doubt_code=verdict.code if may_have_acted else history.doubt_code,
            seen=history.seen or not never_left,
        )

    def after_halt(self, code: str | None) -> "DeliveryHistory":
        """
        Return the history after the run halted: a refusal of the caller, confirmed for one row, applies to all rows.
        """
        return self._confirmed(code) if self.questions_caller else self

    def _confirmed(self, code: str | None) -> "DeliveryHistory":
        """Return the history after a fresh connection brought an answer with this code."""
        return replace(self, unconfirmed="") if self.unconfirmed == code else self


def settle(history: DeliveryHistory, verdict: Verdict) -> Settlement:
    """Return the settlement of a delivery after its last verdict."""
    match verdict:
        case Succeeded(code):
            return _end(history, Status.SUCCEEDED, code, "", DeliveryState.SUCCEEDED)
        case Refused():
            end = _end(history, Status.REJECTED, verdict.code, verdict.text, DeliveryState.REJECTED)
            return replace(end, wants_new_key=verdict.wants_new_key)
        case Open(code, text):
            return _end(history, Status.UNKNOWN, code, text, DeliveryState.UNKNOWN)
        case Halt(code, text):
            return cut_short(history, "stopped", f"{code}: {text}")
        case TryAgain():
            return _exhausted(history, verdict)


def _exhausted(history: DeliveryHistory, verdict: TryAgain) -> Settlement:
    if history.is_in_doubt:
        code = history.doubt_code or history.unconfirmed or verdict.code
        return _end(history, Status.UNKNOWN, code, verdict.text, DeliveryState.UNKNOWN)
    if verdict.refused_at_last:
        return _end(history, Status.REJECTED, verdict.code, verdict.text, DeliveryState.REJECTED)
    if verdict.slow:
        text = t("every attempt was throttled ({code}); rerun or resume", code=verdict.code)
        return _end(history, Status.UNSENT, "throttled", text, DeliveryState.UNSENT)
    return _end(history, Status.UNSENT, verdict.code, verdict.text, _as_before(history))


def _as_before(history: DeliveryHistory) -> DeliveryState | None:
    return DeliveryState.UNSENT if history.seen else history.before


def cut_short(history: DeliveryHistory, code: str, text: str) -> Settlement:
    """Return the settlement of a delivery that the run's end interrupted, before or between attempts."""
    if history.is_in_doubt:
        code = history.doubt_code or history.unconfirmed or code
        end = _end(history, Status.UNKNOWN, code, text, DeliveryState.UNKNOWN)
    else:
        end = _end(history, Status.UNSENT, code, text, _as_before(history))
    return replace(end, is_open=True)


def _end(history: DeliveryHistory, status: Status, code: str, message: str, leaves: DeliveryState | None) -> Settlement:
    return Settlement(
        status=status,
        code=code,
        message=message,
        http_status=history.http_status,
        attempts=history.attempts,
        first_sent_at=history.first_sent_at,
        finished_at=history.finished_at,
        latency_ms=history.latency_ms,
        trace_id=history.trace_id,
        leaves=leaves,
    )
