"""Storage clients by connection setting, made once and shared."""

from __future__ import annotations

import base64
import binascii
import threading

from azurerest.account import Account
from azurerest.blobs import Blobs
from azurerest.connections import connection as connection_of
from azurerest.connections import is_set
from azurerest.errors import Invalid
from azurerest.queues import Queues
from azurerest.transport import Transport
from devhost.errors import ConfigError
from devhost.settings import Settings


class Storage:
    """The storage accounts that the app's settings name. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._transport = Transport(max_idle=64)
        self._lock = threading.Lock()
        self._clients: dict[str, tuple[Account, Queues, Blobs]] = {}

    def account(self, connection: str) -> Account:
        """The account that a connection setting names.

        Raises:
            ConfigError: the setting is missing or not a connection string.
        """
        return self._client(connection)[0]

    def queues(self, connection: str) -> Queues:
        """The queue client of a connection; bodies are the raw text on the wire."""
        return self._client(connection)[1]

    def blobs(self, connection: str) -> Blobs:
        """The blob client of a connection."""
        return self._client(connection)[2]

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def _client(self, connection: str) -> tuple[Account, Queues, Blobs]:
        with self._lock:
            found = self._clients.get(connection)
            if found is None:
                account = self._account(connection)
                # The wire text is needed as it is: a message that is not base64 goes to the poison queue unchanged.
                queues = Queues(account, self._transport, base64=False)
                found = self._clients[connection] = (account, queues, Blobs(account, self._transport))
            return found

    def _account(self, connection: str) -> Account:
        prefixed = f"AzureWebJobs{connection}"
        values = self._settings.values
        try:
            return connection_of(values, prefixed if is_set(values, prefixed) else connection)
        except Invalid as error:
            raise ConfigError(
                f"the connection {connection!r} cannot be used: {error}; Values in local.settings.json name it, "
                'Azurite as "UseDevelopmentStorage=true"'
            ) from None


def encode_message(body: bytes, *, as_base64: bool) -> bytes:
    """The wire text of a message body."""
    return base64.b64encode(body) if as_base64 else body


def decode_message(raw: bytes, *, as_base64: bool) -> bytes | None:
    """The body of a message's wire text, None when it is not base64 although it should be."""
    if not as_base64:
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except binascii.Error:
        return None
