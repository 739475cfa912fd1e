"""Makes shapes.json: what of the ARM JSON schemas the resources of infra/ can be held against, in a tenth of the bytes.

    python -m tests.infra.condense FOLDER_OF_SCHEMAS

The schemas are those of the repository Azure/azure-resource-manager-schemas, named <provider>.<version>.json. Shapes of
resources that have none there are in shapes_by_hand.json, written from the reference of their API versions.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.infra.bicep import read
from tests.infra.shapes import HERE, Shape

_NOT_NEEDED = {
    "Microsoft.ManagedIdentity/userAssignedIdentities": {"properties"},
    "Microsoft.Resources/resourceGroups": {"properties"},
}
"""What the schemas require and the service does not: all of it is the service's to say."""


class Condenser:
    """Follows the references of one schema file, and keeps what it meets."""

    def __init__(self, name: str, schema: dict[str, Any]) -> None:
        self.name = name
        self.schema = schema
        self.shapes: dict[str, Shape] = {}

    def shape(self, part: dict[str, Any]) -> Shape:
        """The shape of a part of the schema; expressions of templates fall away."""
        if reference := part.get("$ref"):
            return self._reference(reference)
        if choices := part.get("oneOf"):
            kept = [choice for choice in choices if not _is_expression(choice)]
            made = [self.shape(choice) for choice in kept]
            return made[0] if len(made) == 1 else {"one": made}
        if "enum" in part:
            return {"enum": part["enum"]}
        kind = part.get("type")
        if kind == "array":
            return {"list": self.shape(part.get("items", {}))}
        if kind == "object" and "properties" in part:
            return self._object(part)
        return {"string": "str", "integer": "int", "boolean": "bool"}.get(kind or "", "any")

    def _object(self, part: dict[str, Any]) -> Shape:
        if not part["properties"]:
            more = part.get("additionalProperties")
            return {"map": self.shape(more)} if isinstance(more, dict) else "any"
        has = {name: self.shape(inner) for name, inner in part["properties"].items()}
        return {"has": has, "needs": part.get("required", [])}

    def _reference(self, reference: str) -> Shape:
        if not reference.startswith("#/definitions/"):
            return "any"
        name = reference.removeprefix("#/definitions/")
        key = f"{self.name}#{name}"
        if key not in self.shapes:
            self.shapes[key] = "any"
            self.shapes[key] = self.shape(self.schema["definitions"][name])
        return {"ref": key}

    def resource(self, kind: str) -> None:
        """Add a resource, by its type with its version."""
        provider, _, rest = kind.partition("@")[0].partition("/")
        key = rest.replace("/", "_")
        found = self.schema["resourceDefinitions"] | self.schema.get("subscription_resourceDefinitions", {})
        shape = self.shape({"type": "object", **found[key]}) if "oneOf" not in found[key] else self._merged(found[key])
        unneeded = _NOT_NEEDED.get(f"{provider}/{rest}", set()) | {"apiVersion", "type"}
        shape["needs"] = [name for name in shape["needs"] if name not in unneeded]
        for name in ("apiVersion", "type"):
            shape["has"].pop(name, None)
        self.shapes[kind] = shape

    def _merged(self, part: dict[str, Any]) -> Shape:
        """A resource whose properties depend on its name, as those of sites/config: any of them will do."""
        made = [self.shape({"type": "object", **choice}) for choice in part["oneOf"]]
        first = made[0]
        return {
            "has": first["has"] | {"properties": {"one": [m["has"]["properties"] for m in made]}},
            "needs": first["needs"],
        }


def _is_expression(part: dict[str, Any]) -> bool:
    return str(part.get("$ref", "")).endswith("/expression")


def main() -> None:
    """Write shapes.json for the resources that infra/ names and the folder has a schema of."""
    folder = Path(sys.argv[1])
    infra = HERE.parent.parent / "infra"
    kinds = {resource.type for path in infra.rglob("*.bicep") for resource in read(path).resources.values()}
    made: dict[str, Shape] = {}
    condensers: dict[str, Condenser] = {}
    for kind in sorted(kinds):
        provider, version = kind.partition("/")[0], kind.partition("@")[2]
        file = folder / f"{provider}.{version}.json"
        if file.exists():
            condenser = condensers.setdefault(file.name, Condenser(file.stem, json.loads(file.read_text())))
            condenser.resource(kind)
            made |= condenser.shapes
        else:
            print(f"no schema of {kind}: shapes_by_hand.json must have it")
    (HERE / "shapes.json").write_text(json.dumps(made, indent=0, sort_keys=True).replace("\n", "") + "\n")


if __name__ == "__main__":
    main()
