"""One table of the config, and the place where its faults are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pipeline.settings.words import dotted, quoted


@dataclass(frozen=True, slots=True)
class Table:
    """
    A table whose faults of structure are known already.

    A key that was given but is at fault holds None: it counts as given and has no value. All tables of a config
    share one list of faults.
    """

    file: str
    path: tuple[str, ...]
    values: Mapping[str, Any] = field(repr=False)
    faults: list[str]

    @property
    def name(self) -> str:
        """The table's own name, without those it stands in."""
        return self.path[-1]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def text(self, key: str) -> str | None:
        """Return a text; None where there is none, or none without a fault."""
        return cast("str | None", self.values.get(key))

    def table(self, key: str) -> "Table":
        """Return a table within this one; an empty one where there is none, or none without a fault."""
        return Table(self.file, (*self.path, key), self.values.get(key) or {}, self.faults)

    def tables(self) -> "list[Table]":
        """Return the tables within this one, in the order of the file."""
        return [self.table(key) for key, value in self.values.items() if value is not None]

    def at(self, key: str) -> str:
        """Return where a key stands, as every fault begins."""
        return place(self.file, self.path, key)

    def fault(self, key: str, text: str) -> None:
        """Tell a fault of one key."""
        self.faults.append(f"{self.at(key)}: {text}")


def place(file: str, path: tuple[str, ...], key: str) -> str:
    """Return the file, the table and the key as every fault begins."""
    header = f" [{dotted(path)}]" if path else ""
    return f"{file}{header} {quoted(key)}"
