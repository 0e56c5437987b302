"""What a line of the retry matrix holds, and what a code of the platforms says."""

import re
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from pipeline.model import Api, Loss, Trust


class Action(StrEnum):
    """What a condition asks for, in the words of the retry matrix."""

    RETRY = "retry"
    RETRY_SLOW = "retry_slow"
    FAIL = "fail"
    NEW_KEY = "new_key"
    STOP = "stop"
    DONE = "done"
    UNKNOWN = "unknown"


_PLACES = {api: place for place, api in enumerate(Api)}

FAIL_ALL = (Action.FAIL, Action.FAIL, Action.FAIL)
RETRY_ALL = (Action.RETRY, Action.RETRY, Action.RETRY)
SLOW_ALL = (Action.RETRY_SLOW, Action.RETRY_SLOW, Action.RETRY_SLOW)
STOP_ALL = (Action.STOP, Action.STOP, Action.STOP)

RERUN = "it may have been applied; `backfill rerun` sends it again under the same key"
LATER = "surely not applied; `backfill rerun` sends it later"


class Condition(IntEnum):
    """
    The conditions that an attempt can end in; the number is the line of the retry matrix.

    A comment names who decides a condition that has no rule here.
    """

    ROW_INVALID = 1  # the mapping: the row breaks a local rule
    OWN_KEY_UNUSABLE = 2  # the settings: own key or certificate missing, unreadable or expired
    # Without an answer.
    NOT_CONNECTED = 3  # DNS, refused, handshake, connect timeout
    TLS_REFUSED = 4  # the server's TLS certificate does not verify
    CONNECTION_LOST = 5  # nobody knows whether the request was fully written
    TIMEOUT = 6  # no answer in time after the request was written
    CUT_SHORT = 7
    NOT_JSON = 8  # status 200, but the body is no JSON
    # Status alone, no known code.
    SERVER_ERROR = 9  # 500
    SERVER_UNAVAILABLE = 10  # 502, 503, 504
    STATUS_THROTTLED = 11  # 429
    ACCEPTED_ONLY = 12  # 202: accepted, not done yet
    STATUS_NOT_DESCRIBED = 13  # 204, and any other status that is not described for these calls
    REDIRECT = 14  # 3xx
    UNAUTHORIZED = 15  # 401
    FORBIDDEN = 16  # 403
    NO_SUCH_PATH = 17  # 404 or 405 with an empty body
    CLIENT_ERROR = 18  # other 4xx
    GATEWAY_STATUS = 19  # the rules above: any status but 200 from the gateway
    # Verification of the answer.
    SUCCESS_UNPROVEN = 20  # the signature of a success is bad or missing
    SIGNATURE_PROBE = 21  # an answer with a wrong signature on purpose
    UNKNOWN_SERIAL = 22  # certificate serial of the answer unknown
    ANSWER_STALE = 23  # time of the answer more than five minutes off
    ERROR_FORGED = 24  # the signature of an error is bad
    ERROR_UNSIGNED = 25  # the rule of its code: an error without a signature
    NOT_DECRYPTABLE = 26
    # Success and half success.
    SUCCESS = 27  # verified
    NOT_TAKEN = 28  # success status, but the text says it was not taken
    RESULT_NOT_DESCRIBED = 29  # 10000 without a biz_result that is described
    ECHO_DIFFERS = 30  # echoed values differ from what was sent
    SUCCESS_ON_REPEAT = 31  # as SUCCESS: the row was open before
    # Codes of the platforms.
    SYSTEM_ERROR = 32  # outcome unknown
    KEY_USED = 33  # first attempt
    KEY_USED_IN_DOUBT = 34  # the judge, by doubt: the same after an open attempt
    CONTENT_REFUSED = 35
    SAME_CODE_FROM_START = 36  # the suspicion: every row from the start ends alike
    PAYMENT_UNKNOWN = 37  # the payment of a refund is not known
    AGREEMENT_UNCONFIRMED = 38
    THROTTLED = 39
    OVERTAKEN = 40  # the lanes: a newer balance or state was sent meanwhile
    SIGNATURE_REFUSED = 41
    CLOCK_REFUSED = 42
    APP_REFUSED = 43  # app or permission
    ACCESS_REFUSED = 44  # for this agreement or for the app
    TOKEN_REFUSED = 45
    ENCRYPTION_REFUSED = 46
    HEADER_MISSING = 47
    UNKNOWN_CODE = 48  # the status is no server fault
    UNKNOWN_CODE_5XX = 49


# Most codes mean this one.
CONTENT_REFUSED = Condition.CONTENT_REFUSED


@dataclass(frozen=True, slots=True)
class Rule:
    """
    What the judge does in one condition.

    `actions` holds what cumulation, state and points ask for, in this order; None where the condition does not occur.
    It is known by `losses`, `trusts`, `statuses`, or by codes (catalogue.py). `code` is our word for it where the
    platform has none; `happened` says what happened, `advice` what to do next ({platform}, {code} and {status} are
    filled in). The rest goes into the verdict as it stands.
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
        """Return what this API asks for; where the condition should not occur, what another API does then."""
        own = self.actions[_PLACES[api]]
        return own or next(filter(None, self.actions), Action.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Codes:
    """
    Codes of the platforms that mean the same.

    `names` are written as in the platforms' documents, `*` standing for anything; case, a leading isv., isp. or aop.
    and the choice of - or _ do not matter. `advice` says what to do next. `settles_doubt`: see `Refused`; true only
    where the refusal rests on the content alone, so that an earlier attempt with the same bytes was refused as well.
    `only_if` restricts them to answers whose message matches. The rest stands above the rule's own.
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
