"""The requests per second that a platform takes."""

from bisect import bisect_right
from collections.abc import Mapping


class Quota:
    """
    A strict sliding window for each (API, merchant). Not thread-safe: the caller takes turns.

    Of the accepted requests no more than the limit arrived within any 1.000 s, of which one end is open: two
    arrivals exactly one second apart don't share a window. A refused request takes no room; the documents leave
    open whether it does (wechatpay-v3-points.md, section 7).
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = dict(limits)
        self._accepted: dict[tuple[str, str], list[float]] = {}

    def admit(self, api: str, merchant: str, arrived: float) -> bool:
        """Return whether there is room for a request that arrived then, and take it."""
        limit = self._limits.get(api)
        if limit is None:
            return True
        times = self._accepted.setdefault((api, merchant), [])
        place = bisect_right(times, arrived)
        # Threads may ask out of order of arrival, so every window that holds this arrival is looked at.
        times.insert(place, arrived)
        starts = range(max(0, place - limit), len(times) - limit)
        if any(times[start + limit] - times[start] < 1.0 for start in starts):
            del times[place]
            return False
        # Two limits' worth back is more than a second, and no thread lags that far behind.
        del times[: max(0, len(times) - 2 * limit - 64)]
        return True


def peak(times: list[float]) -> int:
    """Return the most arrivals in any 1.000 s."""
    ordered = sorted(times)
    most = start = 0
    for end, arrived in enumerate(ordered):
        while arrived - ordered[start] >= 1.0:
            start += 1
        most = max(most, end - start + 1)
    return most
