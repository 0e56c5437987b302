"""
A change of the program's code, whose place is a function, a class or a module's constant.

Code is compared as a syntax tree, so formatting, comments and line breaks do not matter.
"""

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


class PlaceNotFound(LookupError):
    """A change does not find its place, or finds it more than once."""


@dataclass(frozen=True, slots=True)
class Code:
    """
    In `place` the expression or statement `old` becomes `new`.

    `place` is `module:name` or `module:Class.name`.
    """

    place: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Text:
    """In a string of `place`, mostly SQL, `old` becomes `new`. Line breaks and several blanks equal one blank."""

    place: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Body:
    """The function `place` gets the statements `new` as its body."""

    place: str
    new: str


Change = Code | Text | Body


def changed_files(changes: Iterable[Change], root: Path) -> dict[str, str]:
    """Return the changed modules of a tree: path in the tree, new source. Raise PlaceNotFound as `changed` does."""
    sources: dict[str, str] = {}
    for change in changes:
        file = change.place.partition(":")[0].replace(".", "/") + ".py"
        source = sources.get(file) or (root / file).read_text(encoding="utf-8")
        sources[file] = changed(source, change)
    return sources


def changed(source: str, change: Change) -> str:
    """Return a module's source with one change. Raise PlaceNotFound unless the change has exactly one place."""
    module = ast.parse(source)
    place = _definition(module, change.place)
    if isinstance(change, Body):
        if not isinstance(place, ast.FunctionDef):
            raise PlaceNotFound(f"{change.place} is not a function")
        place.body = ast.parse(change.new).body
    else:
        replacer = _Replacer(_replaced_code(change) if isinstance(change, Code) else _replaced_text(change))
        replacer.visit(place)
        if replacer.count != 1:
            raise PlaceNotFound(f"{change.place} contains {replacer.count} times: {change.old}")
    return ast.unparse(ast.fix_missing_locations(module))


def _definition(module: ast.Module, place: str) -> ast.AST:
    """Return the function, class or constant that a place names."""
    found: ast.AST = module
    for name in place.partition(":")[2].split("."):
        definitions = [node for node in getattr(found, "body", []) if _defines(node, name)]
        if len(definitions) != 1:
            raise PlaceNotFound(f"{place}: {len(definitions)} definitions of {name}")
        found = definitions[0]
    return found


def _defines(node: ast.stmt, name: str) -> bool:
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return node.name == name
        case ast.Assign(targets=[ast.Name(id=constant)]) | ast.AnnAssign(target=ast.Name(id=constant)):
            return constant == name
    return False


# Returns the node that replaces this one, or None.
_Replaced = Callable[[ast.AST], ast.AST | None]


class _Replacer(ast.NodeTransformer):
    """Replaces nodes and counts them."""

    def __init__(self, replaced: _Replaced) -> None:
        self._replaced = replaced
        self.count = 0

    def visit(self, node: ast.AST) -> ast.AST:
        new = self._replaced(node)
        if new is None:
            return self.generic_visit(node)
        self.count += 1
        return new


def _replaced_code(change: Code) -> _Replaced:
    old, new = ast.dump(_parsed(change.old)), _parsed(change.new)
    return lambda node: new if ast.dump(node) == old else None


def _parsed(code: str) -> ast.AST:
    """Return the only statement of the code, or the expression that is this statement."""
    (statement,) = ast.parse(code).body
    return statement.value if isinstance(statement, ast.Expr) else statement


def _replaced_text(change: Text) -> _Replaced:
    pattern = re.compile(r"\s+".join(map(re.escape, change.old.split())))

    def replaced(node: ast.AST) -> ast.Constant | None:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            return None
        text, count = pattern.subn(lambda _: change.new, node.value)
        return ast.Constant(text) if count == 1 else None

    return replaced
