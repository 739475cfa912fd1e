"""How a cluster reaches what this service reaches: containers by URL and signature, and workspaces by tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol, TypedDict
from urllib.parse import quote, urlsplit

from azurerest import Blobs, StorageError
from azurerest.auth import Bearer
from azurerest.sas import DelegationKey, blob_url, container_query
from azurerest.tokens import managed_identity, service_principal
from orchestrator.core.attachment import Attachment
from orchestrator.core.secret import Secret
from steps.failures import InvalidStep, ServiceFailed, StorageFailed

SUFFIX: Final = "blob.core.windows.net"
"""Of the host of an account that is known by its name only."""
RESOURCES: Final = {"Batch": "https://batch.core.windows.net/", "Synapse": "https://dev.azuresynapse.net/"}
"""What a token for a service is asked for; one for a cluster of Kusto is for its own URL."""


class Place(Protocol):
    """A container or share: what `orchestrator.adapters.containers` leads to."""

    @property
    def client(self) -> object: ...

    @property
    def name(self) -> str: ...


class Terms(TypedDict):
    """What signatures of blobs and containers have in common."""

    expiry: datetime
    key: DelegationKey | None
    protocol: Literal["https", "https,http"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """What a signature is made with. `key`: where the account's credential is a token."""

    blobs: Blobs
    container: str
    until: datetime
    key: DelegationKey | None

    @property
    def terms(self) -> Terms:
        plain = self.blobs.url(self.container, "x").startswith("http://")
        return Terms(expiry=self.until, key=self.key, protocol="https,http" if plain else "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A container as a cluster knows it. `host`: of its account's blob service."""

    address: str
    name: str
    host: str

    def url(self, path: str) -> str:
        """Of a blob, or of all below a prefix."""
        return f"wasbs://{self.name}@{self.host}/{quote(path.strip('/'), safe='/*?[]{},=')}"


@dataclass(frozen=True, slots=True)
class Reach:
    """lead: from the address of a container to the container."""

    lead: Callable[[str], Place]

    def container(self, address: str) -> Container | None:
        """None: it is a file share, which Spark does not read."""
        place = self.lead(address)
        if not isinstance(place.client, Blobs):
            return None
        account = place.client.service.account.name
        host = urlsplit(place.client.url(place.name, "x")).hostname or ""
        return Container(
            address=address, name=place.name, host=host if host.startswith(f"{account}.") else f"{account}.{SUFFIX}"
        )

    def signature(self, address: str, seconds: float, *, permissions: str) -> str:
        """A SAS token for the container, for so long; "": its account cannot sign. Raises StorageFailed."""

        def sign(given: Signing) -> str:
            return container_query(given.blobs, given.container, permissions=permissions, **given.terms)

        return self._signed(address, seconds, sign)

    def container_url(self, address: str, seconds: float, *, permissions: str) -> str:
        """The same with the URL of the container before it."""
        query = self.signature(address, seconds, permissions=permissions)
        place = self.lead(address)
        if not query or not isinstance(place.client, Blobs):
            return ""
        return f"{place.client.url(place.name, 'x').removesuffix('/x')}?{query}"

    def file_url(self, address: str, name: str, seconds: float) -> str:
        """By which anybody reads the one blob, for so long; "": its account cannot sign. Raises StorageFailed."""

        def sign(given: Signing) -> str:
            return blob_url(given.blobs, given.container, name, permissions="r", **given.terms)

        return self._signed(address, seconds, sign)

    def _signed(self, address: str, seconds: float, sign: Callable[[Signing], str]) -> str:
        place = self.lead(address)
        client, key_of = place.client, getattr(place, "signing_key", None)
        if not isinstance(client, Blobs) or key_of is None:
            return ""
        now = datetime.now(UTC)
        until = now + timedelta(seconds=seconds)
        try:
            return sign(Signing(blobs=client, container=place.name, until=until, key=key_of(now, until)))
        except StorageError as error:
            message = f"The container {place.name!r} could not be opened for the work elsewhere: {error}"
            raise StorageFailed(message) from error


def token_of(found: Attachment, secret: Secret, variables: Mapping[str, str]) -> Callable[[], str]:
    """Gives a bearer token for each call. variables: where the platform offers the app's identity.

    Raises InvalidStep; what it gives raises ServiceFailed.
    """
    if found.auth == "token":
        return secret.reveal
    resource = RESOURCES.get(found.type, found.url)
    if found.auth == "service_principal":
        provide = service_principal(found.tenant, found.client, secret.reveal(), resource=resource)
    else:
        offered = managed_identity(variables, resource=resource)
        if offered is None:
            raise InvalidStep("The service has no identity here: attach the workspace with a service principal.")
        provide = offered
    kept = Bearer(provide)

    def give() -> str:
        try:
            return kept.token()
        except StorageError as error:
            raise ServiceFailed(f"There is no token for the workspace: {error.message}") from error

    return give
