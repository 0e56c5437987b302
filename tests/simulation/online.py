"""The merchant's online system, which sends balances of the same cards under the same quota."""

import random
from collections.abc import Sequence

from tests.simulation.platform import Platform
from tests.simulation.world import World

# Seconds between two of its requests, so that it keeps to its share of the quota.
_APART_SECONDS = 1.0
_POINTS = ["0", "1", "7"]


class OnlineSystem:
    """Sends balances before and during the steps of a history. It has a stream of randomness of its own."""

    def __init__(self, world: World, platform: Platform, cards: Sequence[str], seed: int) -> None:
        self._world = world
        self._platform = platform
        self._cards = cards
        self._chance = random.Random(f"online system of {seed}")
        self._free_at = 0.0

    def send_some(self) -> None:
        """Send a few balances, some of them at once and some within the next seconds."""
        chance = self._chance
        for _ in range(chance.choice([0, 1, 2, 5])):
            at = max(self._free_at, self._world.now + chance.choice([0.0, chance.uniform(0.0, 6.0)]))
            self._free_at = at + _APART_SECONDS
            self._send(at, chance.choice(self._cards), chance.choice(_POINTS))

    def _send(self, at: float, card: str, points: str) -> None:
        self._world.at(at, lambda: self._platform.arrive_online(card, points))
