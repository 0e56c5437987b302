"""One table of the config, and its faults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pipeline.settings.wording import dotted, quoted


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table that `check_structure` has checked.

    A key with a faulty value holds None: it counts as given, but has no value. All tables of a config share one list
    of faults.
    """

    file: str
    path: tuple[str, ...]
    values: Mapping[str, Any] = field(repr=False)
    faults: list[str]

    @property
    def name(self) -> str:
        """The last part of the table's dotted name."""
        return self.path[-1]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def text(self, key: str) -> str | None:
        """Return a text; None if there is none, or if it is at fault."""
        return cast("str | None", self.values.get(key))

    def texts(self, key: str) -> tuple[str, ...]:
        """Return the texts of a list, or one text alone; none if there is none, or if the value is at fault."""
        value = self.values.get(key) or ()
        return (value,) if isinstance(value, str) else tuple(value)

    def table(self, key: str) -> "Table":
        """Return a table within this one; an empty one if there is none, or if it is at fault."""
        return Table(self.file, (*self.path, key), self.values.get(key) or {}, self.faults)

    def tables(self) -> "list[Table]":
        """Return the tables within this one, in the order of the file."""
        return [self.table(key) for key, value in self.values.items() if value is not None]

    def at(self, key: str) -> str:
        """Return file, table and key: the start of a fault."""
        return place(self.file, self.path, key)

    def fault(self, key: str, text: str) -> None:
        """Report a fault of one key."""
        self.faults.append(f"{self.at(key)}: {text}")


def place(file: str, path: tuple[str, ...], key: str) -> str:
    """Return file, table and key: the start of a fault."""
    header = f" [{dotted(path)}]" if path else ""
    return f"{file}{header} {quoted(key)}"
