"""
The tests on each supported Python: `make pythons`, or `nox -s tests-3.12 -- tests/map`.

nox reports a version that the machine lacks, and goes on. Simulation, kills, guards and benchmarks measure the program
rather than the language, so they run on one Python only, in `make check`.
"""

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


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Install the locked versions, and run the tests."""
    session.install("--require-hashes", "-r", "requirements/dev.lock")
    session.install("--no-deps", "--no-build-isolation", "--editable", ".")
    session.run("python", "-m", "pytest", *(session.posargs or ON_EACH_PYTHON))
