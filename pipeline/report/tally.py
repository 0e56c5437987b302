"""What one pass over the outcomes counts. Its size depends on how many codes there are, not on how many rows."""

from dataclasses import dataclass, replace
from itertools import chain, groupby

from pipeline.model import Status
from pipeline.outcome import Outcome, Outcomes

LISTED_ROWS = 50
_DONE = frozenset({Status.SUCCEEDED, Status.SKIPPED})


@dataclass(frozen=True, slots=True)
class CodeCount:
    """How many rows of one status ended with one code, and the message that most of them have."""

    status: Status
    code: str
    rows: int
    message: str


class FrequentTexts:
    """Counts texts, of which it keeps a few; any that makes up more than a 1/KEPT of all is among them."""

    KEPT = 32

    def __init__(self) -> None:
        self.total = 0
        self._first = ""
        self._counts: dict[str, int] = {}

    def add(self, text: str, times: int = 1) -> None:
        """Count a text (Misra and Gries, Finding repeated elements, 1982)."""
        self._first = self._first or text
        self.total += times
        if text in self._counts or len(self._counts) < self.KEPT:
            self._counts[text] = self._counts.get(text, 0) + times
            return
        taken = min(times, *self._counts.values())
        self._counts = {kept: count - taken for kept, count in self._counts.items() if count > taken}
        if times > taken:
            self._counts[text] = times - taken

    def most_frequent(self) -> str:
        """Return the text counted most; the first one where no text stands out."""
        return max(self._counts, key=self._counts.__getitem__, default=self._first)


class Tally:
    """The counts of a run's outcomes, and the first rows that need attention."""

    def __init__(self) -> None:
        self.rows = 0
        self.attempts = 0
        self.new_keys_wanted = 0
        self.counts = dict.fromkeys(Status, 0)
        self._messages: dict[tuple[Status, str], FrequentTexts] = {}
        self._failed: list[Outcome] = []
        self._unsent: list[Outcome] = []

    def add(self, outcomes: Outcomes) -> None:
        """Count rows."""
        self.attempts += sum(outcomes.attempts)
        at = 0
        for (status, code, message), same in groupby(
            zip(outcomes.status, outcomes.code, outcomes.message, strict=True)
        ):
            rows = len(list(same))
            self._count(status, code, message, rows)
            if status not in _DONE:
                self._list(status, outcomes, range(at, at + rows))
            at += rows
        if any(outcomes.wants_new_key):
            wanting = zip(outcomes.status, outcomes.wants_new_key, strict=True)
            self.new_keys_wanted += sum(wants and status is Status.REJECTED for status, wants in wanting)

    def _count(self, status: Status, code: str, message: str, rows: int) -> None:
        self.rows += rows
        self.counts[status] += rows
        if (status, code) not in self._messages:
            self._messages[status, code] = FrequentTexts()
        self._messages[status, code].add(message, rows)

    def _list(self, status: Status, outcomes: Outcomes, entries: range) -> None:
        listed = self._unsent if status is Status.UNSENT else self._failed
        for at in entries[: LISTED_ROWS - len(listed)]:
            listed.append(replace(outcomes[at], cells=None))

    @property
    def left(self) -> int:
        """How many rows neither succeeded nor were skipped."""
        return sum(count for status, count in self.counts.items() if status not in _DONE)

    @property
    def codes(self) -> dict[str, int]:
        """How many rows ended with each code, the most frequent first."""
        codes: dict[str, int] = {}
        for (_, code), messages in self._messages.items():
            codes[code] = codes.get(code, 0) + messages.total
        return dict(sorted(codes.items(), key=lambda item: (-item[1], item[0])))

    def frequent_codes(self, limit: int) -> list[CodeCount]:
        """Return the most frequent codes of rows that did not succeed."""
        found = [
            CodeCount(status, code, messages.total, messages.most_frequent())
            for (status, code), messages in self._messages.items()
            if status is not Status.SUCCEEDED
        ]
        return sorted(found, key=lambda count: (-count.rows, count.status, count.code))[:limit]

    def need_attention(self) -> list[Outcome]:
        """Return the first rows that need attention, in source order; unsent ones, often whole files, come last."""
        return list(chain(self._failed, self._unsent))[:LISTED_ROWS]
