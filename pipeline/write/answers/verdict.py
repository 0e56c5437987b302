"""Verdicts: the possible meanings of an answer for its request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The platform confirmed the delivery, and its signature is verified."""

    code: str


@dataclass(frozen=True, slots=True)
class Refused:
    """
    The platform refuses this content for good.

    - `settles_doubt`: an earlier attempt was refused for the same reason, so none was applied.
    - `wants_new_key`: the platform asks for another request key.
    - `halts_after`: number of such verdicts in a row, without a success in between, that shows a refused caller.
    """

    code: str
    text: str
    settles_doubt: bool = True
    wants_new_key: bool = False
    halts_after: int | None = None


@dataclass(frozen=True, slots=True)
class TryAgain:
    """
    The same request may be sent again, with a new signature.

    - `may_have_acted`: the platform may have applied it.
    - `slow`: the platform asks for a lower rate. `wait_seconds`: its Retry-After.
    - `tries`: attempts after which a repeat is useless, if fewer than the job's own limit.
    - `platform_down`: a sign that the platform is at fault, not the row.
    - `halts_after`: see `Refused`.
    - `refresh_keys`: fetch the platform's newest key before the next attempt.
    - `refused_at_last`: once the tries are used up, the row counts as refused.
    - `is_unconfirmed`: the answer may belong to another request. It counts if a fresh connection repeats it.
    - `questions_caller`: once confirmed, it refuses the caller.
    """

    code: str
    text: str
    may_have_acted: bool
    slow: bool = False
    wait_seconds: float | None = None
    tries: int | None = None
    platform_down: bool = False
    halts_after: int | None = None
    refresh_keys: bool = False
    refused_at_last: bool = False
    is_unconfirmed: bool = False
    questions_caller: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """The platform may have applied it, no repeat can clarify that, and a person has to check."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Halt:
    """The platform refuses the caller, or is not trusted. The next rows would get the same answer."""

    code: str
    text: str
    may_have_acted: bool = False


Verdict = Succeeded | Refused | TryAgain | Open | Halt
