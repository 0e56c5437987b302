"""The names of a file's columns, and which column a name means."""

from collections.abc import Sequence

from pipeline.showing import shown_heading
from pipeline.texts import trimmed


class UnclearName(ValueError):
    """A name that may mean more than one column; `reason` says which, `advice` what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(reason)


class Headings:
    """
    The names of a file's columns.

    A name means the column of exactly that name. Where there is none, it means the one column whose name differs only
    in case, and in white space and invisible marks around it.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = columns
        self._exact = _places_by([str(column) for column in columns])
        self._alike = _places_by(list(map(_plain, columns)))

    def find(self, name: str) -> int | None:
        """Return the place of the column that a name means, None without one; raise UnclearName where several fit."""
        places = self._exact.get(name) or self._alike.get(_plain(name), [])
        if len(places) > 1:
            raise self._unclear(name, [self.columns[place] for place in places])
        return places[0] if places else None

    def _unclear(self, name: str, candidates: Sequence[str]) -> UnclearName:
        unlike = list(dict.fromkeys(candidates))
        if len(unlike) == 1:
            return UnclearName(f"{len(candidates)} columns are called {_quoted(unlike[0])}", "rename all but one")
        shown = " and ".join(map(_quoted, unlike))
        return UnclearName(f"{shown} may each be {_quoted(name)}", "name the right one as the file writes it")


def _places_by(names: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if name:
            places.setdefault(name, []).append(place)
    return places


def _quoted(heading: str) -> str:
    shown = shown_heading(heading)
    return shown if shown.startswith('"') else f'"{shown}"'


def _plain(name: str) -> str:
    return trimmed(name).casefold()
