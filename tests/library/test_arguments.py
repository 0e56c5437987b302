"""Arguments are checked before config and ledger are opened."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import SettingsError
from pipeline.library import outcome, plan, rerun, resume, run, runs
from pipeline.library.arguments import check, checked_inputs, run_options
from pipeline.model import RowLimit

NO_CONFIG = "no such folder/backfill.toml"


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        pytest.param("job", None, "job must be str, not NoneType", id="job"),
        pytest.param("config", 5, "config must be str | PathLike, not int", id="config"),
        pytest.param("date", "2025-11-20", "date must be date, not str", id="a date as text"),
        pytest.param("date", datetime(2025, 11, 20, tzinfo=UTC), "date must be date, not datetime", id="a moment"),
        pytest.param("until", "06:30", "until must be datetime, not str", id="until"),
        pytest.param("limit", 2.5, "limit must be int, not float", id="limit"),
        pytest.param("limit", True, "limit must be int, not bool", id="a bool is no number"),
        pytest.param("max_failures", 0.05, "max_failures must be int | str, not float", id="max_failures"),
        pytest.param("max_invalid", [1], "max_invalid must be int | str, not list", id="max_invalid"),
        pytest.param("processes", "1", "processes must be int, not str", id="processes"),
        pytest.param("report", 1, "report must be str | PathLike, not int", id="report"),
        pytest.param("format", None, "format must be str, not NoneType", id="format"),
        pytest.param("resync", 1, "resync must be bool, not int", id="resync"),
        pytest.param("progress", 1, "progress must be Callable, not int", id="progress"),
        pytest.param("environ", ["A=1"], "environ must be Mapping, not list", id="environ"),
        pytest.param("inputs", 5, "inputs must be str, Path, list[str | Path], pandas.DataFrame or pyarrow.Table, not "
                     "int", id="inputs"),
        pytest.param("inputs", ["a.csv", 5], "inputs must be list[str | Path], not list[int]", id="a number in inputs"),
        pytest.param("inputs", [b"a.csv"], "inputs must be list[str | Path], not list[bytes]", id="bytes in inputs"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_a_type_error(argument: str, value: object, message: str) -> None:
    """It names argument, expected type and given type; the config was not opened."""
    arguments: dict[str, Any] = {"config": NO_CONFIG, "job": "orders", argument: value}

    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        run(**arguments)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        pytest.param("until", datetime(2025, 11, 20), "until has no time zone; give it one, such as "  # noqa: DTZ001
                     "ZoneInfo('Asia/Shanghai')", id="until"),
        pytest.param("limit", -1, "limit=-1 is not a whole number of 0 or more", id="limit"),
        pytest.param("max_failures", "5 %", "max_failures='5 %' is neither a number such as 100 nor a share such as 5%",
                     id="max_failures"),
        pytest.param("max_invalid", "101%", "max_invalid='101%' is more than all rows; name a share of 100% at most",
                     id="max_invalid"),
        pytest.param("processes", 0, "processes=0 is not a whole number from 1 to 64", id="processes"),
        pytest.param("format", "xlsx", "format='xlsx' is none of csv, parquet, jsonl", id="format"),
        pytest.param("inputs", [], "inputs is empty; leave it out to read the job's own inputs", id="no inputs"),
        pytest.param("inputs", "", "inputs has an empty path", id="an empty path"),
        pytest.param("inputs", pd.DataFrame(), "inputs has no columns", id="an empty frame"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_a_value_error(argument: str, value: object, message: str) -> None:
    """It names the argument and the value; the config was not opened."""
    arguments: dict[str, Any] = {"config": NO_CONFIG, "job": "orders", argument: value}

    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run(**arguments)


def test_each_function_checks_its_own_arguments() -> None:
    """Each function refuses a wrong argument before it opens the config."""
    for function, wrong in (
        (plan, {"job": "orders", "show_ids": "yes"}),
        (resume, {"run": 1}),
        (rerun, {"only": "unknown"}),
        (rerun, {"code": [1]}),
        (rerun, {"new_keys": None}),
        (runs, {"limit": "all"}),
        (outcome, {"as_arrow": 1}),
    ):
        with pytest.raises(TypeError, match=f"{list(wrong)[-1]} must be"):
            function(NO_CONFIG, **wrong)


@pytest.mark.parametrize("only", [[], ["succeeded"], ("unknown", "sent")])
def test_only_has_statuses_that_a_rerun_can_send(only: list[str]) -> None:
    """Other words, and no word at all, are refused."""
    with pytest.raises(ValueError, match="is none of rejected, unknown, blocked, unsent"):
        rerun(NO_CONFIG, only=only)


def test_what_the_config_says_is_a_settings_error(config: Path, orders: Path) -> None:
    """A job or a number of processes that config and ledger do not allow raises the command's error."""
    with pytest.raises(SettingsError, match="no job has the name order"):
        run(config, "order", orders, environ={})
    with pytest.raises(SettingsError, match="processes=2: with a SQLite ledger only one process sends"):
        run(config, "orders", orders, processes=2, environ={})
    assert not (config.parent / "state").exists()


def test_whole_numbers_of_numpy_count_as_int() -> None:
    """A count taken from a frame is accepted, and becomes a plain int."""
    check(limit=np.int64(3), max_failures=np.int32(2))

    limit: Any = np.int64(3)
    options = run_options(until=None, limit=limit, max_failures=5, max_invalid="5%")

    assert (type(options.limit), options.limit) == (int, 3)
    assert (options.max_failures, options.max_invalid) == (RowLimit(5), RowLimit(5, in_percent=True))


def test_paths_are_given_as_text_or_path(tmp_path: Path) -> None:
    """One path, or a list of them; no inputs are the job's own."""
    assert checked_inputs(None) == ((), None)
    assert checked_inputs("a/*.csv") == (["a/*.csv"], None)
    assert checked_inputs(tmp_path) == ([str(tmp_path)], None)
    assert checked_inputs((tmp_path, "b.csv")) == ([str(tmp_path), "b.csv"], None)
    assert date(2025, 11, 20) == run_options(date=date(2025, 11, 20), until=None, limit=None, max_invalid=None).day
