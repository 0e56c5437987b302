"""Deliberate faults find their places in the code."""

import pytest

from tests.simulation.code_change import Body, Change, Code, PlaceNotFound, Text, changed, changed_files
from tests.simulation.mutations import MUTATIONS, ROOT

SOURCE = """
LINES = "SELECT a FROM b"

class Lane:
    def first(self, rows):
        # A comment.
        return rows[0] if rows \\
            else None

def last(rows):
    if not rows:
        return None
    return (rows[-1], rows[-1])

def count(rows):
    return (
        f"SELECT {len(rows)} FROM lines"
        " WHERE open"
    )
"""


@pytest.mark.parametrize("changes", MUTATIONS.values(), ids=MUTATIONS)
def test_each_mutation_changes_the_code(changes: tuple[Change, ...]) -> None:
    """Each mutation finds its place in the code as it is, and leaves valid Python."""
    for file, source in changed_files(changes, ROOT).items():
        compile(source, file, "exec")
        assert source != (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (Code("m:Lane.first", "rows[0] if rows else None", "rows[1]"), "return rows[1]"),
        (Code("m:last", "if not rows:\n    return None", "pass"), "pass"),
        (Body("m:last", "return 1"), "return 1"),
        (Text("m:LINES", "SELECT a", "SELECT c"), "LINES = 'SELECT c FROM b'"),
        (Text("m:count", "FROM lines WHERE open", "FROM x"), "return f'SELECT {len(rows)} FROM x'"),
    ],
)
def test_a_change_is_made_in_its_place(change: Change, line: str) -> None:
    """Neither formatting nor a comment hides the place of a change."""
    assert line in [each.strip() for each in changed(SOURCE, change).splitlines()]


@pytest.mark.parametrize(
    "change",
    [
        Code("m:first", "rows[0]", "rows[1]"),
        Code("m:Lane.first", "rows[2]", "rows[1]"),
        Code("m:last", "rows[-1]", "rows[0]"),
        Text("m:last", "SELECT", "DELETE"),
        Body("m:LINES", "pass"),
    ],
    ids=["no-such-name", "no-such-code", "code-found-twice", "no-such-text", "no-function"],
)
def test_a_change_without_one_place_is_refused(change: Change) -> None:
    """A change whose place is missing or ambiguous is an error."""
    with pytest.raises(PlaceNotFound):
        changed(SOURCE, change)
