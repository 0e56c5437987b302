"""The glossary has each class that several modules share, and no class that is gone."""

import ast
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
MODULES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in (CHECKOUT / "pipeline").rglob("*.py")}


def listed() -> set[str]:
    """Return the class names in the first column of the glossary's tables."""
    lines = (CHECKOUT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    return {name for line in lines if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])}


def classes() -> set[str]:
    """Return the names of the public classes of the package."""
    nodes = (node for module in MODULES.values() for node in module.body)
    return {node.name for node in nodes if isinstance(node, ast.ClassDef) and not node.name.startswith("_")}


def importers() -> Mapping[str, set[Path]]:
    """Return the modules that import a name from the package; an `__init__` only hands it on."""
    found: dict[str, set[Path]] = defaultdict(set)
    for path, module in MODULES.items():
        for node in ast.walk(module):
            if (
                isinstance(node, ast.ImportFrom)
                and str(node.module).startswith("pipeline.")
                and path.stem != "__init__"
            ):
                for alias in node.names:
                    found[alias.name].add(path)
    return found


def test_each_shared_class_is_in_the_glossary() -> None:
    """A public class that two or more modules import has its line."""
    shared = {name for name, modules in importers().items() if name in classes() and len(modules) > 1}

    assert sorted(shared - listed()) == []


def test_each_class_of_the_glossary_exists() -> None:
    """A class that was renamed or removed is gone from the glossary too."""
    aliases = {
        target.id
        for module in MODULES.values()
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    assert sorted(listed() - classes() - aliases) == []


def test_a_class_name_means_one_thing() -> None:
    """No two modules define a class or type of one name. The simulator is apart: it shares no code with the rest."""
    defined: dict[tuple[str, bool], set[Path]] = defaultdict(set)
    for path, module in MODULES.items():
        for node in module.body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = (
                [node.name] if isinstance(node, ast.ClassDef) else [t.id for t in targets if isinstance(t, ast.Name)]
            )
            for name in names:
                if re.fullmatch(r"[A-Z]\w*[a-z]\w*", name):
                    defined[name, "simulator" in path.parts].add(path.relative_to(CHECKOUT))

    assert {name: sorted(map(str, paths)) for (name, _), paths in defined.items() if len(paths) > 1} == {}
