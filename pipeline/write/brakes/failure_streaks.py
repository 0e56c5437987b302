"""When refusals of rows stop being about the rows. Neither class is thread-safe: the caller holds a lock."""

from collections import Counter
from collections.abc import Hashable

from pipeline.write.answers.verdict import Halt, Open, Refused, Succeeded, TryAgain, Verdict


class RefusalStreak:
    """
    Counts verdicts that carry `halts_after`, and says when there are enough in a row to stop the run.

    Counted are rows: a row whose answer can't be trusted three times over counts once. Where the tries of one row are
    bounded, that row's attempts are counted instead: what its repeat did not mend is not the row's fault.

    A row of equal verdicts ends with a success, a refusal under another code, or an open verdict, since the platform
    then dealt with a row. An attempt that may be made again (lost, throttled) proves nothing and ends nothing.
    """

    def __init__(self) -> None:
        self._attempts: dict[str, Counter[Hashable]] = {}

    def note(self, row: Hashable, verdict: Verdict) -> Halt | None:
        """Take in what came of an attempt for this row; return a Halt when it is one too many."""
        if not isinstance(verdict, TryAgain):
            same = verdict.code if isinstance(verdict, Refused) else None
            self._attempts = {code: counted for code, counted in self._attempts.items() if code == same}
        if not isinstance(verdict, Refused | TryAgain) or verdict.halts_after is None:
            return None
        attempts = self._attempts.setdefault(verdict.code, Counter())
        attempts[row] += 1
        is_bounded = isinstance(verdict, TryAgain) and verdict.tries is not None
        if (attempts[row] if is_bounded else len(attempts)) < verdict.halts_after:
            return None
        many = f"{attempts[row]} attempts of one row" if is_bounded else f"{len(attempts)} rows in a row"
        may_have_acted = isinstance(verdict, TryAgain) and verdict.may_have_acted
        return Halt(verdict.code, f"{many} ended alike: {verdict.text}", may_have_acted=may_have_acted)


class EqualEndings:
    """
    Watches whether all rows from the start end alike: then the mapping or the setup is at fault, not the rows.

    Told the last verdict of each delivery. Counted are refusals, open verdicts, and attempts used up that may have
    acted (a system error for every row is what WeChat Pay answers to a wrong setup), all under one code. The first
    delivery that ends otherwise ends the watch for good.
    """

    def __init__(self, limit: int = 20) -> None:
        self._limit = limit
        self._code: str | None = None
        self._count = 0
        self._is_over = False

    def note(self, verdict: Verdict) -> Halt | None:
        """Take in how a delivery ended; return a Halt once `limit` deliveries from the start all ended alike."""
        match verdict:
            case Refused() | Open() | TryAgain(may_have_acted=True) if self._code in (None, verdict.code):
                self._code, self._count = verdict.code, self._count + 1
            case _:
                self._is_over = True
        if self._is_over or self._count < self._limit or isinstance(verdict, Succeeded):
            return None
        return Halt(
            verdict.code,
            f"the first {self._count} rows all ended with {verdict.code}; check the mapping, the account and the ids "
            f"that all rows share before going on. The last one: {verdict.text}",
        )
