"""Imports function_app.py and checks each function against its bindings, as the Azure worker does at indexing."""

from __future__ import annotations

import importlib
import inspect
import json
import pathlib
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from azure.functions._thirdparty import typing_inspect

from devhost import wire
from devhost.worker import convert

SCRIPT = "function_app.py"
_RETURN = "$return"
_OUT, _INOUT = 1, 2  # azure.functions.decorators.core.BindingDirection


class LoadError(RuntimeError):
    """A function's signature and its bindings do not agree."""

    def __init__(self, function: str, message: str) -> None:
        super().__init__(f"cannot load the {function} function: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """How one bound parameter (or the return value) is converted. ``pytype`` is its annotation or None."""

    binding: str
    pytype: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedFunction:
    """A user function ready to be called."""

    name: str
    call: Callable[..., Any]
    directory: str
    wants_context: bool
    is_async: bool
    has_return: bool
    inputs: Mapping[str, Parameter]
    outputs: Mapping[str, Parameter]
    result: Parameter | None


def load_app(directory: str) -> tuple[dict[str, LoadedFunction], list[wire.IndexedFunction]]:
    """Import function_app.py from ``directory`` (which must be on sys.path) and index it.

    Raises:
        ValueError: no function app in it, or more than one.
        LoadError: a function does not fit its bindings.
        Exception: whatever importing the user's module raises.
    """
    if not (pathlib.Path(directory) / SCRIPT).is_file():
        raise ValueError(f"there is no {SCRIPT} in {directory}")
    module = importlib.import_module(pathlib.Path(SCRIPT).stem)
    apps = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
    if len(apps) != 1:
        found = "no top level function app instance" if not apps else "more than one top level function app instance"
        raise ValueError(f"{found} in {SCRIPT}: define exactly one, such as app = func.FunctionApp()")
    loaded: dict[str, LoadedFunction] = {}
    indexed: list[wire.IndexedFunction] = []
    # get_functions() registers the names: a second call on the same app raises.
    for function in apps[0].get_functions():
        one = load_function(function)
        loaded[one.name] = one
        retry = function.get_settings_dict("retry_policy")
        bindings = [json.loads(raw) for raw in function.get_raw_bindings()]
        indexed.append(wire.IndexedFunction(name=one.name, bindings=bindings, retry=retry))
    return loaded, indexed


def load_function(function: Any) -> LoadedFunction:
    """Check one ``azure.functions`` function and describe how to call it.

    Raises:
        LoadError: its signature and its bindings do not agree.
    """
    name = function.get_function_name()
    user = function.get_user_function()
    params = dict(inspect.signature(user).parameters)
    hints = typing.get_type_hints(user)
    bindings = function.get_bindings()
    bound = {binding.name: binding for binding in bindings if binding.name != _RETURN}
    _check_directions(name, bindings)
    wants_context = _take_context(name, params, bound, hints)
    _check_names(name, set(params), set(bound))
    inputs, outputs = _parameters(name, params, bound, hints)
    result = _result(name, bindings, hints)
    return LoadedFunction(
        name=name,
        call=user,
        directory=str(pathlib.Path(inspect.getfile(user)).parent),
        wants_context=wants_context,
        is_async=inspect.iscoroutinefunction(user),
        has_return=result is not None,
        inputs=inputs,
        outputs=outputs,
        result=result,
    )


def _check_directions(name: str, bindings: list[Any]) -> None:
    for binding in bindings:
        if binding.direction == _INOUT:
            raise LoadError(name, '"inout" bindings are not supported')
        if binding.name == _RETURN and binding.direction != _OUT:
            raise LoadError(name, '"$return" binding must have direction set to "out"')


def _take_context(name: str, params: dict[str, Any], bound: dict[str, Any], hints: dict[str, Any]) -> bool:
    if "context" not in params or "context" in bound:
        return False
    params.pop("context")
    hint = hints.get("context")
    if hint is not None and getattr(hint, "__name__", "") != "Context":
        raise LoadError(name, f'the "context" parameter must be of type azure.functions.Context, got {hint!r}')
    return True


def _check_names(name: str, params: set[str], bound: set[str]) -> None:
    if unbound := params - bound:
        raise LoadError(name, f"parameters without a binding: {sorted(unbound)}")
    if unused := bound - params:
        raise LoadError(name, f"bindings without a parameter: {sorted(unused)}")


def _parameters(
    name: str, params: dict[str, Any], bound: dict[str, Any], hints: dict[str, Any]
) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
    inputs: dict[str, Parameter] = {}
    outputs: dict[str, Parameter] = {}
    for param in params:
        binding = bound[param]
        target = outputs if binding.direction == _OUT else inputs
        target[param] = _parameter(name, binding, hints.get(param))
    return inputs, outputs


def _parameter(name: str, binding: Any, hint: Any) -> Parameter:
    is_out = _is_out(hint)
    pytype = _inside_out(name, binding.name, hint) if is_out else hint
    if hint is None:
        return Parameter(binding=binding.type, pytype=None)
    if not isinstance(pytype, type) and not _is_generic(pytype):
        raise LoadError(name, f"binding {binding.name} has invalid non-type annotation {hint!r}")
    if is_out != (binding.direction == _OUT):
        direction = "out" if binding.direction == _OUT else "in"
        annotated = "is" if is_out else "is not"
        raise LoadError(
            name, f'binding {binding.name} has direction "{direction}", but its annotation {annotated} Out[...]'
        )
    plain = pytype in (str, bytes) and not convert.has_implicit_output(binding.type)
    kind = convert.GENERIC if plain else binding.type
    _check_annotation(name, binding, kind, pytype, is_out=is_out)
    return Parameter(binding=kind, pytype=pytype)


def _is_out(hint: Any) -> bool:
    found = typing_inspect.get_origin(hint) if _is_generic(hint) else None  # type: ignore[no-untyped-call]
    found = found if found is not None else hint
    return isinstance(found, type) and found.__name__ == "Out"


def _is_generic(hint: Any) -> bool:
    """By the test that ``azure.functions`` itself uses: ``List[str]`` passes it, ``list[str]`` does not."""
    return bool(typing_inspect.is_generic_type(hint))  # type: ignore[no-untyped-call]


def _inside_out(name: str, binding: str, hint: Any) -> Any:
    args = typing.get_args(hint)
    if len(args) != 1:
        raise LoadError(name, f"binding {binding} has invalid Out annotation {hint!r}")
    return args[0]


def _check_annotation(name: str, binding: Any, kind: str, pytype: Any, *, is_out: bool) -> None:
    found = convert.converter(kind)
    check = found.check_output_type_annotation if is_out else found.check_input_type_annotation
    if not check(pytype):
        raise LoadError(
            name,
            f'type of binding "{binding.name}" ({binding.type}) does not match its annotation '
            f'"{getattr(pytype, "__name__", pytype)}"',
        )


def _result(name: str, bindings: list[Any], hints: dict[str, Any]) -> Parameter | None:
    explicit = [binding.type for binding in bindings if binding.name == _RETURN]
    implicit = [b.type for b in bindings if b.name != _RETURN and convert.has_implicit_output(b.type)]
    hint = hints.get("return")
    if explicit and "return" in hints:
        if _is_out(hint):
            raise LoadError(name, "the return annotation must not be azure.functions.Out")
        if not isinstance(hint, type):
            raise LoadError(name, f"has invalid non-type return annotation {hint!r}")
        if not convert.converter(explicit[0]).check_output_type_annotation(hint):
            raise LoadError(name, f'return annotation "{hint.__name__}" does not match binding "{explicit[0]}"')
    if explicit:
        return Parameter(binding=explicit[0], pytype=hint)
    return Parameter(binding=implicit[-1], pytype=hint) if implicit else None


def add_to_path(directory: str) -> None:
    """Put the app, and the packages deployed with it, first on sys.path; resolve against them from now on."""
    packages = pathlib.Path(directory) / ".python_packages" / "lib" / "site-packages"
    entries = [directory, *([str(packages)] if packages.is_dir() else [])]
    sys.path[:0] = entries
    importlib.invalidate_caches()
