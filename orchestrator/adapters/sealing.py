"""Secrets encrypted with keys of the settings: the interpreters of `orchestrator.secrets`.

    Sealing(keys).install(world)

AES-256-GCM. What a secret is for is authenticated with it: in another datastore's row, or in one whose address was
changed, it does not open.
The library is loaded when a secret is first used: a start does not wait for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.adapters.driver import World
from orchestrator.core.errors import Conflict, InvalidRequest
from orchestrator.core.secret import Secret
from orchestrator.secrets import Forget, ForgetOthers, Seal, Unseal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = "1"
_NONCE_BYTES = 12


class Sealing:
    """Thread-safe. `keys`: of 32 bytes, in base64. The first seals, each opens what it has sealed."""

    def __init__(self, keys: Sequence[Secret]) -> None:
        self._keys = {_name_of(key): base64.b64decode(key.reveal()) for key in keys}

    def install(self, world: World) -> None:
        """Have `world` carry out the effects of `orchestrator.secrets`."""
        world.register(Seal, self.seal)
        world.register(Unseal, self.unseal)
        # What is sealed lies in its row, and goes with it.
        world.register(Forget, lambda _: None)
        world.register(ForgetOthers, lambda _: 0)

    def seal(self, effect: Seal) -> str:
        if not self._keys:
            raise InvalidRequest(
                "The service has no key to encrypt a secret with. Give it one in the setting MILLSTREAM_SECRET_KEYS.",
                field="secret",
            )
        name, key = next(iter(self._keys.items()))
        nonce = secrets.token_bytes(_NONCE_BYTES)
        data = _cipher(key).encrypt(nonce, effect.secret.reveal().encode(), _bound(effect.purpose))
        return f"{_VERSION}.{name}.{base64.urlsafe_b64encode(nonce + data).decode()}"

    def unseal(self, effect: Unseal) -> Secret:
        version, _, rest = effect.sealed.partition(".")
        name, _, text = rest.partition(".")
        key = self._keys.get(name)
        if version != _VERSION or key is None:
            raise Conflict(
                f"The secret of {effect.owner!r} was encrypted with a key that the service has no more. Register the "
                "datastore again, or add the key to the setting MILLSTREAM_SECRET_KEYS.",
                field="name",
            )
        try:
            data = base64.b64decode(text, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        opened = _opened(key, data, effect.purpose)
        if opened is None:
            raise Conflict(
                f"The secret of {effect.owner!r} is not as it was kept. Register the datastore again.", field="name"
            )
        return Secret(opened.decode())


def _name_of(key: Secret) -> str:
    """What tells which key was used, and nothing of the key."""
    return hashlib.sha256(b"millstream-secret-key\0" + base64.b64decode(key.reveal())).hexdigest()[:12]


def _bound(purpose: str) -> bytes:
    return f"millstream/secret/{purpose}".encode()


def _cipher(key: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _opened(key: bytes, data: bytes, purpose: str) -> bytes | None:
    from cryptography.exceptions import InvalidTag

    if len(data) <= _NONCE_BYTES:
        return None
    try:
        return _cipher(key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], _bound(purpose))
    except InvalidTag:
        return None
