"""Conditions 32 to 49: known by the code that the platform answers."""

from pipeline.write.matrix.condition import FAIL_ALL, LATER, RERUN, RETRY_ALL, SLOW_ALL, STOP_ALL, Action, Condition

FAIL, RETRY, STOP, UNKNOWN = Action.FAIL, Action.RETRY, Action.STOP, Action.UNKNOWN

CODE_CONDITIONS = (
    Condition(
        32,
        "system error, outcome unknown",
        RETRY_ALL,
        happened="{platform} reports a fault of its own ({code})",
        advice=f"{RERUN}; when every row gets it, check the account's setup",
        may_have_acted=True,
        platform_down=True,
    ),
    Condition(33, "the key was used before, first attempt", (Action.NEW_KEY, None, FAIL)),
    Condition(
        34, "the key was used before, after an open attempt", (UNKNOWN, None, UNKNOWN), decided_in="judge, by doubt"
    ),
    Condition(35, "the row's content is refused", FAIL_ALL),
    Condition(36, "the same code for every row from the start", STOP_ALL, decided_in="suspicion"),
    Condition(37, "the payment of a refund is not known", (FAIL, None, None)),
    Condition(
        38,
        "the check of the agreement failed",
        (RETRY, None, None),
        happened="{platform} could not confirm the agreement ({code})",
        tries=2,
        refused_at_last=True,
    ),
    Condition(
        39,
        "too many requests",
        SLOW_ALL,
        happened="{platform} refuses the request as too many ({code})",
        advice=LATER,
    ),
    Condition(40, "a newer balance or state was sent meanwhile", (None, RETRY, UNKNOWN), decided_in="lanes"),
    Condition(41, "signature or key refused", STOP_ALL, happened="{platform} refuses our signature ({code})"),
    Condition(42, "clock refused", STOP_ALL, happened="{platform} refuses our time ({code})"),
    Condition(43, "app or permission refused", STOP_ALL, happened="{platform} refuses our account ({code})"),
    Condition(44, "access refused for this agreement or for the app", (FAIL, None, None), halts_after=3),
    Condition(
        45,
        "authorisation token refused",
        (STOP, STOP, None),
        happened="{platform} refuses our authorisation token ({code})",
    ),
    Condition(
        46,
        "encryption setup refused",
        (STOP, STOP, None),
        happened="{platform} refuses our encryption ({code})",
    ),
    Condition(47, "a header is missing", (None, None, STOP), happened="{platform} misses a header ({code})"),
    Condition(
        48,
        "unknown code, and the status is no server fault",
        FAIL_ALL,
        happened="{platform} refuses the row with a code that is not in its documents ({code})",
        advice="ask its support with the trace id",
    ),
    Condition(
        49,
        "unknown code with status 5xx",
        (RETRY, None, RETRY),
        happened="{platform} reports a fault of its own with status {status} ({code})",
        advice=RERUN,
        may_have_acted=True,
        platform_down=True,
    ),
)
