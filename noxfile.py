"""
The tests on each supported Python: `make pythons`, or `nox -s tests-3.12 -- tests/map`. CI: `nox -s fast`.

nox reports a version that the machine lacks, and goes on. Simulation, kills, guards and benchmarks measure the program
rather than the language, so they run on one Python only, in `make check`.
"""

from collections.abc import Sequence

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
# Not an error, in CI neither: the summary at the end says which version was skipped.
nox.options.error_on_missing_interpreters = False

ON_EACH_PYTHON = (
    "tests",
    *(f"--ignore=tests/{folder}" for folder in ("simulation", "kills", "guards", "benchmarks")),
    "--ignore=tests/acceptance/test_demo.py",
    "--numprocesses=2",
)


# Reading, mapping, signing, judging and the ledger: about a minute of one core on each Python. `.ci/run` runs them.
FAST = (
    *(f"tests/{folder}" for folder in ("cli", "ledger", "map", "read", "signing", "write")),
    "--ignore-glob=*_laws.py",
    "--ignore=tests/map/by_columns",
    "--numprocesses=2",
)


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Install the locked versions, and run the tests."""
    _run(session, ON_EACH_PYTHON)


@nox.session(python=["3.12", "3.13"])
def fast(session: nox.Session) -> None:
    """Install the locked versions, and run the fast tests."""
    _run(session, FAST)


def _run(session: nox.Session, selection: Sequence[str]) -> None:
    # The lock file is complete. Modules are compiled when they are imported: only some are.
    session.install("--no-compile", "--no-deps", "--require-hashes", "-r", "requirements/dev.lock")
    session.install("--no-deps", "--no-build-isolation", "--editable", ".")
    session.run("python", "-m", "pytest", *(session.posargs or selection))
