"""What a line of the retry matrix holds, and what a code of the platforms says."""

import re
from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One condition that an attempt can end in.

    `actions` holds what cumulation, state and points ask for, in this order; None where the condition does not occur.
    `decided_in` names who decides where the judge does not. It is known by `losses`, `trusts`, `statuses`, or by codes
    (catalogue.py). `code` is our word for it where the platform has none; `happened` says what happened, `advice` what
    to do next ({platform}, {code} and {status} are filled in). The rest goes into the verdict as it stands.
    """

    number: int
    title: str
    actions: tuple[Action | None, Action | None, Action | None]
    decided_in: str = "judge"
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
    `only_if` restricts them to answers whose message matches. The rest stands above the condition's own.
    """

    condition: int
    apis: tuple[Api, ...]
    names: tuple[str, ...]
    advice: str
    settles_doubt: bool = False
    only_if: re.Pattern[str] | None = None
    action: Action | None = None
    tries: int | None = None
    halts_after: int | None = None
