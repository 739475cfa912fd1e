"""The types of C# that are understood, and what they are in DuckDB."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from steps.usql import tree
from steps.usql.refusal import Refused

STORED: Final = {
    "string": "VARCHAR",
    "bool": "BOOLEAN",
    "byte": "UTINYINT",
    "short": "SMALLINT",
    "int": "INTEGER",
    "long": "BIGINT",
    "double": "DOUBLE",
    "DateTime": "TIMESTAMP",
}
WHOLE: Final = ("byte", "short", "int", "long")
NUMBERS: Final = (*WHOLE, "double")


@dataclass(frozen=True, slots=True)
class Type:
    """`nullable`: it may be null, as a string always may."""

    name: str
    nullable: bool = False

    def __str__(self) -> str:
        return self.name + ("?" if self.nullable and self.name in STORED and self.name != "string" else "")

    @property
    def sql(self) -> str:
        return STORED[self.name]

    def maybe(self, nullable: bool = True) -> Type:
        return replace(self, nullable=nullable or self.name == "string")


STRING: Final = Type("string", True)
BOOL: Final = Type("bool")
INT: Final = Type("int")
LONG: Final = Type("long")
DOUBLE: Final = Type("double")
NULL: Final = Type("null", True)
CHAR: Final = Type("char")


def declared(given: tree.TypeName) -> Type:
    """Raises Refused."""
    if given.name not in STORED:
        raise Refused(f"The type {given.name} is not in the subset; there are {', '.join(STORED)}.", given.at)
    if given.name == "string" and given.nullable:
        raise Refused("A string may be null as it is: there is no string?.", given.at)
    return Type(given.name).maybe(given.nullable)


def promoted(one: Type, other: Type) -> Type | None:
    """What C# computes with two numbers in; None: they are not both numbers."""
    if one.name not in NUMBERS or other.name not in NUMBERS:
        return None
    wider = max(one.name, other.name, key=NUMBERS.index)
    return Type(wider if wider in ("long", "double") else "int", one.nullable or other.nullable)


def converts(source: Type, target: Type) -> bool:
    """Whether C# converts by itself."""
    if source.name == "null":
        return target.nullable
    if source.nullable and not target.nullable:
        return False
    if source.name == target.name:
        return True
    return source.name in NUMBERS and target.name in NUMBERS and NUMBERS.index(source.name) < NUMBERS.index(target.name)
