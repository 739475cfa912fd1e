"""Reads a Bicep file into its declarations: what the checks of infra/ go by.

The grammar is tree-sitter's. It is not a compiler: expressions are kept as nodes, and what can be said of them without
evaluating them is said by `literal` and `names`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_LANGUAGE = Language(tree_sitter_bicep.language())

EXPRESSION = object()
"""Stands for a value that only a deployment knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong, and where: `line` counts from 1."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A declaration of any sort. `value` is its expression; of resources and modules their body, an object."""

    name: str
    node: Node
    value: Node | None = None
    type: str = ""
    decorators: dict[str, Node] = field(default_factory=dict)
    existing: bool = False
    repeated: bool = False

    @property
    def line(self) -> int:
        return self.node.start_point[0] + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file. Of resources, `type` is "Provider/kind@version"; of modules, the path as written."""

    path: Path
    root: Node
    parameters: dict[str, Declared]
    variables: dict[str, Declared]
    resources: dict[str, Declared]
    modules: dict[str, Declared]
    outputs: dict[str, Declared]
    twice: tuple[Declared, ...]

    def problem(self, node: Node, text: str) -> Problem:
        return Problem(file=self.path.name, line=node.start_point[0] + 1, text=text)

    @property
    def symbols(self) -> dict[str, Declared]:
        """What expressions may name."""
        return {**self.parameters, **self.variables, **self.resources, **self.modules}


_SORTS = {
    "parameter_declaration": "parameters",
    "variable_declaration": "variables",
    "resource_declaration": "resources",
    "module_declaration": "modules",
    "output_declaration": "outputs",
}


def read(path: Path) -> Document:
    """Parse a file; whether it parsed well is told by `syntax`."""
    root = Parser(_LANGUAGE).parse(path.read_bytes()).root_node
    found: dict[str, dict[str, Declared]] = {sort: {} for sort in _SORTS.values()}
    twice: list[Declared] = []
    decorators: dict[str, Node] = {}
    for node in root.named_children:
        if node.type == "decorators":
            decorators = dict(_decorators(node))
        elif sort := _SORTS.get(node.type):
            declared = _declared(node, decorators)
            taken = (
                found["outputs"]
                if sort == "outputs"
                else {k: v for s in found if s != "outputs" for k, v in found[s].items()}
            )
            if declared.name in taken:
                twice.append(declared)
            found[sort][declared.name] = declared
            decorators = {}
    return Document(path=path, root=root, twice=tuple(twice), **found)


def _decorators(node: Node) -> Iterator[tuple[str, Node]]:
    for decorator in node.named_children:
        call = decorator.named_children[0]
        yield text(call.named_children[0]), call


def _declared(node: Node, decorators: dict[str, Node]) -> Declared:
    name, *rest = node.named_children
    kind = ""
    if rest and rest[0].type in ("type", "primitive_type"):
        kind = text(rest.pop(0))
    elif rest and node.type in ("resource_declaration", "module_declaration"):
        kind = str(literal(rest.pop(0)))
    value = rest[-1] if rest else None
    repeated = value is not None and value.type == "for_statement"
    return Declared(
        name=text(name),
        node=node,
        value=value,
        type=kind,
        decorators=decorators,
        existing=any(child.type == "existing" for child in node.children),
        repeated=repeated,
    )


def text(node: Node) -> str:
    return (node.text or b"").decode()


def syntax(document: Document) -> Iterator[Problem]:
    """What the grammar could not read."""
    for node in walk(document.root):
        if node.type == "ERROR" or node.is_missing:
            yield document.problem(node, f"not Bicep: {text(node)[:40]!r}")
    for declared in document.twice:
        yield document.problem(declared.node, f"{declared.name} is declared twice")


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def body(declared: Declared) -> Node | None:
    """The object of a resource or module, inside its loop and condition."""
    node = declared.value
    while node is not None and node.type in ("for_statement", "if_statement"):
        node = node.named_children[-1]
    return node if node is not None and node.type == "object" else None


def properties(node: Node) -> Iterator[tuple[str | None, Node, Node]]:
    """Key (None: computed), the property, and its value."""
    for child in node.named_children:
        if child.type == "object_property" and len(child.named_children) == 2:
            key, value = child.named_children
            name = text(key) if key.type == "identifier" else literal(key)
            yield (name if isinstance(name, str) else None), child, value


def at(node: Node | None, *path: str) -> Node | None:
    """The value at a path of keys in nested objects; None: not there, or computed."""
    for key in path:
        if node is None or node.type != "object":
            return None
        node = next((value for name, _, value in properties(node) if name == key), None)
    return node


def literal(node: Node | None) -> object:
    """The value of a literal: str, int, bool, None; EXPRESSION for anything else, absent nodes too."""
    if node is None:
        return EXPRESSION
    if node.type == "string":
        if any(child.type == "interpolation" for child in node.named_children):
            return EXPRESSION
        return "".join(text(child) for child in node.named_children)
    if node.type == "number":
        return int(text(node))
    if node.type == "boolean":
        return text(node) == "true"
    return None if node.type == "null" else EXPRESSION


def cases(node: Node | None) -> list[Node]:
    """What an expression may turn out to be, as far as it is a choice of both branches of a condition."""
    if node is None:
        return []
    if node.type == "ternary_expression":
        return [*cases(node.named_children[1]), *cases(node.named_children[2])]
    if node.type == "parenthesized_expression":
        return cases(node.named_children[0])
    return [node]
