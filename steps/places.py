"""The store of a container or of a share, wherever it is: all of them as one store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from azurerest import Blobs, Files
from azurerest.sas import DelegationKey
from steps.azure_store import AzureStore
from steps.parts import Parts
from steps.routed_store import RoutedStore
from steps.share_store import ShareStore
from steps.store import Store


class Place(Protocol):
    """A container or share, and the client of its account: that of files, if it is a share. `signing_key`: what signs
    URLs of blobs from now until then where the account's key is not known; raises StorageError.
    """

    @property
    def client(self) -> Blobs | Files: ...

    @property
    def name(self) -> str: ...

    @property
    def own(self) -> bool: ...

    def signing_key(self, now: datetime, until: datetime) -> DelegationKey | None: ...


def routed(at: Callable[[str], Place]) -> RoutedStore:
    """The containers and shares of all accounts as one store; `at` leads from an address to its place. Parts are shared
    by all.
    """
    parts = Parts()

    def lead(address: str) -> tuple[Store, str]:
        place = at(address)
        if isinstance(place.client, Files):
            return ShareStore(place.client, parts=parts), place.name
        return AzureStore(place.client, own=place.own, parts=parts, signing=place.signing_key), place.name

    return RoutedStore(lead)
