"""The demo, as `make demo` runs it: the real command, the sample exports, and a platform with faults."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

CHECKOUT = Path(__file__).parents[2]
END_OF_RUN = re.compile(r"run [0-9A-Z]{8,26} of job (\w+): completed, exit code (\d)\n((?:  [a-z]+ +[0-9]+\n)+)")


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """Return a folder with `backfill` and `python3` that use this test's interpreter."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, words in (("backfill", " -m pipeline"), ("python3", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n', encoding="utf-8")
        (folder / name).chmod(0o755)
    return folder


def run_demo(folder: Path, commands: Path) -> "subprocess.CompletedProcess[str]":
    """Run a copy of the demo in a folder."""
    shutil.copytree(CHECKOUT / "sample_data", folder / "sample_data", ignore=shutil.ignore_patterns("__pycache__"))
    environ = {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "BACKFILL_CONFIG": "another.toml",
    }
    script = folder / "sample_data" / "demo.sh"
    return subprocess.run([str(script)], env=environ, capture_output=True, encoding="utf-8", timeout=180, check=False)


def files_of(folder: Path) -> set[str]:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {file.as_posix() for file in files if "__pycache__" not in file.parts}


@pytest.mark.slow
def test_the_demo_shows_every_status_and_fixes_rows(tmp_path: Path, commands: Path) -> None:
    """All commands end as expected, the audit passes, and the samples are not changed."""
    demo = run_demo(tmp_path, commands)

    assert (demo.returncode, demo.stderr.count("WARNING")) == (0, 0), demo.stdout + demo.stderr
    ends = [(job, int(code), " ".join(counts.split())) for job, code, counts in END_OF_RUN.findall(demo.stdout)]
    assert ends == [
        ("orders", 3, "rows 290 succeeded 271 skipped 3 invalid 9 rejected 3 unknown 1 blocked 3"),
        ("tasks", 3, "rows 151 succeeded 146 skipped 1 invalid 3 rejected 1"),
        ("states", 3, "rows 125 succeeded 118 skipped 1 invalid 2 rejected 2 unknown 1 blocked 1"),
        ("points", 3, "rows 85 succeeded 58 skipped 21 invalid 4 rejected 1 unknown 1"),
        ("brand", 3, "rows 25 succeeded 18 skipped 6 invalid 1"),
        ("orders", 3, "rows 5 succeeded 4 blocked 1"),
        ("states", 0, "rows 2 succeeded 2"),
        ("points", 0, "rows 1 succeeded 1"),
    ]
    assert "OK: no key was applied twice; the rows reported as succeeded are exactly those applied" in demo.stdout
    assert len(list((tmp_path / ".demo" / "reports").glob("*/report.html"))) == len(ends)
    assert files_of(tmp_path / "sample_data") == files_of(CHECKOUT / "sample_data")


def test_the_demo_fails_after_an_unexpected_exit_code(tmp_path: Path, commands: Path) -> None:
    """An unexpected exit code ends the demo and is named."""
    shutil.copy(commands / "backfill", commands / "real")
    (commands / "backfill").write_text('#!/bin/sh\n[ "$1" = run ] && exit 1\nexec real "$@"\n', encoding="utf-8")

    demo = run_demo(tmp_path, commands)

    assert (demo.returncode, demo.stderr) == (1, "demo: exit code 1, expected 3\n")


def load_audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", CHECKOUT / "sample_data" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(api: str, key: str, decision: str = "applied", content: str = "1") -> dict[str, str]:
    return {"api": api, "key": key, "decision": decision, "body_digest": content}


def report(folder: Path, api: str, *lines: str) -> None:
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(f'{{"api": "{api}"}}', encoding="utf-8")
    (folder / "outcome.csv").write_text("\n".join(["request_key,status", *lines, ""]), encoding="utf-8")


def test_the_audit_finds_an_exceeded_quota_and_a_key_applied_twice() -> None:
    """More points requests in a second than a quota allows and a key applied twice are reported; nothing else is."""
    journal = [
        *(entry("alipay.state", "A|LENT"), entry("alipay.state", "A|LENT"), entry("alipay.state", "A|RETURNED")),
        *(entry("alipay.state", "B|LENT"), entry("alipay.state", "B|LENT", content="2")),
        *(entry("alipay.cumulation", "C"), entry("alipay.cumulation", "C", content="2")),
    ]
    peaks = [("alipay.state", 50), ("wechatpay.points", 6), ("wechatpay.brand_points", 10)]
    summary = {"peaks": [{"api": api, "requests_in_one_second": most} for api, most in peaks]}

    assert list(load_audit().broken_promises(journal, summary)) == [
        "6 requests of wechatpay.points in one second; 5 are allowed",
        "alipay.state A|LENT was applied 2 times",
        "alipay.cumulation C was applied 2 times",
    ]


def test_the_audit_finds_differences_of_reports_and_platform(tmp_path: Path) -> None:
    """A false success and an unreported application are reported; repeats and parts are not."""
    report(tmp_path / "1", "alipay.cumulation", "A,unknown", "B,succeeded", "C,succeeded", "D,rejected")
    report(tmp_path / "2", "alipay.cumulation", "A,succeeded")
    applied = [entry("alipay.cumulation", key) for key in ("A", "C-1", "C-2", "D")]
    journal = [*applied, entry("alipay.cumulation", "A", "repeated"), entry("alipay.cumulation", "B", "refused")]

    assert list(load_audit().contradictions(journal, tmp_path)) == [
        "alipay.cumulation B was reported as succeeded, but never applied",
        "alipay.cumulation D was applied, but never reported as succeeded",
    ]
