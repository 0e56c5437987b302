"""What an answer means for the request it answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The platform confirmed it, and the confirmation is signed."""

    code: str


@dataclass(frozen=True, slots=True)
class Refused:
    """
    The platform refuses this content for good.

    `settles_doubt`: the platform would have refused an earlier attempt alike, so none can have been applied.
    `wants_new_key`: the platform asks for another request key. `halts_after`: so many of these in a row, with
    nothing accepted between, mean that the caller is refused and not the row.
    """

    code: str
    text: str
    settles_doubt: bool = True
    wants_new_key: bool = False
    halts_after: int | None = None


@dataclass(frozen=True, slots=True)
class TryAgain:
    """
    The same request may go out again, signed anew.

    `may_have_acted`: the platform may have applied it. `slow`: the platform asks for a lower rate.
    `wait_seconds`: what it said of how long to wait. `tries`: attempts after which no more help, where fewer than
    the job's own. `platform_down`: a sign that the platform and not the row is at fault. `halts_after`: see
    `Refused`. `refresh_keys`: fetch the platform's newest key before the next attempt. `refused_at_last`: when the
    tries are used up the row counts as refused. `is_unconfirmed`: the answer may be that to another request, and counts
    once the same request gets it over a fresh connection. `questions_caller`: if it counts it refuses the caller.
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
    """It may have been applied, no repeat will tell, and a person has to look."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Halt:
    """The platform refuses the caller, or can't be trusted: the next rows would fare alike."""

    code: str
    text: str
    may_have_acted: bool = False


Verdict = Succeeded | Refused | TryAgain | Open | Halt
