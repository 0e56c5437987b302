"""Rules of conditions known by the platform's code."""

from pipeline.write.answers.matrix.condition import (
    FAIL_ALL,
    LATER,
    RERUN,
    RETRY_ALL,
    SLOW_ALL,
    STOP_ALL,
    Action,
    Condition,
    Rule,
)

FAIL, RETRY, STOP, UNKNOWN = Action.FAIL, Action.RETRY, Action.STOP, Action.UNKNOWN

CODE_RULES = (
    Rule(
        Condition.SYSTEM_ERROR,
        RETRY_ALL,
        happened="{platform} reports a fault of its own ({code})",
        advice=f"{RERUN}; when every row gets it, check the account's setup",
        may_have_acted=True,
        platform_down=True,
    ),
    Rule(Condition.KEY_USED, (Action.NEW_KEY, None, FAIL)),
    Rule(Condition.CONTENT_REFUSED, FAIL_ALL),
    Rule(Condition.PAYMENT_UNKNOWN, (FAIL, None, None)),
    Rule(
        Condition.AGREEMENT_UNCONFIRMED,
        (RETRY, None, None),
        happened="{platform} could not confirm the agreement ({code})",
        tries=2,
        refused_at_last=True,
    ),
    Rule(
        Condition.THROTTLED,
        SLOW_ALL,
        happened="{platform} refuses the request as too many ({code})",
        advice=LATER,
    ),
    Rule(Condition.SIGNATURE_REFUSED, STOP_ALL, happened="{platform} refuses our signature ({code})"),
    Rule(Condition.CLOCK_REFUSED, STOP_ALL, happened="{platform} refuses our time ({code})"),
    Rule(Condition.APP_REFUSED, STOP_ALL, happened="{platform} refuses our account ({code})"),
    Rule(Condition.ACCESS_REFUSED, (FAIL, None, None), halts_after=3),
    Rule(
        Condition.TOKEN_REFUSED,
        (STOP, STOP, None),
        happened="{platform} refuses our authorisation token ({code})",
    ),
    Rule(
        Condition.ENCRYPTION_REFUSED,
        (STOP, STOP, None),
        happened="{platform} refuses our encryption ({code})",
    ),
    Rule(
        Condition.REQUEST_MALFORMED,
        (None, None, STOP),
        happened="{platform} refuses the form of the request ({code})",
    ),
    Rule(
        Condition.UNKNOWN_CODE,
        FAIL_ALL,
        happened="{platform} refuses the row with a code that is not in its documents ({code})",
        advice="ask its support with the trace id",
    ),
    Rule(
        Condition.UNKNOWN_CODE_5XX,
        (RETRY, None, RETRY),
        happened="{platform} reports a fault of its own with status {status} ({code})",
        advice=RERUN,
        may_have_acted=True,
        platform_down=True,
    ),
)
