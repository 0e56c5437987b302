"""The text of a cell, without the marks around it, and null values."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.map.by_columns.cell_columns import CellColumns
from pipeline.map.faults import Unreadable
from pipeline.map.values.cells import cell_text, refuse_confusable
from pipeline.model import NULL_WORDS
from pipeline.tables.text_columns import column_of, listed

NULLS = frozenset(NULL_WORDS)
INVISIBLE = "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\ufeff"
WHITE_SPACE = "".join(letter for letter in map(chr, range(0x110000)) if letter.isspace())


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        pytest.param("00012345", "00012345", id="plain"),
        pytest.param("'00012345", "00012345", id="apostrophe"),
        pytest.param("`00012345", "00012345", id="backtick"),
        pytest.param('="00012345"', "00012345", id="formula"),
        pytest.param(" '00012345\t", "00012345", id="mark-within-white-space"),
        pytest.param("\ufeff'\u200b00012345 ", "00012345", id="invisible-outside-and-inside-the-mark"),
        pytest.param("''1", "'1", id="one-mark-is-taken-off"),
        pytest.param("a'b`c", "a'b`c", id="marks-elsewhere"),
        pytest.param('="1', '="1', id="half-a-formula"),
        pytest.param("=1", "=1", id="formula-without-quotes"),
        pytest.param("'", "", id="mark-alone"),
        pytest.param('=""', "", id="empty-formula"),
        pytest.param("\u200b \ufeff", "", id="nothing-but-invisible"),
        pytest.param("NULL", "", id="word-for-no-value"),
        pytest.param("\u200b\\N ", "", id="word-among-invisible"),
        pytest.param("'NULL", "", id="word-behind-a-mark"),
        pytest.param("NULL1", "NULL1", id="word-within-a-value"),
        pytest.param("Null", "Null", id="word-in-another-case"),
    ],
)
def test_marks_around_a_bare_value_are_removed(cell: str, text: str) -> None:
    """Text prefixes, white space and invisible characters around an id, number or time are removed."""
    assert cell_text(cell, NULLS, is_bare=True) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        pytest.param(" 签到\u3000", "签到", id="white-space"),
        pytest.param("'twas", "'twas", id="apostrophe"),
        pytest.param("\u200b签到", "\u200b签到", id="invisible"),
        pytest.param(" NULL ", "", id="word-for-no-value"),
    ],
)
def test_a_name_keeps_its_marks(cell: str, text: str) -> None:
    """Only white space is removed around a name; a null value is no value."""
    assert cell_text(cell, NULLS, is_bare=False) == text


@pytest.mark.parametrize("word", NULL_WORDS)
@pytest.mark.parametrize("is_bare", [True, False])
def test_null_values_are_no_value(word: str, is_bare: bool) -> None:
    """The null values of databases, Python and spreadsheets are no value in any field, alone in a cell."""
    assert (cell_text(word, NULLS, is_bare=is_bare), cell_text(f"{word}.", NULLS, is_bare=is_bare)) == ("", f"{word}.")


def test_a_job_may_list_its_own_null_values() -> None:
    """The job's list replaces the default null values."""
    own = frozenset({"-", "无"})

    assert [cell_text(cell, own, is_bare=True) for cell in ("-", "无", "NULL", "'-")] == ["", "", "NULL", ""]


@pytest.mark.parametrize("letter", [*WHITE_SPACE, *INVISIBLE])
def test_invisible_characters_at_the_ends_are_stripped(letter: str) -> None:
    """White space, zero-width characters and direction marks are stripped from both ends."""
    assert cell_text(f"{letter}A{letter}", NULLS, is_bare=True) == "A"


@pytest.mark.parametrize("letter", INVISIBLE)
def test_an_invisible_character_inside_is_named(letter: str) -> None:
    """An invisible character inside an id is refused, and its code point named."""
    with pytest.raises(Unreadable, match=f"U\\+{ord(letter):04X}, an invisible character"):
        refuse_confusable(f"Z{letter}S2")


@pytest.mark.parametrize("letter", "０９ＡＺａｚ")
def test_a_full_width_digit_or_letter_is_named(letter: str) -> None:
    """A full-width digit or letter in an id is refused, and its code point named."""
    with pytest.raises(Unreadable, match=f"U\\+{ord(letter):04X}, a full-width character"):
        refuse_confusable(f"A{letter}")


def test_format_characters_count_as_invisible() -> None:
    """All of Unicode's format characters up to U+FFFF are refused, except signs of numbers and words."""
    passed = []
    for code in range(0x10000):
        if unicodedata.category(chr(code)) == "Cf":
            try:
                refuse_confusable(f"A{chr(code)}B")
                passed.append(code)
            except Unreadable:
                pass

    assert [unicodedata.name(chr(code)).split()[0] for code in passed] == [
        *["ARABIC"] * 7,
        "SYRIAC",
        *["ARABIC"] * 3,
    ]


CELLS = st.text(st.sampled_from(" '`=\"\tN\\UL1\u200b\ufeff\u3000\u00a0"), max_size=8) | st.sampled_from(NULL_WORDS)


@settings(deadline=None)
@given(cells=st.lists(st.none() | CELLS, min_size=1, max_size=6), is_bare=st.booleans())
def test_a_column_is_read_like_its_cells(cells: list[str | None], is_bare: bool) -> None:
    """A column gives the text of each cell, except texts that only the row mapper reads: these are never plain."""
    said = listed(CellColumns(NULLS, is_bare=is_bare).texts(column_of(cells)))

    for cell, text in zip(cells, said, strict=True):
        is_odd = text is not None and text != cell_text(text, frozenset(), is_bare=False).strip(INVISIBLE)
        assert is_odd or (text or "") == cell_text(cell or "", NULLS, is_bare=is_bare)


def test_a_job_may_have_no_null_values() -> None:
    """If a job lists no null values, every text is a value."""
    assert listed(CellColumns(frozenset(), is_bare=True).texts(column_of(["NULL", " NULL", None]))) == [
        "NULL",
        "NULL",
        None,
    ]
