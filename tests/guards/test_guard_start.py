"""Modules that a command loads at its start: none that only sending or mapping needs."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.scene import JOBS
from pipeline.simulator import client_config, write_client_keys

CHECKOUT = Path(__file__).parents[2]
PRINT_LOADED = """
import contextlib, sys
from pipeline.cli.main import main
with contextlib.redirect_stdout(sys.stderr), contextlib.suppress(SystemExit):
    main(sys.argv[1:])
loaded = {name.partition(".")[0] for name in sys.modules}
heavy = {
    "argcomplete", "cryptography", "jinja2", "jsonschema_rs", "leather", "orjson", "pandas", "pyarrow", "requests",
    "rich", "structlog", "tenacity", "ulid", "xlsxwriter",
}
print(*sorted(loaded & heavy))
"""


@pytest.mark.parametrize(
    ("words", "loaded"),
    [
        pytest.param(["--help"], set[str](), id="help"),
        pytest.param(["run", "--help"], set[str](), id="help of a command"),
        pytest.param(
            ["runs"], {"cryptography", "jsonschema_rs", "orjson", "structlog"}, id="past runs: config, ledger, logs"
        ),
    ],
)
def test_a_command_loads_only_what_it_needs(words: list[str], loaded: set[str], tmp_path: Path) -> None:
    """Of the slow packages, a command that does not send loads at most those of config and ledger."""
    write_client_keys(tmp_path / "keys")
    config = client_config("http://127.0.0.1:9") + JOBS.format(settings="")
    (tmp_path / "backfill.toml").write_text(config, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", PRINT_LOADED, *words],
        cwd=tmp_path, env={"PYTHONPATH": str(CHECKOUT)}, capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip

    assert set(done.stdout.split()) - loaded == set()
