"""The progress of a run at one moment, and its text for a log."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from pipeline.language import t
from pipeline.model import Status
from pipeline.run.events import ProgressPhase

# Seconds of measurement before a speed is shown, and the seconds over which it is averaged.
_FEWEST_SECONDS = 5.0
_WINDOW_SECONDS = 60.0
# Time left up to which the time of the end has no date.
_SAME_DAY_SECONDS = 20 * 3600
# Share of the quota from which on nothing but the quota limits the speed.
_AT_THE_QUOTA = 0.9


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    The progress of a run at one moment.

    - `rows_read`: rows read so far
    - `counts`: rows with an outcome, by status; `done` of them were due, out of `to_send` (None: not yet known)
    - `seconds`: since the phase began
    - `rate`: requests per second, None until measured; `limit`: the quota
    - `seconds_left`, `ends_at`: until all are done at the present speed, None until measured
    - `waiting_for`: the causes of a pause; `ending`: why the run ends before its time; empty if there are none
    - `is_interrupted`: a signal ends the run
    """

    job: str
    run_id: str
    phase: ProgressPhase
    limit: float
    seconds: float = 0.0
    rows_read: int = 0
    counts: Mapping[Status, int] = field(default_factory=dict)
    to_send: int | None = None
    done: int = 0
    retries: int = 0
    throttled: int = 0
    rate: float | None = None
    seconds_left: float | None = None
    ends_at: datetime | None = None
    waiting_for: str = ""
    ending: str = ""
    is_interrupted: bool = False

    @property
    def share(self) -> float | None:
        """The share of the due rows that are done; None while it is not known."""
        if self.phase is ProgressPhase.WRITING or self.to_send is None:
            return None
        return min(1.0, self.done / self.to_send) if self.to_send else 1.0


class Speed:
    """The mean speed over the last minute of a growing number."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, number: int) -> None:
        """Note the number at a time in seconds."""
        self._samples.append((now, number))
        while len(self._samples) > 1 and self._samples[1][0] <= now - _WINDOW_SECONDS:
            self._samples.popleft()

    def per_second(self) -> float | None:
        """Return the speed; None in the first seconds."""
        if not self._samples:
            return None
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        return None if last - first < _FEWEST_SECONDS else (after - before) / (last - first)


def phase_text(phase: ProgressPhase) -> str:
    """Return the name of a phase for people."""
    match phase:
        case ProgressPhase.READING:
            return t("reading")
        case ProgressPhase.DECIDING:
            return t("deciding")
        case ProgressPhase.SENDING:
            return t("sending")
        case ProgressPhase.WRITING:
            return t("writing reports")


def amount_text(now: Snapshot) -> str:
    """Return how far the phase is: rows read, or deliveries done of those due, or only since when it lasts."""
    if now.phase is ProgressPhase.READING:
        return t("{rows:,} rows read", rows=now.rows_read)
    if now.share is None or now.to_send is None:
        return t("for {time}", time=duration(now.seconds))
    return t("{done:,} of {to_send:,}", done=now.done, to_send=now.to_send)


def count_texts(now: Snapshot) -> list[str]:
    """Return the rows by status, such as `3 succeeded`, in the order of the statuses."""
    return [f"{now.counts[status]:,} {status}" for status in Status if now.counts.get(status)]


def speed_texts(now: Snapshot) -> list[str]:
    """Return speed against the quota, time left, retries and throttled requests; none before sending."""
    if now.phase is not ProgressPhase.SENDING:
        return []
    texts = [_rate(now)]
    if now.seconds_left is not None and now.ends_at is not None:
        day = "%Y-%m-%d " if now.seconds_left > _SAME_DAY_SECONDS else ""
        left, at = duration(now.seconds_left), now.ends_at.strftime(f"{day}%H:%M %Z")
        texts.append(t("{left} left, until {at}", left=left, at=at))
    if now.retries:
        texts.append(t("{number:,} retries", number=now.retries))
    if now.throttled:
        texts.append(t("{number:,} throttled", number=now.throttled))
    return texts


def pause_texts(now: Snapshot) -> list[str]:
    """Return why sending pauses, is slow, or ends before its time; none if it does not."""
    texts = []
    if now.ending and now.phase is not ProgressPhase.WRITING:
        hint = t("; a second signal ends it at once") if now.is_interrupted else ""
        texts.append(t("ending: {reason}", reason=now.ending) + hint)
    elif now.waiting_for:
        texts.append(now.waiting_for)
    elif now.rate is not None and now.phase is ProgressPhase.SENDING and now.rate >= _AT_THE_QUOTA * now.limit:
        texts.append(t("waiting for the quota only"))
    return texts


def line_of(now: Snapshot) -> str:
    """Return the progress as one line of a log."""
    share = [] if now.share is None else [f"{now.share:.0%}"]
    counts = [", ".join(count_texts(now))]
    details = [amount_text(now), *share, *counts, *speed_texts(now), *pause_texts(now)]
    return f"{phase_text(now.phase)}: {'; '.join(filter(None, details))}"


def duration(seconds: float) -> str:
    """Return a duration such as `45 s`, `12 min` or `3 h 05 min`, rounded up."""
    if seconds < 60:
        return f"{ceil(seconds)} s"
    minutes = ceil(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _rate(now: Snapshot) -> str:
    if now.rate is None:
        return t("quota {limit:g} req/s", limit=now.limit)
    share = f"{now.rate / now.limit:.0%}"
    return t("{rate:.1f} of {limit:g} req/s ({share})", rate=now.rate, limit=now.limit, share=share)
