"""Names and constructs of the app: one word, one meaning, and no hidden machinery."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from app.pipeline.issues import ErrorCode, WarningCode
from tests.conftest import ROOT

APP = sorted((ROOT / "app").rglob("*.py"))
CODES = {*ErrorCode, *WarningCode}
# Each built-in event has its own; each module its own logger.
OF_EACH_MODULE = {"EVENT_TYPE", "SAMPLE", "log", "main"}


def definitions(path: Path) -> Iterator[str]:
    """Public names that a module defines; commands and type variables excepted."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names: list[ast.expr] = []
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names = [ast.Name(node.name)]
            case ast.Assign():
                names = node.targets
            case ast.AnnAssign():
                names = [node.target]
            case _:
                pass
        for name in names:
            if not isinstance(name, ast.Name) or name.id.startswith("_"):
                continue
            is_command = "cli" in path.parts and name.id.islower()
            is_type_variable = len(name.id) == 1
            if not is_command and not is_type_variable:
                yield name.id


def constructs(path: Path) -> Iterator[str]:
    """Constructs that change an object's class, search or outwit the formatter."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(attr="__class__", ctx=ast.Store()):
                yield "__class__ ="
            case ast.Attribute(attr="__subclasses__"):
                yield "__subclasses__"
            case ast.Starred(value=ast.Tuple(elts=elements)) if all(
                isinstance(element, ast.Constant) for element in elements
            ):
                yield "a tuple of constants with a star"
            case ast.Call(
                func=ast.Name(id="Issue"), args=[ast.Constant(str(value)), *_]
            ) if value in CODES:
                yield f"the code {value} as a text"
            case ast.Call(func=ast.Name(id="globals")):
                yield "globals()"
            case ast.ImportFrom(module=str(module)) if (
                module.startswith("uvicorn.protocols") and "http" not in path.parts
            ):
                yield module


def test_public_name_of_the_app_has_one_definition() -> None:
    places = defaultdict(list)
    for path in APP:
        for name in definitions(path):
            places[name].append(str(path.relative_to(ROOT)))
    twice = {
        name: paths
        for name, paths in places.items()
        if len(paths) > 1 and name not in OF_EACH_MODULE
    }
    assert not twice


def test_app_has_no_construct_that_hides_what_it_does() -> None:
    found = {str(path): list(constructs(path)) for path in APP}
    assert not {path: names for path, names in found.items() if names}
