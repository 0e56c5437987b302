"""A clock that the test moves; sleeping on it moves it as well."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class MovedClock:
    """Wall time and steady time that move together, and a list of all sleeps."""

    def __init__(self, now: datetime = NOON, steady: float = 1000.0) -> None:
        self._now = now
        self._steady = steady
        self.sleeps: list[float] = []
        self.is_woken = False

    def now(self) -> datetime:
        return self._now

    def steady(self) -> float:
        return self._steady

    def sleep(self, seconds: float) -> None:
        if not self.is_woken:
            self.sleeps.append(seconds)
            self.move(seconds)

    def pause(self, seconds: float) -> None:
        self.move(seconds)

    def wake(self) -> None:
        self.is_woken = True

    def move(self, seconds: float) -> None:
        """Move both times forward."""
        self._now += timedelta(seconds=seconds)
        self._steady += seconds
