"""The files that the inputs of a job mean."""

import datetime
import os
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.read import SourceFile, find_inputs, sha256_of, verify_unchanged

DAY = datetime.date(2026, 3, 31)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "job"
    for name in (
        "exports/2026-03-31/orders-1.csv.gz",
        "exports/2026-03-31/orders-2.csv.gz",
        "exports/2026-03-31/notes.txt",
        "exports/2026-03-30/orders-1.csv.gz",
        "lake/day=2026-03-31/part-0.parquet",
        "lake/day=2026-03-31/part-1.PQ",
        "lake/day=2026-03-31/_SUCCESS",
        "lake/day=2026-03-31/.part-2.parquet.crc",
        "lake/day=2026-03-31/_temporary/part-3.parquet",
        "lake/.hidden/part-4.parquet",
        "lake/readme.txt",
        "lake/more.tsv",
        "lake/b.csv.bz2",
        "lake/a.csv.zst",
        "odd/orders[1].csv",
        "odd/empty.csv.not",
        "none/readme.txt",
        "../elsewhere.csv",
    ):
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a\n1\n")
    (base / "odd/empty.csv").touch()
    (base / "odd/folder.csv").mkdir()
    return base


def names(files: list[SourceFile]) -> list[str]:
    return [file.name for file in files]


PARTS = ["lake/day=2026-03-31/part-0.parquet", "lake/day=2026-03-31/part-1.PQ"]
LAKE = ["lake/a.csv.zst", "lake/b.csv.bz2", *PARTS, "lake/more.tsv"]
TODAY = ["exports/2026-03-31/orders-1.csv.gz", "exports/2026-03-31/orders-2.csv.gz"]


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        pytest.param(["exports/2026-03-31/notes.txt"], ["exports/2026-03-31/notes.txt"], id="a-file"),
        pytest.param(["exports/{date}/orders-*.csv.gz"], TODAY, id="a-glob-with-a-date"),
        pytest.param(["exports/{date}"], TODAY, id="a-folder-with-a-date"),
        pytest.param(["lake"], LAKE, id="a-folder-at-any-depth"),
        pytest.param(["lake/**/*.parquet"], ["lake/day=2026-03-31/part-0.parquet"], id="a-glob-at-any-depth"),
        pytest.param(["lake/*"], [*LAKE, "lake/readme.txt"], id="a-glob-of-files-and-folders"),
        pytest.param(["lake/**/_SUCC*"], ["lake/day=2026-03-31/_SUCCESS"], id="hidden-if-named"),
        pytest.param(["exports/{date}/orders**2*"], TODAY[1:], id="two-stars-within-a-name"),
        pytest.param(["none/../exports/{date}/*-1.*"], ["none/../exports/2026-03-31/orders-1.csv.gz"], id="a-way-back"),
        pytest.param(["lake/.hidden/*"], ["lake/.hidden/part-4.parquet"], id="in-a-hidden-folder-if-named"),
        pytest.param(["odd/orders[1].csv"], ["odd/orders[1].csv"], id="a-name-that-looks-like-a-glob"),
        pytest.param(
            ["lake/more.tsv", "exports/{date}", "lake/*.tsv"], [*TODAY, "lake/more.tsv"], id="several-sorted-none-twice"
        ),
        pytest.param(["../elsewhere.csv"], ["../elsewhere.csv"], id="elsewhere-of-the-base"),
    ],
)
def test_a_pattern_means_these_files(base: Path, patterns: list[str], found: list[str]) -> None:
    """Files, folders and globs are found relative to the base, named relative to it, and sorted."""
    assert names(find_inputs(patterns, base=base, date=DAY)) == found


def test_an_absolute_pattern_below_the_base_is_named_from_it(base: Path) -> None:
    """A file below the base is named relative to it, any other by its full path."""
    elsewhere = base.parent / "elsewhere.csv"
    patterns = [str(elsewhere), str(base / "exports/*/orders-1.csv.gz")]
    assert names(find_inputs(patterns, base=base, date=DAY)) == sorted(
        [str(elsewhere), "exports/2026-03-30/orders-1.csv.gz", "exports/2026-03-31/orders-1.csv.gz"]
    )


