"""What the routes of named records share (`orchestrator.catalog.named`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from orchestrator.catalog.named import Changes, NamedRecord, NamedRecords
from orchestrator.pages import Page
from orchestrator.triggers.service import Service
from orchestrator.triggers.shapes import PageQuery, Strict

Status = Literal["Active", "Disabled", "Deprecated"]

N = TypeVar("N", bound=NamedRecord)


class NamedQuery(PageQuery, frozen=True, kw_only=True):
    name: Annotated[str, Meta(description="Only the one of this name: one, or none.")] = ""
    active_only: Annotated[bool, Meta(description="Without those that are disabled or deprecated (archived).")] = False


class NamedChanges(Strict, frozen=True, kw_only=True):
    """What is to be changed; null leaves it as it is."""

    name: str | None = None
    description: str | None = None
    status: Status | None = None
    default_version: str | None = None

    @property
    def changes(self) -> Changes:
        return Changes(**fields_of(self))


def listed(service: Service, records: NamedRecords[N], query: NamedQuery) -> Page[N]:
    """What the query asks for."""
    task = records.list_named(
        name=query.name,
        active_only=query.active_only,
        limit=query.limit,
        continuation=query.continuation or None,
    )
    return service.world.run(task)


def fields_of(value: msgspec.Struct) -> dict[str, Any]:
    """What it has, by name: for a struct of more than that."""
    return {name: getattr(value, name) for name in value.__struct_fields__}
