"""The page of figures: made as a whole, or table by table."""

from benchmarks.table import Table, page

SEND = Table("Send", "Rows a second.", ("who", "rows/s"), (("we", "7"),), "`make bench`, on a machine.")
PLAN = Table("Plan", "Rows a second.", ("who", "rows/s"), (("we", "9"),))


def test_a_table_says_what_made_it() -> None:
    """Between the word on how to read it and its cells stands the command, where there is one."""
    assert SEND.markdown() == (
        "## Send\n\nRows a second.\n\n`make bench`, on a machine.\n\n| who | rows/s |\n| --- | ---: |\n| we | 7 |\n"
    )
    assert PLAN.markdown() == "## Plan\n\nRows a second.\n\n| who | rows/s |\n| --- | ---: |\n| we | 9 |\n"


def test_a_table_that_was_measured_anew_takes_its_own_place() -> None:
    """What was not measured stays as it was, and in its place; what is new comes last."""
    before = page([SEND, PLAN])
    again = Table("Send", "Rows a second.", ("who", "rows/s"), (("we", "8"),))
    start = Table("Start", "Seconds.", ("command", "seconds"), (("help", "0.1"),))

    assert page([again, start], before) == page([again, PLAN, start])


def test_a_page_that_is_made_anew_holds_nothing_else() -> None:
    """Of a page from before nothing is left."""
    assert "Plan" not in page([SEND])
