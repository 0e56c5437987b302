"""The exit code of a check is that of its worst finding."""

import pytest

from pipeline.check.finding import Finding, Level, exit_code


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ([], 0),
        ([Level.OK], 0),
        ([Level.OK, Level.WARNING], 3),
        ([Level.WARNING, Level.ERROR, Level.OK], 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst_finding(levels: list[Level], code: int) -> None:
    """An error gives 2, a warning 3, and nothing of both 0."""
    assert exit_code(Finding(level, "ledger", "x") for level in levels) == code
