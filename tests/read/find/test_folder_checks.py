"""Dates in names, ready files, lake tables, and files that are not read."""

import datetime
from pathlib import Path

import pytest

from pipeline.errors import SourceError
from pipeline.read import find
from pipeline.read.find.inputs import FoundInputs

DAY = datetime.date(2025, 11, 20)


def found(base: Path, *patterns: str, ready: str | None = None) -> FoundInputs:
    return find(patterns, base=base, date=DAY, ready=ready)


def make(base: Path, *names: str) -> None:
    for name in names:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a\n1\n")


DATED = [
    pytest.param("p-{date}.csv", "p-2025-11-20.csv", None, id="iso"),
    pytest.param("p-{date:%Y%m%d}.csv", "p-20251120.csv", None, id="form"),
    pytest.param("{date:%Y}/{date:%m}/p-{date:%d}.csv", "2025/11/p-20.csv", None, id="several"),
    pytest.param("t/dt={date}", "t/dt=2025-11-20/part-0.parquet", "2025-11-20", id="partition"),
    pytest.param("t/dt={date:%Y%m%d}/**/*.csv", "t/dt=20251120/shop=1/a.csv", "20251120", id="partition-in-a-form"),
]
OF_PATHS = [
    pytest.param("{date:%Y年%m月}/p-*.csv", "2025年11月/p-1.csv", None, id="chinese"),
    pytest.param("p-{day}.csv", "p-{day}.csv", None, id="other-braces"),
]


@pytest.mark.parametrize(("pattern", "name", "partition"), DATED + OF_PATHS)
def test_a_name_may_hold_the_date_in_any_form(tmp_path: Path, pattern: str, name: str, partition: str | None) -> None:
    """Every `{date}` becomes the day as ISO 8601, or in the form after its colon."""
    make(tmp_path, name, "p-2025-11-21.csv", "t/dt=2025-11-21/part-0.parquet")
    assert [(file.name, file.partitions.get("dt")) for file in found(tmp_path, pattern).files] == [(name, partition)]


@pytest.mark.parametrize(("pattern", "name", "partition"), DATED)
def test_a_uri_may_hold_the_date(tmp_path: Path, pattern: str, name: str, partition: str | None) -> None:
    """`{date}` is replaced in a URI as in a path."""
    make(tmp_path, name, "p-2025-11-21.csv", "t/dt=2025-11-21/part-0.parquet")
    files = found(tmp_path, f"file://{tmp_path}/{pattern}").files
    assert [(file.path, file.partitions.get("dt")) for file in files] == [(str(tmp_path / name), partition)]


@pytest.mark.parametrize("form", ["yyyyMMdd", ""])
def test_a_form_without_a_directive_is_refused(tmp_path: Path, form: str) -> None:
    """A date form without `%` is refused, because it would match no file."""
    with pytest.raises(SourceError) as refused:
        found(tmp_path, f"p-{{date:{form}}}.csv")
    assert str(refused.value) == (f"{{date:{form}}} in an input has no date form; write for example {{date:%Y%m%d}}")


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        pytest.param("e/2025-11-20/p.csv", "e/2025-11-20/_SUCCESS", id="beside-a-file"),
        pytest.param("e/{date}/*.csv", "e/2025-11-20/_SUCCESS", id="beside-a-glob"),
        pytest.param("e/{date}", "e/2025-11-20/_SUCCESS", id="in-a-folder"),
        pytest.param("e", "e/_SUCCESS", id="above-partitions"),
        pytest.param("e", "e/2025-11-20/_SUCCESS", id="in-a-partition"),
        pytest.param("e/*/p.csv", "e/2025-11-20/_SUCCESS", id="beside-what-a-glob-matches"),
        pytest.param("e/**/*.csv", "e/_SUCCESS", id="above-a-glob"),
    ],
)
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_an_export_is_read_when_it_is_ready(tmp_path: Path, pattern: str, place: str, scheme: str) -> None:
    """The ready file may be in an input's folder or one above, up to the pattern's root; without it exit 2."""
    make(tmp_path, "e/2025-11-20/p.csv", "_SUCCESS", "e/2025-11-21/_SUCCESS")
    full = f"file://{tmp_path}/{pattern}" if scheme else pattern
    with pytest.raises(SourceError) as refused:
        found(tmp_path, full, ready="_SUCCESS")
    assert str(refused.value).endswith(
        "e/2025-11-20/p.csv is not ready: there is no file _SUCCESS beside it, so the export may be incomplete; "
        "run again once it is there"
    )
    make(tmp_path, place)
    assert len(found(tmp_path, full, ready="_SUCCESS").files) == 1


