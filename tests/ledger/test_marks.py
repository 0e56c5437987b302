"""High-water marks: only ever raised, by several processes, and left out where they can't be written."""

from pathlib import Path

import pytest

from pipeline.ledger.store.marks import Mark, Marks, mark_path, read_mark


def test_a_mark_is_read_as_it_was_noted(tmp_path: Path) -> None:
    """A mark says generation, number and the folder of the report, in each of its places."""
    places = [tmp_path / "a-mark", tmp_path / "b-mark"]
    marks = Marks(places)
    marks.report = tmp_path / "reports" / "a\nb\udcff"
    marks.note(Mark("one", 7))

    assert [read_mark(place) for place in places] == [Mark("one", 7, marks.report)] * 2
    assert mark_path(tmp_path / "ledger.db") == tmp_path / "ledger.db-mark"


@pytest.mark.parametrize(
    ("noted", "left"),
    [
        pytest.param(Mark("one", 3), Mark("one", 7), id="earlier"),
        pytest.param(Mark("one", 8), Mark("one", 8), id="later"),
        pytest.param(Mark("another", 1), Mark("another", 1), id="of another generation"),
    ],
)
def test_a_mark_is_only_raised(noted: Mark, left: Mark, tmp_path: Path) -> None:
    """Of two processes the one that came further is remembered; what a shorter mark replaces leaves nothing behind."""
    Marks([tmp_path / "mark"]).note(Mark("one", 7))
    late = Marks([tmp_path / "mark"])
    late.note(noted)
    late.close()

    assert read_mark(tmp_path / "mark") == left


def test_a_mark_that_can_not_be_written_is_left_out(tmp_path: Path) -> None:
    """A folder that is not there, or a folder in its place, keeps the other marks from nothing."""
    (tmp_path / "folder").mkdir()
    marks = Marks([tmp_path / "gone" / "mark", tmp_path / "folder", tmp_path / "mark"])
    marks.note(Mark("one", 7))
    marks.close()

    assert [read_mark(path) for path in (tmp_path / "gone" / "mark", tmp_path / "folder")] == [None, None]
    assert read_mark(tmp_path / "mark") == Mark("one", 7)


@pytest.mark.parametrize("text", [b"", b"one", b"one 7", b"one 7\n", b"\xff 7\n/\n", b"one x\n/\n"])
def test_what_is_no_mark_says_nothing(text: bytes, tmp_path: Path) -> None:
    """A file that was cut off, or holds something else, is no mark; the next one takes its place."""
    (tmp_path / "mark").write_bytes(text)
    before = read_mark(tmp_path / "mark")
    Marks([tmp_path / "mark"]).note(Mark("one", 1))

    assert (before, read_mark(tmp_path / "mark")) == (None, Mark("one", 1))
