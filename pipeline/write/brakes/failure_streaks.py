"""Streaks of equal failures, which show that the caller or the setup is at fault and not the rows."""

import threading
from collections import Counter
from collections.abc import Hashable

from pipeline.language import t
from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict

# Deliveries from the start of a run; if all end under one code, the run halts.
_EQUAL_ENDINGS = 20


class FailureStreaks:
    """Counts the verdicts of all workers, and returns a Halt when no row would succeed. Thread-safe."""

    def __init__(self, equal_endings: int = _EQUAL_ENDINGS) -> None:
        self._lock = threading.Lock()
        self._refusals = _RefusalStreak()
        self._endings = _EqualEndings(equal_endings)

    @property
    def rows_differ(self) -> bool:
        """Whether some delivery succeeded, or two ended under different codes."""
        return self._endings.is_over

    def attempted(self, row: Hashable, verdict: Verdict) -> Halt | None:
        """Count the verdict on one attempt for this row; return a Halt when its streak is `halts_after` long."""
        with self._lock:
            return self._refusals.count(row, verdict)

    def settled(self, verdict: Verdict) -> Halt | None:
        """Count the last verdict on one delivery; return a Halt when all deliveries so far ended under one code."""
        with self._lock:
            return self._endings.count(verdict)

    def forget(self, row: Hashable) -> None:
        """Forget a settled row."""
        with self._lock:
            self._refusals.forget(row)


class _RefusalStreak:
    """
    Streaks of verdicts with `halts_after`.

    It counts rows: three untrusted answers to one row count once. If the verdict limits a row's `tries`, it counts the
    attempts of that row: the repeat did not help, so the caller is at fault.

    A success, a refusal under another code, or an open verdict ends a streak, since the platform then handled a row. An
    attempt that may be repeated (lost, throttled) proves nothing, so the streak continues.

    The rows of an ended streak were at fault themselves, so their repeats begin no other one.
    """

    def __init__(self) -> None:
        self._attempts: dict[str, Counter[Hashable]] = {}
        self._rows_at_fault: set[Hashable] = set()

    def forget(self, row: Hashable) -> None:
        self._rows_at_fault.discard(row)

    def count(self, row: Hashable, verdict: Verdict) -> Halt | None:
        if not isinstance(verdict, TryAgain):
            self._end_streaks(verdict.code if isinstance(verdict, Refused) else None)
        if not isinstance(verdict, Refused | TryAgain) or verdict.halts_after is None:
            return None
        is_bounded = isinstance(verdict, TryAgain) and verdict.tries is not None
        if row in self._rows_at_fault and not is_bounded:
            return None
        attempts = self._attempts.setdefault(verdict.code, Counter())
        attempts[row] += 1
        if (attempts[row] if is_bounded else len(attempts)) < verdict.halts_after:
            return None
        streak = (
            t("{attempts} attempts of one row", attempts=attempts[row])
            if is_bounded
            else t("{attempts} rows in a row", attempts=len(attempts))
        )
        may_have_acted = isinstance(verdict, TryAgain) and verdict.may_have_acted
        return Halt(
            verdict.code,
            t("{streak} failed the same way: {text}", streak=streak, text=verdict.text),
            may_have_acted=may_have_acted,
        )

    def _end_streaks(self, but: str | None) -> None:
        for code in [code for code in self._attempts if code != but]:
            self._rows_at_fault.update(self._attempts.pop(code))


class _EqualEndings:
    """
    Whether all deliveries from the start of the run end under one code: then the mapping or the setup is at fault.

    It counts refusals, open verdicts, and attempts used up that may have acted. WeChat Pay answers a system error for
    every row to a wrong setup. The first delivery that ends otherwise ends the count for good.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._code: str | None = None
        self._count = 0
        self.is_over = False

    def count(self, verdict: Verdict) -> Halt | None:
        match verdict:
            case Refused() | Open() | TryAgain(may_have_acted=True) if self._code in (None, verdict.code):
                self._code, self._count = verdict.code, self._count + 1
            case _:
                self.is_over = True
        if self.is_over or self._count < self._limit or isinstance(verdict, Succeeded):
            return None
        return Halt(
            verdict.code,
            t(
                "the first {count} rows all ended with {code}; check the mapping, the account and the ids that "
                "all rows share before going on. The last one: {text}",
                count=self._count,
                code=verdict.code,
                text=verdict.text,
            ),
        )
