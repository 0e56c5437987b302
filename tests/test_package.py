"""Wheel and sdist: built without network, with the same bytes each time. The command runs from any folder."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
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


@dataclass(frozen=True, slots=True)
class Distributions:
    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    return build(CHECKOUT, tmp_path_factory.mktemp("dist"))


def build(project: Path, target: Path) -> Distributions:
    """Build wheel and sdist as `make dist` does."""
    run_python("-m", "hatchling", "build", "-d", str(target), folder=project)
    return Distributions(next(target.glob("*.whl")), next(target.glob("*.tar.gz")))


@pytest.fixture(scope="module")
def wheel(distributions: Distributions) -> Path:
    return distributions.wheel


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    environment = tmp_path_factory.mktemp("installed")
    venv.create(environment, symlinks=True)
    run_python("-m", "pip", "--python", str(environment), "install", "--no-deps", "--no-index", str(wheel))
    borrow_dependencies(environment)
    return Installation(environment, tmp_path_factory.mktemp("empty"))


def run_python(*arguments: str, folder: Path = CHECKOUT) -> None:
    environ = {**os.environ, "SOURCE_DATE_EPOCH": "1763596800"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, encoding="utf-8", check=False
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
    """The wheel has every file of the package and every schema, the alias, and no other files but its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    package = {f"pipeline/{name}" for name in files_below(CHECKOUT / "pipeline") if not name.startswith("alias/")}
    schemas = {f"pipeline/schemas/{name}" for name in files_below(CHECKOUT / "schemas")}
    alias = {f"backfill/{name}" for name in files_below(CHECKOUT / "pipeline" / "alias")}
    assert names == package | schemas | alias


def test_a_build_gives_the_same_bytes_again_also_from_the_sdist(distributions: Distributions, tmp_path: Path) -> None:
    """One commit gives one wheel and one sdist; a build of the unpacked sdist gives the same."""
    with tarfile.open(distributions.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()

    rebuilt = build(unpacked, tmp_path / "dist")

    assert rebuilt.wheel.read_bytes() == distributions.wheel.read_bytes()
    assert rebuilt.sdist.read_bytes() == distributions.sdist.read_bytes()


def test_the_sdist_has_all_that_make_test_needs(distributions: Distributions) -> None:
    """Each tracked file is in it, but for those of git, CI and editors."""
    with tarfile.open(distributions.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout

    tracked = {name for name in listed.splitlines() if not name.startswith(".") and (CHECKOUT / name).exists()}
    assert tracked - names == set()


def test_an_editable_install_has_the_alias_too(tmp_path: Path) -> None:
    """It gets a copy of the alias, and finds the package in the checkout."""
    run_python("-m", "hatchling", "build", "-t", "wheel:editable", "-d", str(tmp_path))
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        copied = archive.read("backfill/__init__.py")

    assert copied == (CHECKOUT / "pipeline" / "alias" / "__init__.py").read_bytes()
    assert [name for name in names if name.startswith("pipeline/") and name.endswith(".py")] == []


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


def test_the_installed_package_starts_and_plans_from_an_empty_folder(
    installation: Installation, tmp_path: Path
) -> None:
    """Version, starter files and a plan come from the wheel alone."""
    version = installation.run("backfill", ["--version"])
    init = installation.run("backfill", ["init", str(tmp_path / "trial")])
    config = ["--config", str(tmp_path / "trial" / "backfill.toml"), "--json"]
    plan = installation.run("backfill", ["plan", "orders", *config])

    assert (version.returncode, version.stdout) == (0, "backfill 0.1.0\n")
    assert (init.returncode, (tmp_path / "trial" / "README.md").is_file()) == (0, True)
    assert json.loads(plan.stdout)["requests"] > 0
    assert list(installation.folder.iterdir()) == []


def test_import_backfill_is_the_library(installation: Installation) -> None:
    """The alias has the library's names, and no others."""
    code = (
        "import backfill, pipeline.library as p; print(all(getattr(backfill, n) is getattr(p, n) for n in p.__all__))"
    )

    done = installation.run("python", ["-c", f"{code}; print(backfill.__all__ == p.__all__)"])

    assert (done.stdout, done.stderr) == ("True\nTrue\n", "")
