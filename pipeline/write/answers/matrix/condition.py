"""Types of the retry matrix: conditions, rules and platform codes."""

import re
from dataclasses import dataclass
from enum import StrEnum, auto

from pipeline.model import Api, Loss, Trust


class Action(StrEnum):
    """The action that a condition asks for, in the words of the retry matrix."""

    RETRY = "retry"
    RETRY_SLOW = "retry_slow"
    FAIL = "fail"
    NEW_KEY = "new_key"
    STOP = "stop"
    DONE = "done"
    UNKNOWN = "unknown"


# Both APIs that send balances share a column of the matrix.
_PLACES = {Api.CUMULATION: 0, Api.STATE: 1, Api.POINTS: 2, Api.BRAND_POINTS: 2}

FAIL_ALL = (Action.FAIL, Action.FAIL, Action.FAIL)
RETRY_ALL = (Action.RETRY, Action.RETRY, Action.RETRY)
SLOW_ALL = (Action.RETRY_SLOW, Action.RETRY_SLOW, Action.RETRY_SLOW)
STOP_ALL = (Action.STOP, Action.STOP, Action.STOP)

RERUN = "it may have been applied; `backfill rerun` sends it again under the same key"
LATER = "it was not applied; `backfill rerun` sends it later"


class Condition(StrEnum):
    """
    A condition that an attempt can end in: one line of docs/platform/retry-matrix.md.

    A comment names the module that handles a condition without a rule here.
    """

    ROW_INVALID = auto()  # in the mapping: the row breaks a local rule
    OWN_KEY_UNUSABLE = auto()  # in the settings: own key or certificate missing, unreadable or expired
    # Without an answer.
    NOT_CONNECTED = auto()  # DNS, refused, handshake, connect timeout
    TLS_REFUSED = auto()  # the server's TLS certificate does not verify
    CONNECTION_LOST = auto()  # the request may have been written in part or in full
    TIMEOUT = auto()  # no answer in time after the request was written
    CUT_SHORT = auto()
    NOT_JSON = auto()  # status 200, but the body is no JSON
    # Status alone, no known code.
    SERVER_ERROR = auto()  # 500
    SERVER_UNAVAILABLE = auto()  # 502, 503, 504
    STATUS_THROTTLED = auto()  # 429
    ACCEPTED_ONLY = auto()  # 202: accepted, not applied yet
    STATUS_NOT_DESCRIBED = auto()  # 204, and any other status without a description for these calls
    REDIRECT = auto()  # 3xx
    UNAUTHORIZED = auto()  # 401
    FORBIDDEN = auto()  # 403
    NO_SUCH_PATH = auto()  # 404 or 405 with an empty body
    CLIENT_ERROR = auto()  # other 4xx
    GATEWAY_STATUS = auto()  # by the rules above: any status but 200 from the gateway
    # Verification of the answer.
    SUCCESS_UNPROVEN = auto()  # the signature of a success is bad or missing
    SIGNATURE_PROBE = auto()  # a deliberately wrong signature
    UNKNOWN_SERIAL = auto()  # certificate serial of the answer unknown
    ANSWER_STALE = auto()  # time of the answer differs by more than five minutes
    ERROR_FORGED = auto()  # the signature of an error is bad
    ERROR_UNSIGNED = auto()  # by the rule of its code: an error without a signature
    NOT_DECRYPTABLE = auto()
    # Success, and success with a problem.
    SUCCESS = auto()  # verified
    NOT_TAKEN = auto()  # success status, but the text reports a failure
    RESULT_NOT_DESCRIBED = auto()  # 10000 without a biz_result that is described
    ECHO_DIFFERS = auto()  # echoed values differ from what was sent
    SUCCESS_ON_REPEAT = auto()  # by the rule of SUCCESS: the row was open before
    # Codes of the platforms.
    SYSTEM_ERROR = auto()  # whether it was applied is unknown
    KEY_USED = auto()  # first attempt
    KEY_USED_IN_DOUBT = auto()  # in the judge, by doubt: the same after an open attempt
    CONTENT_REFUSED = auto()
    SAME_CODE_FROM_START = auto()  # in failure_streaks: all rows from the start end under one code
    PAYMENT_UNKNOWN = auto()  # the payment of a refund is not known
    AGREEMENT_UNCONFIRMED = auto()
    THROTTLED = auto()
    OVERTAKEN = auto()  # in the lanes: a newer balance or state was sent since then
    SIGNATURE_REFUSED = auto()
    CLOCK_REFUSED = auto()
    APP_REFUSED = auto()  # app or permission
    ACCESS_REFUSED = auto()  # for this agreement or for the app
    TOKEN_REFUSED = auto()
    ENCRYPTION_REFUSED = auto()
    REQUEST_MALFORMED = auto()  # a header or a field of it: a fault of the program, a proxy or the setup
    UNKNOWN_CODE = auto()  # the status is no server fault
    UNKNOWN_CODE_5XX = auto()


# The condition of most codes.
CONTENT_REFUSED = Condition.CONTENT_REFUSED


@dataclass(frozen=True, slots=True)
class Rule:
    """
    The judge's rule for one condition.

    - `actions`: the action for cumulation, state and points, in this order; None if the condition does not occur there.
    - `losses`, `trusts`, `statuses`: how the condition is recognised. Other conditions are recognised by codes
      (`catalogue`).
    - `code`: our own code, if the platform has none.
    - `happened`, `advice`: what happened, and what to do next. {platform}, {code} and {status} are filled in.

    The other fields are those of the verdict.
    """

    condition: Condition
    actions: tuple[Action | None, Action | None, Action | None]
    code: str = "http_{status}"
    happened: str = "{platform} refuses the row ({code})"
    advice: str = ""
    losses: frozenset[Loss] = frozenset()
    trusts: frozenset[Trust] = frozenset()
    statuses: frozenset[int] = frozenset()
    may_have_acted: bool = False
    platform_down: bool = False
    refresh_keys: bool = False
    refused_at_last: bool = False
    tries: int | None = None
    halts_after: int | None = None

    def action(self, api: Api) -> Action:
        """Return the action for this API; if the condition should not occur there, the action of another API."""
        own = self.actions[_PLACES[api]]
        return own or next(filter(None, self.actions), Action.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Codes:
    """
    Platform codes with the same meaning.

    - `names`: written as in the platforms' documents, `*` for any text. Case, a leading isv., isp. or aop., and - or _
      do not matter.
    - `advice`: what to do next.
    - `settles_doubt`: see `Refused`. True only if the refusal rests on the content alone, so that an earlier attempt
      with the same bytes was refused as well.
    - `only_if`: a pattern that the message must match.

    The other fields override those of the rule.
    """

    condition: Condition
    apis: tuple[Api, ...]
    names: tuple[str, ...]
    advice: str
    settles_doubt: bool = False
    only_if: re.Pattern[str] | None = None
    action: Action | None = None
    tries: int | None = None
    halts_after: int | None = None
