"""From the address of a container or share to a client of its account and its name there.

    containers = Containers(own, find=lambda name: world.run(registered_datastores.reveal(name)))
    place = containers.at("lake@9f86d081884c7d65")

Addresses of registered datastores hold their version, so what was made for one stays right until it is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from azurerest import Account, Blobs, Files, StorageError, Transport
from azurerest.auth import (
    Anonymous,
    Bearer,
    Credential,
    SharedAccessSignature,
    SharedKey,
    TokenProvider,
)
from azurerest.sas import DelegationKey, get_user_delegation_key
from azurerest.tokens import managed_identity, service_principal
from orchestrator.core.datastore import Datastore, address_of, registered_in
from orchestrator.core.errors import Conflict
from orchestrator.core.secret import Secret

MOST_KEPT: Final = 256
_KEY_HOURS: Final = 6


@dataclass(slots=True, kw_only=True)
class Container:
    """`own`: of the service's own account, and made when it is first written to. Thread-safe."""

    blobs: Blobs
    name: str
    own: bool
    _key: tuple[DelegationKey, datetime] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def client(self) -> Blobs:
        return self.blobs

    @property
    def credential(self) -> Credential:
        return self.blobs.service.account.credential

    def signing_key(self, now: datetime, until: datetime) -> DelegationKey | None:
        """What signs a URL good until then where the account's key is not known; None: the account's key does.

        Raises StorageError.
        """
        if not isinstance(self.credential, Bearer):
            return None
        with self._lock:
            if self._key is None or self._key[1] < until:
                start, end = now - timedelta(minutes=5), max(until, now + timedelta(hours=_KEY_HOURS))
                self._key = (get_user_delegation_key(self.blobs, start=start, expiry=end), end)
            return self._key[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A file share of a registered datastore."""

    files: Files
    name: str

    @property
    def own(self) -> bool:
        return False

    @property
    def client(self) -> Files:
        return self.files

    @property
    def credential(self) -> Credential:
        return self.files.service.account.credential

    def signing_key(self, now: datetime, until: datetime) -> None:
        """None: URLs of files are signed by the account's key alone."""
        del now, until


Place = Container | Share


class Containers:
    """Thread-safe. own: the service's account. find: a registered datastore and its secret, by name; its errors pass.
    variables: where the platform offers the app's identity.
    """

    def __init__(
        self,
        own: Blobs,
        *,
        find: Callable[[str], tuple[Datastore, Secret]],
        variables: Mapping[str, str] | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._own = own
        self._find = find
        self._variables = variables or {}
        self._transport = transport or own.service.transport
        self._kept: dict[str, Place] = {}
        self._lock = threading.Lock()

    def at(self, address: str) -> Place:
        """Raises Conflict when the datastore is another by now, and what `find` raises."""
        with self._lock:
            kept = self._kept.get(address)
        if kept is not None:
            return kept
        name = registered_in(address)
        if name is None:
            # Kept, too: of an account without keys it has the key that signs URLs.
            return self._keep(address, Container(blobs=self._own, name=address, own=True))
        return self._made(name, address)

    def _made(self, name: str, address: str) -> Place:
        found, secret = self._find(name)
        if address_of(found) != address:
            message = f"The datastore {name!r} was registered anew while it was in use. Do it again."
            raise Conflict(message, field="name")
        try:
            made = self.of(found, secret)
        except StorageError as fault:
            message = f"The datastore {name!r} cannot be used as it is registered: {fault.message}."
            raise Conflict(message, field="name") from fault
        return self._keep(address, made)

    def _keep(self, address: str, place: Place) -> Place:
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            return self._kept.setdefault(address, place)

    def of(self, found: Datastore, secret: Secret) -> Place:
        """The container or share of a datastore that need not be registered. Raises azurerest.Invalid."""
        credential = self._credential(found, secret)
        account = Account(found.account, found.endpoint, found.endpoint, found.endpoint, credential, found.endpoint)
        if found.type == "AzureFile":
            return Share(files=Files(account, self._transport), name=found.container)
        return Container(blobs=Blobs(account, self._transport), name=found.container, own=False)

    def _credential(self, found: Datastore, secret: Secret) -> Credential:
        if found.auth == "account_key":
            return SharedKey(secret.reveal())
        if found.auth == "sas":
            return SharedAccessSignature(secret.reveal())
        provider: TokenProvider | None
        if found.auth == "service_principal":
            provider = service_principal(found.tenant, found.client, secret.reveal(), authority=found.authority)
        else:
            provider = managed_identity(self._variables)
        # A service without an identity is a stranger, to whom containers may be open.
        return Anonymous() if provider is None else Bearer(provider)
