"""Members that v1 has and a class of ours has not: the AttributeError says what to do instead."""

from __future__ import annotations

from abc import ABCMeta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from millstream.run_context import NotAvailable


def refuse(kind: type, name: str) -> None:
    """Raises NotAvailable for a member that v1 has. Does nothing for one that v1 does not have either."""
    if name.startswith("_"):
        return
    absent = import_module("millstream.shim.members").ABSENT
    for ours in kind.__mro__:
        if reason := absent.get(ours.__name__, {}).get(name):
            raise NotAvailable(f"{kind.__name__}.{name} of v1 is not there: {reason}.")


if TYPE_CHECKING:  # a __getattr__ would hide every misspelt attribute from the type checker

    class Explained:
        """What follows, as the type checker is to see it."""

else:

    class _Explaining(ABCMeta):  # some of these classes have abstract bases, and a class has one metaclass
        def __getattr__(cls, name: str) -> Any:
            refuse(cls, name)
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}", name=name, obj=cls)

    class Explained(metaclass=_Explaining):
        """Base of classes whose missing members explain themselves, on instances and on the class."""

        def __getattr__(self, name: str) -> Any:
            refuse(type(self), name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
