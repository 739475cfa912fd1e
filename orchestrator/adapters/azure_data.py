"""Files and secrets of all accounts, over a world on Azure storage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from azurerest.tokens import managed_identity
from orchestrator.adapters.azure import AzureWorld
from orchestrator.adapters.azure_files import AzureFiles
from orchestrator.adapters.containers import Containers
from orchestrator.adapters.key_vault import KeyVault, resource_of
from orchestrator.adapters.relays import Relays
from orchestrator.adapters.sealing import Sealing
from orchestrator.adapters.vaulted import Vaulted
from orchestrator.core.datastore import Datastore
from orchestrator.core.secret import Secret


def equip(
    world: AzureWorld,
    keys: Sequence[Secret],
    find: Callable[[str], tuple[Datastore, Secret]],
    variables: Mapping[str, str],
    *,
    vault: str = "",
    client: str = "",
) -> Containers:
    """Have `world` carry out the effects of files and secrets; the containers that it reaches.

    keys: encrypt secrets. find: a registered datastore and its secret. variables: offer the app's identity; client:
    which of several. vault: URL of the Key Vault that keeps secrets; "": the keys encrypt them.
    """
    sealing = Sealing(keys)
    kept = KeyVault(vault, managed_identity(variables, resource=resource_of(vault), client=client)) if vault else None
    Vaulted(kept, sealing, place=world.blobs.service.account.name).install(world)
    containers = Containers(world.blobs, find=find, variables=variables)
    AzureFiles(containers, relays=Relays(sealing)).install(world)
    return containers