@pytest.mark.parametrize(
    ("path", "partitions"),
    [
        pytest.param("day=2026-03-31/hour=07/x.csv", {"day": "2026-03-31", "hour": "07"}, id="two"),
        pytest.param("a%20b=%E5%8D%95/x.csv", {"a b": "单"}, id="escaped"),
        pytest.param("day=__HIVE_DEFAULT_PARTITION__/x.csv", {"day": None}, id="no-value"),
        pytest.param("day=/=x/y=1.csv", {"day": ""}, id="empty-value-no-name-and-a-file-alike"),
    ],
)
def test_hive_folders_give_their_values(tmp_path: Path, path: str, partitions: dict[str, str | None]) -> None:
    """Folders named `column=value` below the base are partitions; the file's own name is not."""
    base = tmp_path / "run=1"
    (base / path).parent.mkdir(parents=True)
    (base / path).write_text("a\n")
    assert [file.partitions for file in find_inputs(["."], base=base, date=DAY)] == [partitions]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        pytest.param(
            "exports/{date}/points-*.csv", "no file matches 'exports/2026-03-31/points-*.csv' in {base}", id="glob"
        ),
        pytest.param("nowhere.csv", "no file matches 'nowhere.csv' in {base}", id="file"),
        pytest.param("", "no file matches '' in {base}", id="nothing"),
        pytest.param("a\0b", "no file matches 'a\\x00b' in {base}", id="no-name-at-all"),
        pytest.param(
            "none",
            "folder none holds no exports; they end in .csv, .tsv, .jsonl, .ndjson (each also .gz, .zst, .bz2), "
            ".parquet, .xlsx, .xls or .ods",
            id="folder-without-exports",
        ),
        pytest.param("odd/empty.csv", "odd/empty.csv is empty and has no header; export it again", id="empty-file"),
        pytest.param("odd", "odd/empty.csv is empty and has no header; export it again", id="empty-file-in-a-folder"),
        pytest.param(
            "a" * 300, "a" * 300 + " can't be read: File name too long; nothing was sent from it", id="too-long"
        ),
        pytest.param("file:///nowhere/at/all.csv", "no export matches file:///nowhere/at/all.csv", id="uri"),
    ],
)
def test_a_pattern_without_a_file_is_reported(base: Path, pattern: str, message: str) -> None:
    """A pattern without a match, an empty file and a folder without exports are errors that name them."""
    with pytest.raises(SourceError) as refused:
        find_inputs(["lake", pattern], base=base, date=DAY)
    assert str(refused.value) == message.replace("{base}", str(base))


def test_a_pipe_is_refused(base: Path) -> None:
    """A pipe is refused, and not waited for."""
    os.mkfifo(base / "pipe.csv")
    with pytest.raises(SourceError) as refused:
        find_inputs(["pipe.csv"], base=base, date=DAY)
    assert str(refused.value) == "pipe.csv is not a regular file; name a file or a folder"


def test_a_link_is_followed_once(base: Path) -> None:
    """A link to a file is followed; a link to a folder is not, so circular links do no harm."""
    folder = base / "linked"
    folder.mkdir()
    for circle in "abc":
        (folder / circle).symlink_to(folder)
    (folder / "orders.csv").symlink_to(base / "exports/2026-03-31/orders-1.csv.gz")
    assert names(
        find_inputs(
            ["linked", "linked/**/*.csv", "linked/orders.csv", "exports/2026-03-31/orders-1.csv.gz"],
            base=base,
            date=DAY,
        )
    ) == ["linked/orders.csv"]


def test_unprintable_characters_of_a_name_are_replaced(base: Path) -> None:
    """Line feeds and control characters of a file's name do not reach a report."""
    (base / "a\n\x1b[1m.csv").write_text("a\n1\n")
    (file,) = find_inputs(["a*.csv"], base=base, date=DAY)
    assert file.name == "a\ufffd\ufffd[1m.csv"
    verify_unchanged(file)
    assert len(sha256_of(file)) == 64


def test_a_name_that_is_not_utf_8_is_refused(base: Path) -> None:
    """A path that is not UTF-8 is refused, because the ledger keeps paths as text."""
    (base / os.fsdecode(b"a\n\xff.csv")).write_text("a\n1\n")
    with pytest.raises(SourceError) as refused:
        find_inputs(["a*.csv"], base=base, date=DAY)
    assert str(refused.value) == "the path a\ufffd\ufffd.csv is not UTF-8; rename the file or folder"


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        pytest.param("lake", LAKE, id="folder"),
        pytest.param("lake/", LAKE, id="folder-with-a-slash"),
        pytest.param("lake/b.csv.bz2", ["lake/b.csv.bz2"], id="file"),
        pytest.param("exports/{date}/orders-*.csv.gz", TODAY, id="glob"),
        pytest.param("lake/**/*.parquet", ["lake/day=2026-03-31/part-0.parquet"], id="glob-at-any-depth"),
        pytest.param("lake/day=*", PARTS, id="glob-of-folders"),
        pytest.param("lake/[ab].csv.*", LAKE[:2], id="glob-of-letters"),
    ],
)
def test_a_uri_means_the_same_as_a_path(base: Path, uri: str, found: list[str]) -> None:
    """Files, folders and globs in a store are found by their URI, and named by it."""
    files = find_inputs([f"file://{base}/{uri}"], base=Path("/"), date=DAY)
    assert names(files) == [f"file://{base}/{name}" for name in found]
    assert {file.partitions.get("day") for file in files if "day=" in file.name} <= {"2026-03-31"}
    for file in files:
        verify_unchanged(file)


def test_a_file_found_by_path_and_by_uri_is_read_once(base: Path) -> None:
    """A file named by path and by URI is found once."""
    patterns = ["lake/b.csv.bz2", f"file://{base}/lake/b.csv.bz2"]
    assert names(find_inputs(patterns, base=base, date=DAY)) == ["lake/b.csv.bz2"]


def test_credentials_of_a_uri_are_not_shown() -> None:
    """Neither the message nor its traceback shows a URI's user, password or query."""
    with pytest.raises(SourceError) as refused:
        find_inputs(["nostore://KEY:S3CRET@bucket/orders-*.csv?token=T0KEN"], base=Path("/"), date=DAY)
    assert str(refused.value) == (
        "nostore://bucket/orders-*.csv can't be opened (ArrowInvalid); check the address and your access to it"
    )
    assert refused.value.__context__ is None
