"""The page of figures, made as a whole or table by table."""

from benchmarks.table import Table, page

SEND = Table("Send", "Rows a second.", ("who", "rows/s"), (("we", "7"),), "`make bench`, on a machine.")
PLAN = Table("Plan", "Rows a second.", ("who", "rows/s"), (("we", "9"),))


def test_a_table_has_its_command() -> None:
    """The command is between the explanation and the cells, if there is one."""
    assert SEND.markdown() == (
        "## Send\n\nRows a second.\n\n`make bench`, on a machine.\n\n| who | rows/s |\n| --- | ---: |\n| we | 7 |\n"
    )
    assert PLAN.markdown() == "## Plan\n\nRows a second.\n\n| who | rows/s |\n| --- | ---: |\n| we | 9 |\n"


def test_a_new_table_replaces_the_old_one() -> None:
    """Other tables stay in their places; tables with new titles come last."""
    before = page([SEND, PLAN])
    again = Table("Send", "Rows a second.", ("who", "rows/s"), (("we", "8"),))
    start = Table("Start", "Seconds.", ("command", "seconds"), (("help", "0.1"),))

    assert page([again, start], before) == page([again, PLAN, start])


def test_a_new_page_has_the_new_tables_only() -> None:
    """Without `before`, old tables are not kept."""
    assert "Plan" not in page([SEND])
