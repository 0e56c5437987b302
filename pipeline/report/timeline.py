"""What the outcomes say about time: rows and requests over time, and latencies. Memory is bounded."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import accumulate
from typing import Any

from pipeline.tables.outcome_page import OutcomePage

# The name under which requests are counted.
REQUESTS = "requests"
# Length of a time up to its second, such as 2024-05-01T16:00:00.
_TO_SECOND = 19

# Widths in seconds; each one is a multiple of the one before. Beyond them the width doubles.
_WIDTHS = (1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400, 604_800)
_MOST_BINS = 120


class TimeBins:
    """
    Counts by name and time. The bins become wider as the time grows, so that memory is bounded by the number of names.

    `width` is that of a bin, in seconds: the narrowest one at first. The order of the counts does not matter.
    """

    def __init__(self, *, narrowest: int = _WIDTHS[0], most_bins: int = _MOST_BINS) -> None:
        self.width = narrowest
        self._most_bins = most_bins
        self._counts: Counter[tuple[str, int]] = Counter()
        self._span: tuple[int, int] | None = None

    def add(self, counts: Mapping[tuple[str, int], int]) -> None:
        """Add counts by name and second; a second is one since 1970."""
        if not counts:
            return
        seconds = [second for _, second in counts]
        first, last = self._span or (seconds[0], seconds[0])
        self._span = first, last = min(first, *seconds), max(last, *seconds)
        while last // self.width - first // self.width >= self._most_bins:
            self._widen()
        for (name, second), count in counts.items():
            self._counts[name, second // self.width] += count

    def plain(self) -> list[Any]:
        """Return the counts for JSON: the width, then name, start and count of each bin."""
        counts = [[name, at * self.width, count] for (name, at), count in self._counts.items()]
        return [self.width, counts]

    def add_plain(self, plain: Sequence[Any]) -> None:
        """Add the counts of other bins, from their JSON."""
        width, counts = plain
        # A second counts like the start of its bin, as each width is a multiple of those before.
        while self.width < width:
            self._widen()
        self.add({(name, start): count for name, start, count in counts})

    def _widen(self) -> None:
        wider = next((width for width in _WIDTHS if width > self.width), 2 * self.width)
        counts, self._counts = self._counts, Counter()
        for (name, at), count in counts.items():
            self._counts[name, at // (wider // self.width)] += count
        self.width = wider

    @property
    def starts(self) -> range:
        """The start of each bin, from the first count to the last one, in seconds since 1970."""
        if self._span is None:
            return range(0)
        first, last = (second // self.width * self.width for second in self._span)
        return range(first, last + 1, self.width)

    def counts(self, name: str) -> list[int]:
        """Return the counts of one name: one for each bin of `starts`."""
        return [self._counts[name, start // self.width] for start in self.starts]

    def __contains__(self, name: str) -> bool:
        return any(name == counted for counted, _ in self._counts)


class Timeline:
    """
    Finished rows by status and requests over time, and the number of rows by latency in milliseconds.

    An outcome has the times of its first and last request. Those between count as evenly spread.
    """

    def __init__(self) -> None:
        self.finished = TimeBins()
        # A second of ours is not one of the platform's: its requests may seem to be more than the quota.
        self.requests = TimeBins(narrowest=5)
        self._latencies: Counter[int] = Counter()

    def add(self, outcomes: OutcomePage) -> None:
        """Count rows. Rows that were not sent have no times."""
        if not any(outcomes.attempts):
            return
        ends = zip(outcomes.finished_at, outcomes.status, strict=True)
        # Plain texts count faster than pairs with a status.
        finished = Counter([at[:_TO_SECOND] + status for at, status in ends if at])
        self.finished.add({(text[_TO_SECOND:], _second(text[:_TO_SECOND])): count for text, count in finished.items()})
        self._latencies.update([latency for latency in outcomes.latency_ms if latency is not None])
        self.requests.add(_requests(outcomes))

    def plain(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {
            "finished": self.finished.plain(),
            "requests": self.requests.plain(),
            "latencies": list(self._latencies.items()),
        }

    def add_plain(self, plain: Mapping[str, Any]) -> None:
        """Add the counts of other rows, from their JSON."""
        self.finished.add_plain(plain["finished"])
        self.requests.add_plain(plain["requests"])
        self._latencies.update(dict(plain["latencies"]))

    def latency(self, percent: int) -> int | None:
        """Return the latency in milliseconds that this percentage of rows does not exceed; None without rows."""
        latencies = sorted(self._latencies)
        reached = accumulate(self._latencies[latency] for latency in latencies)
        wanted = self._latencies.total() * percent
        return next((each for each, rows in zip(latencies, reached, strict=True) if rows * 100 >= wanted), None)


def _requests(outcomes: OutcomePage) -> Mapping[tuple[str, int], int]:
    """Return the requests of some rows, by second."""
    sent = zip(outcomes.attempts, outcomes.first_sent_at, strict=True)
    once = Counter([first[:_TO_SECOND] for attempts, first in sent if attempts == 1 and first])
    seconds = Counter({_second(text): count for text, count in once.items()})
    if max(outcomes.attempts) > 1:
        columns = (outcomes.attempts, outcomes.first_sent_at, outcomes.finished_at, outcomes.latency_ms)
        for attempts, first, last, latency in zip(*columns, strict=True):
            if attempts > 1 and first and last:
                seconds.update(
                    _spread(
                        _second(first[:_TO_SECOND]), _second(last[:_TO_SECOND]) - round((latency or 0) / 1000), attempts
                    )
                )
    return {(REQUESTS, second): count for second, count in seconds.items()}


@lru_cache(1 << 12)
def _second(moment: str) -> int:
    """Return the second since 1970 of a time in UTC, such as 2024-05-01T16:00:00."""
    return int(datetime.fromisoformat(f"{moment}+00:00").timestamp())


def _spread(first: int, last: int, count: int) -> Iterator[int]:
    return (first + max(last - first, 0) * at // max(count - 1, 1) for at in range(count))
