"""The names of a file's columns, and the search for a column by name."""

from collections.abc import Sequence

from pipeline.language import t
from pipeline.redact import shown_heading
from pipeline.tables.text_columns import trimmed


class UnclearName(ValueError):
    """A name that matches more than one column; `reason` names them, `advice` says what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(reason)


class Headings:
    """
    The names of a file's columns.

    A name finds the column with exactly that name. If there is none, it finds the only column that matches without
    regard to case, and to white space and invisible marks at the ends.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = columns
        self._exact = _places_by(columns)
        self._alike = _places_by(list(map(_normalized, columns)))

    def find(self, name: str) -> int | None:
        """Return the place of a name's column, None if there is none; raise UnclearName if several match."""
        places = self._exact.get(name) or self._alike.get(_normalized(name), [])
        if len(places) > 1:
            raise self._unclear(name, [self.columns[place] for place in places])
        return places[0] if places else None

    def _unclear(self, name: str, candidates: Sequence[str]) -> UnclearName:
        unlike = list(dict.fromkeys(candidates))
        if len(unlike) == 1:
            return UnclearName(
                t("{candidates} columns are named {unlike}", candidates=len(candidates), unlike=_quoted(unlike[0])),
                t("rename all but one"),
            )
        shown = t(" and ").join(map(_quoted, unlike))
        return UnclearName(
            t("{shown} each match {name}", shown=shown, name=_quoted(name)),
            t("write the exact name of one into the job"),
        )


def _places_by(names: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        if name:
            places.setdefault(name, []).append(place)
    return places


def _quoted(heading: str) -> str:
    shown = shown_heading(heading)
    return shown if shown.startswith('"') else f'"{shown}"'


def _normalized(name: str) -> str:
    return trimmed(name).casefold()