def test_every_input_has_to_be_ready(tmp_path: Path) -> None:
    """Each input needs a ready file in its own folders; the file's name may hold the date."""
    make(tmp_path, "a/p.csv", "a/2025-11-20.done", "b/p.csv")
    with pytest.raises(SourceError, match=r"^b/p\.csv is not ready"):
        found(tmp_path, "*/p.csv", ready="{date}.done")
    make(tmp_path, "b/2025-11-20.done")
    assert len(found(tmp_path, "*/p.csv", ready="{date}.done").files) == 2
    assert found(tmp_path, "a", ready="{date}.done").ignored == []


LAKES = [
    pytest.param("t/_delta_log/00000000000000000000.json", "Delta", id="delta"),
    pytest.param("t/.hoodie/hoodie.properties", "Hudi", id="hudi"),
    pytest.param("t/metadata/v1.metadata.json", "Iceberg", id="iceberg"),
    pytest.param("t/metadata/00001-a3f.gz.metadata.json", "Iceberg", id="packed-iceberg"),
]


@pytest.mark.parametrize(("mark", "kind"), LAKES)
@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize(
    "pattern",
    [
        "t",
        "t/data/dt=1/part-0.parquet",
        "t/data/**/*.parquet",
        "t/data",
        "**/*.parquet",
        ".",
        "t/none-*.csv",
        "t/data/dt=1",
    ],
)
def test_a_lake_table_is_refused_by_its_kind(tmp_path: Path, mark: str, kind: str, pattern: str, scheme: str) -> None:
    """A Delta, Hudi or Iceberg table is refused, however a pattern reaches it."""
    make(tmp_path, mark, "t/data/dt=1/part-0.parquet")
    with pytest.raises(SourceError) as refused:
        found(tmp_path, f"file://{tmp_path}/{pattern.removeprefix('.')}" if scheme else pattern)
    assert str(refused.value) == (
        f"{tmp_path}/t is a table of {kind}, and its log decides which files count; export its rows as Parquet "
        "or CSV, and name those files"
    )


def test_a_folder_that_resembles_a_lake_is_read(tmp_path: Path) -> None:
    """A folder named metadata, and a lake table beside the input, do no harm."""
    make(tmp_path, "e/metadata/notes.json", "e/p.csv", "t/_delta_log/0.json", "t/part-0.parquet")
    assert [file.name for file in found(tmp_path, "e").files] == ["e/p.csv"]
    with pytest.raises(SourceError, match="Delta"):
        found(tmp_path, "e", "t")


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_ignored_files_that_look_meant_are_named(tmp_path: Path, scheme: str) -> None:
    """Files with other endings and hidden exports in a folder are named; files of engines are not."""
    make(
        tmp_path,
        *("e/a.csv", "e/b.xlsx", "e/c.jsonl.gz", "e/d.TSV", "e/e.ods", "e/f.xls", "e/g.ndjson"),
        *("e/readme.md", "e/x/orders.csv.tmp", "e/.csv.swp", "e/_SUCCESS", "e/.part-0.parquet.crc"),
        *("e/_old.csv", "e/_temporary/0/part-0.parquet", "e/~$b.xlsx", "e/orders.json"),
    )  # fmt: skip
    base = f"file://{tmp_path}/" if scheme else ""
    got = found(tmp_path, f"{base}e")
    assert [file.name.removeprefix(base) for file in got.files] == [
        "e/a.csv", "e/b.xlsx", "e/c.jsonl.gz", "e/d.TSV", "e/e.ods", "e/f.xls", "e/g.ndjson",
    ]  # fmt: skip
    assert [name.removeprefix(base) for name in got.ignored] == [
        "e/_old.csv", "e/_temporary/0/part-0.parquet", "e/orders.json", "e/readme.md", "e/x/orders.csv.tmp",
        "e/~$b.xlsx",
    ]  # fmt: skip
    assert found(tmp_path, f"{base}e/*.csv").ignored == []
