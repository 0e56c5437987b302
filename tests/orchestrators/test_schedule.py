"""docs/how-to/schedule.md: the crontab line, the systemd units and the Dockerfile."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.orchestrators.conftest import CHECKOUT, Night

HOW_TO = CHECKOUT / "docs" / "how-to"
PAGE = (HOW_TO / "schedule.md").read_text(encoding="utf-8")
DOCKERFILE = HOW_TO / "container" / "Dockerfile"
HADOLINT = CHECKOUT / ".venv" / "orchestrators" / "bin" / "hadolint"
# What cron sets.
CRON = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "backfill"}


def run(
    *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(words, cwd=cwd, env=env, capture_output=True, encoding="utf-8", check=False, timeout=120)


@pytest.fixture
def home(tmp_path: Path, night: Night) -> Path:
    """Return a home folder with the config in `backfill`, and the program in `backfill/venv`."""
    (tmp_path / "home").mkdir()
    folder = Path(night.config).parent.rename(tmp_path / "home" / "backfill")
    (folder / "venv" / "bin").mkdir(parents=True)
    Path(night.program).rename(folder / "venv" / "bin" / "backfill")
    return folder.parent


def cron_line() -> tuple[str, str]:
    """Return the schedule and the command of the printed line, as cron takes them."""
    (line,) = re.findall(r"```crontab\n(.*)\n```", PAGE)
    *fields, command = line.split(maxsplit=5)
    assert re.search(r"(?<!\\)%", command) is None, "cron ends the command there"
    return " ".join(fields), command.replace(r"\%", "%")


@pytest.mark.slow
def test_the_crontab_line_works_as_printed(home: Path) -> None:
    """With cron's few variables the line runs the job, logs into a file, and mails an exit code other than 0."""
    schedule, command = cron_line()

    done = run("/bin/sh", "-c", command, cwd=home, env={**CRON, "HOME": str(home)})

    assert schedule == "0 2 * * *"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"backfill run orders: exit code 3, see {home}/backfill/orders.log\n"
    assert "completed, exit code 3\n" in (home / "backfill" / "orders.log").read_text(encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root folder with the system's own units, ours, and a program at the place that ours name."""
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for unit in HOW_TO.glob("schedule/backfill-night@.*"):
        shutil.copy(unit, units)
    shutil.copytree("/usr/lib/systemd/system", tmp_path / "usr" / "lib" / "systemd" / "system", symlinks=True)
    program = tmp_path / "opt" / "backfill" / "bin" / "backfill"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    return tmp_path


def verify(root: Path) -> "subprocess.CompletedProcess[str]":
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing: run `make .venv/systemd`"
    names = ("backfill-night@orders.timer", "backfill-night@orders.service")
    return run("systemd-analyze", "verify", "--man=no", f"--root={root}", *names)


def test_systemd_accepts_the_units(root: Path) -> None:
    """systemd-analyze finds nothing in the service and the timer of a job, and `systemctl enable` links the timer."""
    verified = verify(root)
    enabled = run("systemctl", f"--root={root}", "enable", "backfill-night@orders.timer")

    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
    assert enabled.returncode == 0, enabled.stderr
    wanted = root / "etc" / "systemd" / "system" / "timers.target.wants" / "backfill-night@orders.timer"
    assert wanted.is_symlink()


def test_a_fault_in_a_unit_is_found(root: Path) -> None:
    """A setting that systemd does not know is reported."""
    service = root / "etc" / "systemd" / "system" / "backfill-night@.service"
    service.write_text(service.read_text("utf-8").replace("NoNewPrivileges", "NoPrivileges"), "utf-8")

    assert "Unknown key 'NoPrivileges' in section [Service]" in verify(root).stderr


def test_the_service_is_hardened() -> None:
    """systemd's own measure of exposure, from 0 to 10, is at most 2."""
    unit = HOW_TO / "schedule" / "backfill-night@.service"

    done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", unit)

    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_service_command_works(home: Path, night: Night) -> None:
    """`ExecStart=` runs the job from the folder that has the config."""
    unit = (HOW_TO / "schedule" / "backfill-night@.service").read_text(encoding="utf-8")
    (command,) = re.findall(r"^ExecStart=/opt/backfill/bin/backfill (.*)$", unit, re.MULTILINE)

    done = run("venv/bin/backfill", *command.replace("%i", "orders").split(), cwd=home / "backfill")

    assert done.returncode == 3, done.stderr


def hadolint(dockerfile: Path) -> list[str]:
    """Return the codes of what hadolint finds."""
    assert HADOLINT.exists(), f"{HADOLINT} is missing: run `make .venv/orchestrators/ready`"
    return [found["code"] for found in json.loads(run(HADOLINT, "--no-fail", "--format", "json", dockerfile).stdout)]


def test_the_dockerfile_has_no_faults(tmp_path: Path) -> None:
    """hadolint finds nothing in the Dockerfile; it finds a user root and an image without a tag."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(text.replace("USER 10001", "USER root").replace(":3.11-slim\n", "\n"), encoding="utf-8")

    assert hadolint(DOCKERFILE) == []
    assert {"DL3002", "DL3006"} <= set(hadolint(wrong))


def test_the_image_runs_the_command_as_a_user_and_drains() -> None:
    """The last stage ends as a user with a number, passes signals to the command, and has one volume."""
    last = DOCKERFILE.read_text(encoding="utf-8").split("\nFROM ")[-1]
    steps = dict(line.split(maxsplit=1) for line in last.splitlines()[1:] if line and not line.startswith("#"))

    assert {name: steps[name] for name in ("USER", "STOPSIGNAL", "ENTRYPOINT", "VOLUME", "WORKDIR")} == {
        "USER": "10001",
        "STOPSIGNAL": "SIGTERM",
        "ENTRYPOINT": '["/opt/backfill/bin/backfill"]',
        "VOLUME": '["/data"]',
        "WORKDIR": "/data",
    }


def test_the_build_context_has_what_the_image_copies_alone() -> None:
    """.dockerignore leaves out all but the files of `COPY`."""
    lines = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line[1:] for line in lines if line.startswith("!")]
    (copied,) = re.findall(r"^COPY (?!--from)(.*) \./$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)

    assert [line for line in lines if line[:1] not in ("!", "#")] == ["*"]
    assert allowed == ["dist/*.whl", "requirements/runtime.lock"]
    assert copied.split() == ["requirements/runtime.lock", "dist/loyalty_backfill-*.whl"]
