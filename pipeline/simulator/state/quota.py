"""The quota of a platform: requests per second."""

from bisect import bisect_right
from collections.abc import Mapping


class Quota:
    """
    A strict sliding window for each (API, merchant). Not thread-safe: the caller locks.

    Within any 1.000 s, up to the limit of requests are accepted. Two arrivals exactly 1 s apart are in different
    windows. Refused requests do not count; the documents leave this open (wechatpay-v3-points.md, section 7).
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = dict(limits)
        self._accepted: dict[tuple[str, str], list[float]] = {}

    def admit(self, api: str, merchant: str, arrived: float) -> bool:
        """Return whether a request with this arrival (steady seconds) is accepted, and count it if so."""
        limit = self._limits.get(api)
        if limit is None:
            return True
        times = self._accepted.setdefault((api, merchant), [])
        place = bisect_right(times, arrived)
        # Threads may call out of arrival order, so every window with this arrival is checked.
        times.insert(place, arrived)
        starts = range(max(0, place - limit), len(times) - limit)
        if any(times[start + limit] - times[start] < 1.0 for start in starts):
            del times[place]
            return False
        # Twice the limit reaches back more than a second, and no thread lags that far behind.
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
