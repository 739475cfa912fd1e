"""Whether every name that a Bicep file uses is there, and every one that it declares is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tree_sitter import Node

from tests.infra.bicep import EXPRESSION, Declared, Document, Problem, at, body, literal, properties, text, walk

FUNCTIONS = frozenset(
    """
    any array base64 bool concat contains dateTimeAdd deployment empty endsWith environment filter first flatten format
    guid indexOf int intersection items join json last length listKeys map max min newGuid range reduce reference
    replace resourceGroup resourceId skip sort split startsWith string subscription subscriptionResourceId substring
    take tenant tenantResourceId toLower toObject toUpper trim union uniqueString uri utcNow
    """.split()  # noqa: SIM905
)
_TYPES = {"string": str, "int": int, "bool": bool, "array": None, "object": None}
_OWN_DECORATORS = {"description", "secure", "allowed", "minLength", "maxLength", "minValue", "maxValue"}


def check(document: Document, others: Mapping[str, Document]) -> Iterator[Problem]:
    """Names, functions, decorators, and what modules are given. `others`: every file, by its path as text."""
    yield from _names(document)
    yield from _unused(document)
    yield from _decorated(document)
    for module in document.modules.values():
        target = others.get(str((document.path.parent / module.type).resolve()))
        if target is None:
            yield document.problem(module.node, f"there is no {module.type}")
        else:
            yield from _module(document, module, target)
            yield from _outputs(document, module, target)


def _names(document: Document) -> Iterator[Problem]:
    known = document.symbols
    for name, node, called in _used(document.root, frozenset()):
        if called and name not in FUNCTIONS:
            yield document.problem(node, f"there is no function {name}")
        if not called and name not in known:
            yield document.problem(node, f"{name} is not declared")


def _used(node: Node, local: frozenset[str]) -> Iterator[tuple[str, Node, bool]]:
    """Identifiers that are looked up: name, node, and whether it is called as a function."""
    kind = node.type
    if kind == "for_statement":
        local |= {text(n) for n in walk(node.named_children[0]) if not n.named_child_count}
        yield from _used_in(node.named_children[1:], local)
    elif kind == "lambda_expression":
        yield from _used_in(node.named_children[1:], local | _lambda_names(node))
    elif kind == "call_expression":
        function, arguments = node.named_children
        if function.type == "identifier":
            yield text(function), function, True
        else:
            yield from _used(function, local)
        for argument in arguments.named_children:
            # The grammar takes `x => x.y` for a member of the lambda: its names count in the whole argument.
            inner = [_lambda_names(n) for n in walk(argument) if n.type == "lambda_expression"]
            yield from _used(argument, local.union(*inner))
    elif kind == "object_property":
        key, value = node.named_children
        if key.type != "identifier":
            yield from _used(key, local)
        yield from _used(value, local)
    elif kind.endswith("_declaration"):
        yield from _used_in(node.named_children[1:], local)
    elif kind == "identifier":
        if text(node) not in local:
            yield text(node), node, False
    elif kind not in ("type", "primitive_type", "decorators", "comment", "property_identifier"):
        yield from _used_in(node.named_children, local)


def _used_in(nodes: list[Node], local: frozenset[str]) -> Iterator[tuple[str, Node, bool]]:
    for node in nodes:
        yield from _used(node, local)


def _lambda_names(node: Node) -> frozenset[str]:
    return frozenset(text(n) for n in walk(node.named_children[0]) if n.type == "identifier")


def _unused(document: Document) -> Iterator[Problem]:
    used = {name for name, _, _ in _used(document.root, frozenset())}
    for declared in (*document.parameters.values(), *document.variables.values()):
        if declared.name not in used:
            yield document.problem(declared.node, f"{declared.name} is never used")


def _decorated(document: Document) -> Iterator[Problem]:
    for declared in document.parameters.values():
        for name, node in declared.decorators.items():
            if name not in _OWN_DECORATORS:
                yield document.problem(node, f"there is no decorator @{name}")
        yield from _assignable(document, declared, declared.value)


def _assignable(document: Document, parameter: Declared, value: Node | None) -> Iterator[Problem]:
    """Whether a literal may be the value of a parameter: its type, and the values that are allowed."""
    given = literal(value)
    if value is None or given is EXPRESSION:
        return
    wanted = _TYPES.get(parameter.type)
    if wanted is not None and type(given) is not wanted:
        yield document.problem(value, f"{parameter.name} is of type {parameter.type}")
        return
    if allowed := parameter.decorators.get("allowed"):
        choices = [literal(node) for node in walk(allowed) if node.type in ("string", "number")]
        if given not in choices:
            yield document.problem(value, f"{given!r} is not allowed for {parameter.name}")


def _module(document: Document, module: Declared, target: Document) -> Iterator[Problem]:
    given = at(body(module), "params")
    names = set()
    for name, node, value in properties(given) if given is not None else ():
        names.add(name)
        if name is not None and name not in target.parameters:
            yield document.problem(node, f"{module.type} has no parameter {name}")
        elif name is not None:
            yield from _assignable(document, target.parameters[name], value)
    for name, parameter in target.parameters.items():
        if parameter.value is None and name not in names:
            yield document.problem(module.node, f"{module.type} needs the parameter {name}")


def _outputs(document: Document, module: Declared, target: Document) -> Iterator[Problem]:
    for node in walk(document.root):
        if node.type != "member_expression" or len(node.named_children) != 2:
            continue
        owner, member = node.named_children
        if owner.type != "member_expression" or text(owner).replace("!", "") != f"{module.name}.outputs":
            continue
        if text(member) not in target.outputs:
            yield document.problem(node, f"{module.type} has no output {text(member)}")
