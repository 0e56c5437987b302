"""Rules of conditions known by the HTTP status, if the body has no known code."""

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

RETRY = Action.RETRY
UNKNOWN_ALL = (Action.UNKNOWN, Action.UNKNOWN, Action.UNKNOWN)

STATUS_RULES = (
    Rule(
        Condition.SERVER_ERROR,
        RETRY_ALL,
        happened="{platform} answered status {status}",
        advice=RERUN,
        statuses=frozenset({*range(500, 502), *range(505, 600)}),
        may_have_acted=True,
        platform_down=True,
    ),
    Rule(
        Condition.SERVER_UNAVAILABLE,
        RETRY_ALL,
        happened="{platform} answered status {status}",
        advice=RERUN,
        statuses=frozenset({*range(502, 505)}),
        may_have_acted=True,
        platform_down=True,
    ),
    Rule(
        Condition.STATUS_THROTTLED,
        SLOW_ALL,
        happened="{platform} refuses the request as too many (status {status})",
        advice=LATER,
        statuses=frozenset({429}),
    ),
    Rule(
        Condition.ACCEPTED_ONLY,
        (RETRY, None, RETRY),
        happened="{platform} has accepted the request but not carried it out (status {status})",
        advice=RERUN,
        statuses=frozenset({202}),
        may_have_acted=True,
    ),
    Rule(
        Condition.STATUS_NOT_DESCRIBED,
        UNKNOWN_ALL,
        happened="{platform} answered status {status}, which is not described for this call",
        advice="ask the platform whether the row was applied before sending it again",
        statuses=frozenset({*range(100, 200), 201, *range(203, 300)}),
    ),
    Rule(
        Condition.REDIRECT,
        STOP_ALL,
        happened="the server redirects instead of answering (status {status})",
        advice="check base_url, gateway_url and proxy; a signed request follows no redirect",
        statuses=frozenset({*range(300, 400)}),
    ),
    Rule(
        Condition.UNAUTHORIZED,
        STOP_ALL,
        happened="{platform} refuses our signature or authorisation (status {status})",
        advice="check the account's id, private_key_file and certificate serial against the platform's console",
        statuses=frozenset({401}),
    ),
    Rule(
        Condition.FORBIDDEN,
        STOP_ALL,
        happened="{platform} denies the account permission (status {status})",
        advice="ask for the product's permission in the platform's console, and check its list of allowed addresses",
        statuses=frozenset({403}),
    ),
    Rule(
        Condition.NO_SUCH_PATH,
        STOP_ALL,
        happened="{platform} does not know this path or method (status {status})",
        advice="check base_url and gateway_url",
        statuses=frozenset({404, 405}),
    ),
    Rule(
        Condition.CLIENT_ERROR,
        FAIL_ALL,
        happened="{platform} refuses the row (status {status})",
        advice="compare the row with the platform's field rules",
        statuses=frozenset({400, 402, *range(406, 429), *range(430, 500)}),
    ),
)
