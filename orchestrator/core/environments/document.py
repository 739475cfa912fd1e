"""What a version of an environment holds that is kept by name: what steps are given of it, and may be given again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from orchestrator.core.environments.spec import CondaFile, EnvironmentSpec, RPackages
from orchestrator.core.errors import Problem
from orchestrator.core.names import TEXT, VARIABLE


class EnvironmentDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The parts of an `EnvironmentSpec`, and environment variables. `user_managed`: the packages are taken to be there.

    A step that uses it has the parts in its own definition, so that it runs alike whatever becomes of the name.
    """

    conda: CondaFile | None = None
    image: str | None = None
    dockerfile: str | None = None
    r: RPackages = RPackages()
    variables: dict[str, str] = {}
    user_managed: bool = False

    @property
    def spec(self) -> EnvironmentSpec:
        conda = self.conda or CondaFile()
        return EnvironmentSpec(conda=conda, image=self.image, dockerfile=self.dockerfile, r=self.r)

    def problems(self, field: str) -> Iterator[Problem]:
        """What is wrong with it; it lies at `field`."""
        yield from self.spec.problems(field)
        for name, value in self.variables.items():
            for problem in (VARIABLE.problem(name, f"{field}.variables"), TEXT.problem(value, f"{field}.variables")):
                if problem is not None:
                    yield problem


def encode(document: EnvironmentDocument) -> bytes:
    """Canonical JSON: equal documents give equal bytes."""
    return msgspec.json.encode(document, order="sorted")


decode = msgspec.json.Decoder(EnvironmentDocument).decode


def address(document: EnvironmentDocument) -> str:
    """sha256 over the canonical bytes, in hex."""
    return hashlib.sha256(encode(document)).hexdigest()
