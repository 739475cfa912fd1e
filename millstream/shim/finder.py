"""Answers `import azureml...` from the table. Standard library only, and little of it: step scripts wait for this."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec

from millstream.shim.table import TABLE

TYPE_CHECKING = False  # as in millstream.shim
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

ROOT = "azureml"


class Finder:
    """A meta path finder, and the loader of what it finds. Classes are imported when their names are first used."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """None for a module that v1 does not have. Raises MissingModule, MissingImport for what only v1 has."""
        del path, target
        if name != ROOT and not name.startswith(f"{ROOT}."):
            return None
        if name in TABLE:
            return ModuleSpec(name, self, origin="millstream.shim", is_package=True)  # type: ignore[arg-type]
        parent, _, last = name.rpartition(".")
        if parent in TABLE and last in TABLE[parent]:
            return None  # `from parent import Name` looks for a module only after the name itself
        import_module("millstream.shim.absent").refuse_import(name)
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual kind of module."""

    def exec_module(self, module: ModuleType) -> None:
        names = TABLE[module.__name__]
        vars(module).update(
            __doc__=f"{module.__name__} of the Azure ML SDK v1, as Millstream has it.",
            __all__=sorted(names),
            __getattr__=_attributes(module, names),
            __dir__=lambda: sorted({*vars(module), *names}),
        )


def _attributes(module: ModuleType, names: dict[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a module: what a name stands for, or why it does not."""

    def attribute(name: str) -> Any:
        if name not in names and name.startswith("__"):
            # Asked for by all that looks over modules; v1 has none that matter.
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}", name=name)
        if name not in names:
            import_module("millstream.shim.absent").refuse_attribute(module.__name__, name)
        value = resolve(names[name])
        setattr(module, name, value)
        return value

    return attribute


def resolve(home: str) -> Any:
    """What `module:name` of this project stands for. Raises ImportError, AttributeError."""
    module, _, name = home.partition(":")
    return getattr(import_module(module), name)


def served() -> list[str]:
    """The modules that were imported from here."""
    return [name for name, module in sys.modules.items() if isinstance(getattr(module, "__loader__", None), Finder)]
