"""Guards against what grows unnoticed: modules and functions that nobody can read in one sitting."""

from __future__ import annotations

import ast

from tests.architecture.source import product

_MODULE_LINES = 500
_FUNCTION_LINES = 70


def test_modules_are_short() -> None:
    assert {source.name: source.lines for source in product() if source.lines > _MODULE_LINES} == {}


def test_functions_are_short() -> None:
    long = {
        f"{source.name}:{node.name}": length
        for source in product()
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        if (length := (node.end_lineno or 0) - node.lineno + 1) > _FUNCTION_LINES
    }
    assert long == {}


def test_nothing_swallows_every_error_in_silence() -> None:
    """`except Exception: pass` hides faults; a handler that catches all must do something with what it caught."""
    silent = [
        f"{source.name}:{node.lineno}"
        for source in product()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler)
        and _catches_all(node)
        and all(isinstance(s, ast.Pass) for s in node.body)
    ]
    assert silent == []


def _catches_all(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    )
