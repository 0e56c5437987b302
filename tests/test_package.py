"""The wheel: it installs alone, runs from any folder, and contains its data files."""

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]

LOAD_SCHEMAS = """
import json, sys
from pipeline.resources import schema
print(json.dumps({name: schema(name) for name in sys.argv[1:]}))
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """A virtual environment with the wheel, and an empty folder to run its commands in."""

    environment: Path
    folder: Path

    def run(self, command: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, without the checkout and the variables of the tests."""
        program = self.environment / "bin" / command
        return subprocess.run(
            [program, *arguments], cwd=self.folder, env={}, capture_output=True, encoding="utf-8", check=False
        )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("dist")
    run_python("-m", "hatchling", "build", "-t", "wheel", "-d", str(target))
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    environment = tmp_path_factory.mktemp("installed")
    venv.create(environment, symlinks=True)
    run_python("-m", "pip", "--python", str(environment), "install", "--no-deps", "--no-index", str(wheel))
    borrow_dependencies(environment)
    return Installation(environment, tmp_path_factory.mktemp("empty"))


def run_python(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=CHECKOUT, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def borrow_dependencies(environment: Path) -> None:
    # Python ignores .pth files in a folder that a .pth file names, so an editable install is not borrowed.
    (site_packages,) = environment.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")


def files_below(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


def test_the_wheel_holds_the_package_and_the_schemas_and_nothing_else(wheel: Path) -> None:
    """The wheel has every file of the package and every schema, and no other files but its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    package = {f"pipeline/{name}" for name in files_below(CHECKOUT / "pipeline")}
    schemas = {f"pipeline/schemas/{name}" for name in files_below(CHECKOUT / "schemas")}
    assert names == package | schemas


def test_an_installed_package_loads_every_schema(installation: Installation) -> None:
    """Outside the checkout, each schema is found in the package and equals that of the checkout."""
    names = sorted(files_below(CHECKOUT / "schemas"))

    done = installation.run("python", ["-c", LOAD_SCHEMAS, *names])

    assert done.returncode == 0, done.stderr
    expected = {name: json.loads((CHECKOUT / "schemas" / name).read_text(encoding="utf-8")) for name in names}
    assert json.loads(done.stdout) == expected


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        pytest.param("backfill", ["--help"], id="the command"),
        pytest.param("python", ["-m", "pipeline.cli.main", "--help"], id="the module"),
    ],
)
def test_the_installed_command_runs_from_an_empty_folder(
    installation: Installation, command: str, arguments: list[str]
) -> None:
    """The command starts without the checkout, and writes nothing into the current folder."""
    done = installation.run(command, arguments)

    assert (done.returncode, done.stderr) == (0, "")
    assert list(installation.folder.iterdir()) == []
