"""URLs of the service itself, for files whose storage only a SAS token opens, and requests that come in by them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote

from azurerest import Busy, NotFound, StorageError, Unanswered, Unreachable
from azurerest.auth import SharedAccessSignature
from azurerest.names import blob_path, file_path
from azurerest.sharefiles import draft, finish, make_parents
from orchestrator.adapters.containers import Container, Place, Share
from orchestrator.adapters.sealing import Sealing
from orchestrator.adapters.share_files import making
from orchestrator.core import relay
from orchestrator.core.errors import Conflict, InvalidRequest, Unavailable
from orchestrator.core.relay import Ticket
from orchestrator.core.secret import Secret
from orchestrator.files import Finish, Forward, Forwarded, SignDownload, Signed, SignUpload
from orchestrator.secrets import Seal

RENAME = (("comp", "rename"),)


class Relays:
    """Thread-safe. A ticket is encrypted with the key that keeps the SAS token itself."""

    def __init__(self, sealing: Sealing) -> None:
        self._sealing = sealing

    def upload(self, place: Place, effect: SignUpload, expiry: datetime) -> Signed:
        """Raises Conflict where the SAS token does not allow to write."""
        _check(place, "wc" if not effect.replace else "w", "to write files")
        ticket = _ticket(place, effect, expiry, write=True)
        url = self._url(effect.relay, ticket)
        if not isinstance(place, Share):
            return Signed(url=url, headers={"x-ms-blob-type": "BlockBlob"}, expires_at=expiry.timestamp())
        finish = Finish(url=url, headers={})
        return Signed(url=url, headers=making(ticket.draft), expires_at=expiry.timestamp(), finish=finish)

    def download(self, place: Place, effect: SignDownload, expiry: datetime) -> str:
        """Raises Conflict where the SAS token does not allow to read."""
        _check(place, "r", "to read files")
        return self._url(effect.relay, _ticket(place, effect, expiry, write=False))

    def _url(self, base: str, ticket: Ticket) -> str:
        sealed = self._sealing.seal(Seal(owner="", purpose=relay.PURPOSE, secret=Secret(relay.encode(ticket))))
        return f"{base}/api/{relay.PATH}/{ticket.file}?ticket={quote(sealed, safe='')}"


def forwarded(place: Place, effect: Forward) -> Forwarded:
    """Raises InvalidRequest for a name that storage cannot have, Unavailable."""
    try:
        status = _to_share(place, effect) if isinstance(place, Share) else _to_blob(place, effect)
    except (Busy, Unreachable, Unanswered):
        raise Unavailable("Storage did not answer in time. Try again in a moment.") from None
    except NotFound as fault:
        return Forwarded(status=404, code=fault.code, message=fault.message)
    except StorageError as fault:
        if not fault.status:
            raise InvalidRequest(f"Storage cannot have this file: {fault.message}.", field="path") from fault
        return Forwarded(status=fault.status, code=fault.code, message=fault.message)
    return Forwarded(status=status)


def _to_blob(place: Container, effect: Forward) -> int:
    path = blob_path(place.name, effect.name)
    call = place.blobs.service.call
    return call(effect.method, path, query=effect.query, headers=effect.headers, body=effect.body).status


def _to_share(place: Share, effect: Forward) -> int:
    files = place.files
    made = draft(place.name, effect.name, effect.draft)
    if effect.query == RENAME:
        finish(files, made, replace=effect.replace)
        return 200
    if effect.method == "PUT" and not effect.query:
        make_parents(files, place.name, effect.name)
    path = file_path(place.name, made.name)
    return files.service.call(effect.method, path, query=effect.query, headers=effect.headers, body=effect.body).status


def _ticket(place: Place, effect: SignUpload | SignDownload, expiry: datetime, *, write: bool) -> Ticket:
    return Ticket(
        container=effect.container,
        name=effect.name,
        kind="share" if isinstance(place, Share) else "blob",
        write=write,
        expires_at=expiry.timestamp(),
        replace=write and isinstance(effect, SignUpload) and effect.replace,
        draft=(effect.draft or secrets.token_hex(16)) if isinstance(effect, SignUpload) else "",
    )


def _check(place: Place, letters: str, what: str) -> None:
    """Of a token that names no permissions, because a policy of the container does, storage decides."""
    credential = place.credential
    assert isinstance(credential, SharedAccessSignature)
    fields = parse_qs(credential.query)
    (granted,) = fields.get("sp", [""])
    (end,) = fields.get("se", [""])
    if granted and not set(letters) & set(granted):
        raise Conflict(
            f"The SAS token that this datastore is registered with does not allow {what} (sp={granted}).", field="name"
        )
    if end and (expired := _moment(end)) is not None and expired <= datetime.now(UTC):
        raise Conflict(
            f"The SAS token that this datastore is registered with has expired at {end}. Register it again with "
            "overwrite=True.",
            field="name",
        )


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
