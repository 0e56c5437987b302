"""High-water marks are only ever raised, by several processes, and left out where they can't be written."""

from pathlib import Path

import pytest

from pipeline.ledger.store.loss_detection.marks import Mark, Marks, mark_path, read_mark


def test_a_written_mark_is_read_back(tmp_path: Path) -> None:
    """A mark has generation, number and report folder, in each of its places."""
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
    """The mark of the process that came further stays; a shorter mark leaves nothing of the longer one before."""
    Marks([tmp_path / "mark"]).note(Mark("one", 7))
    late = Marks([tmp_path / "mark"])
    late.note(noted)
    late.close()

    assert read_mark(tmp_path / "mark") == left


def test_a_mark_that_can_not_be_written_is_left_out(tmp_path: Path) -> None:
    """A missing folder, or a folder in the place of the mark, does not prevent the other marks."""
    (tmp_path / "folder").mkdir()
    marks = Marks([tmp_path / "gone" / "mark", tmp_path / "folder", tmp_path / "mark"])
    marks.note(Mark("one", 7))
    marks.close()

    assert [read_mark(path) for path in (tmp_path / "gone" / "mark", tmp_path / "folder")] == [None, None]
    assert read_mark(tmp_path / "mark") == Mark("one", 7)


@pytest.mark.parametrize("text", [b"", b"one", b"one 7", b"one 7\n", b"\xff 7\n/\n", b"one x\n/\n"])
def test_other_content_is_no_mark(text: bytes, tmp_path: Path) -> None:
    """A file that was cut off, or has other content, is no mark; the next mark replaces it."""
    (tmp_path / "mark").write_bytes(text)
    before = read_mark(tmp_path / "mark")
    Marks([tmp_path / "mark"]).note(Mark("one", 1))

    assert (before, read_mark(tmp_path / "mark")) == (None, Mark("one", 1))
