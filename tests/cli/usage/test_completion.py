"""Completion in real shells."""

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from pipeline.cli.usage.completion import jobs, runs

RUN = "01KX0000000000000000000000"
CONFIG = '[jobs.orders]\nexport = "orders"\n[jobs.points]\nexport = "points"\n'
# Words that may follow a command line.
WORDS = {
    "backfill res": {"resume"},
    "backfill run ord": {"orders"},
    "backfill show 01": {RUN},
    "backfill run orders --max-": {"--max-failures", "--max-invalid"},
    "backfill run orders --format ": {"csv", "parquet", "jsonl"},
    "backfill run orders --config back": {"backfill.toml"},
}
# Each prints what the shell offers at the end of each line in its arguments, and `.` after each.
SHELLS = {
    "bash": """
        eval "$(backfill completion bash)"
        for line; do
            COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9
            _python_argcomplete backfill
            printf '%s\\n' "${COMPREPLY[@]}" .
        done
    """,
    # Outside of an interactive line `_describe` can't show anything, so it prints.
    "zsh": """
        autoload -U compinit && compinit -u -D
        eval "$(backfill completion zsh)"
        [[ $_comps[backfill] == _python_argcomplete ]] || exit 1
        _describe() { print -l -- ${completions%%:*} . }
        words=(backfill)
        for line; do
            BUFFER=$line CURSOR=${#line}
            _python_argcomplete
        done
    """,
    "fish": """
        backfill completion fish | source
        for line in $argv[2..]
            complete -C "$line"
            echo .
        end
    """,
}
OPTIONS = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}


def offered(shell: str, folder: Path) -> list[set[str]]:
    """Return what a shell offers for each line."""
    done = subprocess.run(
        [shell, *OPTIONS[shell], "-c", SHELLS[shell], "shell", *WORDS],
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    # fish writes a description behind each word.
    words = [line.partition("\t")[0].strip() for line in done.stdout.splitlines()]
    ends = [at for at, word in enumerate(words) if word == "."]
    return [set(words[begin:end]) for begin, end in zip([0, *(end + 1 for end in ends)], ends, strict=False)]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes(shell: str, tmp_path: Path) -> None:
    """
    With the script of `backfill completion`, bash, zsh and fish complete command lines.

    They offer commands, jobs of the config, runs with a report, options, values of an option, and files.
    """
    (tmp_path / "backfill.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "reports" / RUN).mkdir(parents=True)

    assert offered(shell, tmp_path) == list(WORDS.values())


def test_without_a_config_nothing_is_guessed(tmp_path: Path) -> None:
    """Without a readable config there are no jobs, and `last` is the only run."""
    (tmp_path / "broken.toml").write_text("[jobs", encoding="utf-8")
    missing, broken = Namespace(config=tmp_path / "none.toml"), Namespace(config=tmp_path / "broken.toml")

    assert (jobs(parsed_args=missing), runs(parsed_args=missing)) == ([], ["last"])
    assert (jobs(parsed_args=broken), runs(parsed_args=broken)) == ([], ["last"])
