"""Things that must not be in the program's source: parsers that execute or expand, shells, unverified TLS."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipeline

SOURCES = sorted(Path(pipeline.__file__).parent.rglob("*.py"))
# No XML, no YAML, no objects from bytes, no other programs.
FORBIDDEN_MODULES = {
    "ctypes", "defusedxml", "dill", "joblib", "lxml", "marshal", "pickle", "pty", "runpy", "shelve", "subprocess",
    "xml", "xmlrpc", "yaml",
}  # fmt: skip
FORBIDDEN_CALLS = {"__import__", "breakpoint", "compile", "eval", "exec", "mktemp", "popen", "startfile", "system"}
FORBIDDEN_PREFIXES = ("exec", "spawn", "_create_unverified")
# re.compile does not make code.
ALLOWED_CALLS = {"re.compile"}
UNVERIFIED = {"verify", "check_hostname", "assert_hostname", "cert_reqs", "verify_mode", "trust_env"}


def dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
        case _:
            return ""


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{alias.name}" for alias in names)


def called(tree: ast.AST) -> Iterator[str]:
    yield from (dotted(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call))


def unverified(tree: ast.AST) -> Iterator[str]:
    """Yield each setting of a verification switch to anything but the endpoint's bundle."""
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg=str(name), value=value) if name in UNVERIFIED:
                yield f"{name}={ast.unparse(value)}"
            case ast.Assign(targets=[ast.Attribute(attr=name)], value=value) if name in UNVERIFIED:
                yield f"{name}={ast.unparse(value)}"


def faults(tree: ast.AST) -> Iterator[str]:
    yield from (name for name in imported(tree) if FORBIDDEN_MODULES.intersection(name.split(".")))
    for name in called(tree):
        last = name.rpartition(".")[2]
        is_forbidden = last in FORBIDDEN_CALLS or (last.startswith(FORBIDDEN_PREFIXES) and last not in ALLOWED_METHODS)
        if is_forbidden and name not in ALLOWED_CALLS:
            yield f"{name}()"
    yield from (switch for switch in unverified(tree) if switch != "verify=self._verify")


ALLOWED_MODULES = {
    # The process writes and reads this file alone: it has no name, and ends with the process.
    "ledger/staging/staging.py": ["pickle"],
    # These start the command, with words that are never joined to a line for a shell.
    "engines/cluster.py": ["subprocess"],
    "engines/processes.py": ["subprocess"],
    "engines/ray.py": ["subprocess"],
    "orchestrators/command.py": ["subprocess"],
}
# Methods of SQLite connections that begin like a forbidden call.
ALLOWED_METHODS = {"execute", "executemany", "executescript"}


def test_the_modules_of_the_package_are_found() -> None:
    """The searched modules are those of the package."""
    assert len(SOURCES) > 150


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("import xml.etree.ElementTree", ["xml.etree.ElementTree"], id="XML"),
        pytest.param("from yaml import safe_load", ["yaml.safe_load"], id="YAML"),
        pytest.param("def f():\n    import pickle", ["pickle"], id="within a function"),
        pytest.param("import subprocess as s", ["subprocess"], id="another name"),
        pytest.param("import os\nos.system('x')", ["os.system()"], id="shell"),
        pytest.param("os.execvp('x', [])", ["os.execvp()"], id="exec of the system"),
        pytest.param("eval('1')", ["eval()"], id="eval"),
        pytest.param("compile('1', '', 'eval')", ["compile()"], id="compile"),
        pytest.param("ssl._create_unverified_context()", ["ssl._create_unverified_context()"], id="unverified"),
        pytest.param("requests.get(u, verify=False)", ["verify=False"], id="verify"),
        pytest.param("session.verify = path", ["verify=path"], id="verify set"),
        pytest.param("context.check_hostname = False", ["check_hostname=False"], id="host name"),
        pytest.param("re.compile('x'); c.execute('y'); send(verify=self._verify)", [], id="harmless"),
    ],
)
def test_the_search_finds_each_forbidden_thing(text: str, found: list[str]) -> None:
    """Each forbidden thing is found in a text that has it."""
    assert list(faults(ast.parse(text))) == found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(SOURCES[0].parent).as_posix())
def test_no_module_has_a_forbidden_thing(path: Path) -> None:
    """No module reads XML, YAML or pickles, runs code or programs from data, or turns TLS verification off."""
    found = list(faults(ast.parse(path.read_text(encoding="utf-8"))))

    assert found == ALLOWED_MODULES.get(path.relative_to(SOURCES[0].parent).as_posix(), [])
