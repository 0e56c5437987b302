"""The wheel is held to what its users need: it installs by itself, runs anywhere, and brings its files along."""

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
    """A virtual environment with the wheel in it, and an empty folder to run its commands from."""

    environment: Path
    folder: Path

    def run(self, command: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment; it sees neither the checkout nor the variables of the tests."""
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
    # Python reads no .pth file inside a folder that a .pth file names, so an editable install stays behind.
    (site_packages,) = environment.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")


def files_below(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


def test_the_wheel_holds_the_package_and_the_schemas_and_nothing_else(wheel: Path) -> None:
    """Every file of the package and every schema is in the wheel, and no other file but what describes it."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    package = {f"pipeline/{name}" for name in files_below(CHECKOUT / "pipeline")}
    schemas = {f"pipeline/schemas/{name}" for name in files_below(CHECKOUT / "schemas")}
    assert names == package | schemas


def test_an_installed_package_loads_every_schema(installation: Installation) -> None:
    """Outside the checkout each schema is found in the package, and is what the checkout holds."""
    names = sorted(files_below(CHECKOUT / "schemas"))

    done = installation.run("python", ["-c", LOAD_SCHEMAS, *names])

    assert done.returncode == 0, done.stderr
    held = {name: json.loads((CHECKOUT / "schemas" / name).read_text(encoding="utf-8")) for name in names}
    assert json.loads(done.stdout) == held


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
    """The command starts without the checkout, and leaves the folder it was called from as it was."""
    done = installation.run(command, arguments)

    assert (done.returncode, done.stderr) == (0, "")
    assert list(installation.folder.iterdir()) == []
