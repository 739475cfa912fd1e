"""The workspace behind the compute of a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from orchestrator.core.attachment import Attachment
from orchestrator.core.definition import Step
from orchestrator.core.errors import MillstreamError, UserError
from orchestrator.core.secret import Secret
from steps.failures import InvalidStep, ServiceFailed
from steps.reach import Place, Reach, token_of

TYPES: Final[Mapping[str, str]] = {
    "azure_batch": "Batch",
    "databricks": "Databricks",
    "kusto": "Kusto",
    "synapse_spark": "Synapse",
}
"""Kinds of step, and the type of workspace that their work is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """`token`: a bearer token for the next call; raises ServiceFailed."""

    url: str
    pool: str
    token: Callable[[], str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attachments:
    """Workspaces by the names of computes. find: raises MillstreamError. lead: from the address of a container to the
    container. variables: where the platform offers the app's identity.
    """

    find: Callable[[str], tuple[Attachment, Secret] | None]
    lead: Callable[[str], Place]
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def reach(self) -> Reach:
        return Reach(self.lead)

    def workspace(self, step: Step) -> Workspace | None:
        """The workspace that the step's compute names; None: it names none, or the step's kind has none.

        Raises InvalidStep, ServiceFailed.
        """
        wanted = TYPES.get(step.kind)
        found = None if wanted is None else self._found(step.compute)
        if found is None:
            return None
        attachment, secret = found
        if attachment.type != wanted:
            message = f"The compute {step.compute!r} is attached to {attachment.type}, and this step is for {wanted}."
            raise InvalidStep(message)
        token = token_of(attachment, secret, self.variables)
        return Workspace(url=attachment.url, pool=attachment.pool, token=token)

    def _found(self, name: str) -> tuple[Attachment, Secret] | None:
        try:
            return self.find(name)
        except UserError as error:
            raise InvalidStep(f"The workspace of the compute {name!r} cannot be used: {error.message}") from error
        except MillstreamError as error:
            raise ServiceFailed(f"The compute {name!r} could not be looked up: {error.message}") from error
