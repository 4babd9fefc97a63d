"""The SQL of the code: what stands in upper-case names of its modules and begins like a statement."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import ledger

SOURCES: Final = Path(ledger.__file__).parent

STATEMENT: Final = re.compile(r"\s*(select|insert|update|delete|with)\s", re.IGNORECASE)
NEEDS_NAMES: Final = "set search_path = views"
"""Views are written without a schema, so that a rebuild can redirect them."""


def constants() -> Iterator[tuple[str, str]]:
    """Find each module's upper-case strings."""
    for module_info in pkgutil.walk_packages(ledger.__path__, "ledger."):
        if module_info.name == "ledger.__main__":
            continue
        module = importlib.import_module(module_info.name)
        for name, value in vars(module).items():
            if name.isupper():
                for text in value if isinstance(value, tuple) else (value,):
                    if isinstance(text, str):
                        yield f"{module_info.name}.{name}", text


def statements() -> Iterator[tuple[str, str]]:
    """Find those of them that begin like a statement."""
    return ((name, text) for name, text in constants() if STATEMENT.match(text))


@cache
def texts_in_functions() -> tuple[tuple[str, str], ...]:
    """Find every string inside a function, what is filled in left out, by the file it stands in."""
    return tuple(_texts_in_functions())


def _texts_in_functions() -> Iterator[tuple[str, str]]:
    for path in sorted(SOURCES.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for text in _texts(function):
                    yield str(path.relative_to(SOURCES)), text


def _texts(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr):
            yield "".join(str(part.value) for part in child.values if isinstance(part, ast.Constant))
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value
        else:
            yield from _texts(child)
