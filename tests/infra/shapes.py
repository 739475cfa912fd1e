"""Holds what a Bicep file says of its resources against the shapes of these resources.

A shape is one of

    "any" | "str" | "int" | "bool"        {"enum": [...]}
    {"list": shape} | {"map": shape}      {"ref": name of a shape}
    {"one": [shape, ...]}                 {"has": {name: shape}, "needs": [name, ...]}

Only literals are judged: an expression is trusted, but both branches of a condition are looked into.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tree_sitter import Node

from tests.infra.bicep import EXPRESSION, Declared, Document, Problem, body, cases, literal, properties

HERE = Path(__file__).parent
Shape = Any
_LITERALS: Mapping[str, type] = {"str": str, "int": int, "bool": bool}
_OF_BICEP = {"parent", "scope", "dependsOn"}


@cache
def shapes() -> dict[str, Shape]:
    """Every shape by its name; those of resources are named "Provider/kind@version"."""
    known: dict[str, Shape] = json.loads((HERE / "shapes.json").read_text())
    known.update(json.loads((HERE / "shapes_by_hand.json").read_text()))
    return known


def check(document: Document) -> Iterator[Problem]:
    """What the resources of a file say against their shapes."""
    for resource in document.resources.values():
        shape = shapes().get(resource.type)
        node = body(resource)
        if shape is None:
            yield document.problem(resource.node, f"no shape is known of {resource.type!r}")
        elif node is None:
            yield document.problem(resource.node, f"{resource.name} has no body")
        else:
            yield from _resource(document, resource, node, shape)


def _resource(document: Document, resource: Declared, node: Node, shape: Shape) -> Iterator[Problem]:
    inherited = {"name"} if resource.existing else set()
    if resource.existing:
        shape = {"has": shape["has"], "needs": ["name"]}
    extra = dict.fromkeys(_OF_BICEP | inherited, "any")
    yield from _object(document, node, {"has": {**shape["has"], **extra}, "needs": shape["needs"]}, resource.type)


def fits(document: Document, node: Node, shape: Shape, where: str) -> Iterator[Problem]:
    """What is wrong with a value; nothing when only a deployment knows it."""
    for case in cases(node):
        yield from _case(document, case, shape, where)


def _case(document: Document, node: Node, shape: Shape, where: str) -> Iterator[Problem]:
    if isinstance(shape, dict) and "ref" in shape:
        yield from _case(document, node, shapes()[shape["ref"]], where)
        return
    given = literal(node)
    if shape == "any" or given is None:
        return
    if node.type == "object":
        yield from _object(document, node, shape, where)
    elif node.type == "array":
        if not (isinstance(shape, dict) and "list" in shape):
            yield document.problem(node, f"{where} is not a list")
            return
        for item in node.named_children:
            yield from fits(document, item, shape["list"], where)
    elif given is not EXPRESSION:
        yield from _scalar(document, node, given, shape, where)


def _scalar(document: Document, node: Node, given: object, shape: Shape, where: str) -> Iterator[Problem]:
    if isinstance(shape, dict) and "enum" in shape:
        if given not in shape["enum"]:
            yield document.problem(node, f"{where}: {given!r} is not one of {', '.join(map(str, shape['enum']))}")
    elif isinstance(shape, dict) and "one" in shape:
        if all(any(_scalar(document, node, given, choice, where)) for choice in shape["one"]):
            yield document.problem(node, f"{where}: {given!r} fits no alternative")
    elif not isinstance(shape, str):
        yield document.problem(node, f"{where} is not a plain value")
    elif type(given) is not _LITERALS[shape]:
        yield document.problem(node, f"{where}: {given!r} is not of type {shape}")


def _object(document: Document, node: Node, shape: Shape, where: str) -> Iterator[Problem]:
    if not isinstance(shape, dict) or not {"has", "map", "one", "ref"} & set(shape):
        yield document.problem(node, f"{where} is not an object")
        return
    if "map" in shape:
        for _, _, value in properties(node):
            yield from fits(document, value, shape["map"], where)
        return
    if "one" in shape:
        yield from min(([*_case(document, node, choice, where)] for choice in shape["one"]), key=len)
        return
    given = set()
    for name, item, value in properties(node):
        if name is None:
            continue
        given.add(name)
        if name not in shape["has"]:
            near = difflib.get_close_matches(name, shape["has"], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield document.problem(item, f"{where} has no {name}{hint}")
        else:
            yield from fits(document, value, shape["has"][name], f"{where}.{name}")
    for name in shape["needs"]:
        if name not in given:
            yield document.problem(node, f"{where} needs {name}")
