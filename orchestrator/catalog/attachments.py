"""Workspaces that callers have attached under the name of a compute, and the secrets that open them.

    a|<name>                    an attachment; its secret is sealed

The compute itself is a record of its own (`catalog.computes`): the attachment says where the work of its steps is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from orchestrator.catalog.models import Runner
from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.core import attachment as core
from orchestrator.core.attachment import LONGEST_SECRET, Attachment
from orchestrator.core.errors import InvalidRequest, Unavailable, UnknownThing
from orchestrator.core.names import COMPUTE, shown
from orchestrator.core.secret import Secret
from orchestrator.pages import Page, read_page
from orchestrator.ports import Commit, Delete, Get, Now, Props, Query, Refused, Row, Task, Unanswered, Upsert
from orchestrator.secrets import Forget, Seal, Unseal

KIND = "attachment"


def put(wanted: Attachment, secret: Secret) -> Task[tuple[Attachment, bool]]:
    """Attach a workspace, in place of what the name was attached to before; whether there was nothing.

    Raises InvalidRequest.
    """
    COMPUTE.check(wanted.name, "name")
    core.check(wanted)
    _check_secret(wanted, secret)
    row = yield from Get(table=CATALOG, pk=KIND, rk=_key(wanted.name))
    before = None if row is None else _decode(row)
    created_at = (yield from Now()) if before is None else before.created_at
    sealed = ""
    if secret:
        sealed = yield from Seal(owner=wanted.name, purpose=_purpose(wanted), secret=secret)
    made = msgspec.structs.replace(wanted, sealed=sealed, created_at=created_at)
    props: Props = {"v": VERSION, "attachment": core.encode(made).decode()}
    try:
        yield from Commit(table=CATALOG, pk=KIND, writes=(Upsert(rk=_key(made.name), props=props),))
    except Unanswered:
        raise Unavailable("Storage did not say whether the workspace was attached. Send the request again.") from None
    if before is not None:
        with suppress(Unavailable):
            yield from _forget(before)
    return made, before is None


def _check_secret(wanted: Attachment, secret: Secret) -> None:
    if bool(secret) != wanted.has_secret:
        needed = "needed" if wanted.has_secret else "not taken"
        raise InvalidRequest(f"With the auth {wanted.auth} a secret is {needed}.", field="secret")
    text = secret.reveal()
    if len(text) > LONGEST_SECRET or not text.isprintable() or not text.isascii() or " " in text:
        message = f"A secret has at most {LONGEST_SECRET:,} printable ASCII characters, and no spaces."
        raise InvalidRequest(message, field="secret")


def get(name: str) -> Task[Attachment]:
    """Raises UnknownThing."""
    found = yield from _find(name)
    if found is None:
        raise UnknownThing(f"No workspace is attached as {shown(name)}.", field="name")
    return found


def types(names: Iterable[str]) -> Task[dict[str, str]]:
    """What each compute is attached to, of those that are."""
    found = {}
    for name in sorted(names):
        if (there := (yield from _find(name))) is not None:
            found[name] = str(there.type)
    return found


def reveal(name: str) -> Task[tuple[Attachment, Secret] | None]:
    """An attachment with its secret in clear, for those who connect to it; None: there is none. Raises Conflict."""
    found = yield from _find(name)
    if found is None or not found.sealed:
        return None if found is None else (found, Secret(""))
    return found, (yield from Unseal(owner=found.name, purpose=_purpose(found), sealed=found.sealed))


def revealing(world: Runner) -> Callable[[str], tuple[Attachment, Secret] | None]:
    """`reveal`, for the worker."""
    return lambda name: world.run(reveal(name))


def every() -> Task[tuple[Attachment, ...]]:
    """All of them, by name."""
    keys = span(KIND, "a|")
    rows = yield from Query(table=keys.table, pk=keys.pk, first=keys.first, last=keys.last)
    return tuple(_decode(row) for row in rows)


def listing(*, limit: int, continuation: str | None) -> Task[Page[Attachment]]:
    """By name."""
    return (yield from read_page(span(KIND, "a|"), limit=limit, continuation=continuation, decode=_decode))


def remove(name: str) -> Task[Attachment]:
    """Forget the workspace and its secret. Raises UnknownThing."""
    there = yield from get(name)
    # First: who dies in between leaves a row behind, which is removed again, and no secret without one.
    yield from _forget(there)
    try:
        yield from Commit(table=CATALOG, pk=KIND, writes=(Delete(rk=_key(name)),))
    except Refused:
        pass  # somebody else has removed it meanwhile
    except Unanswered:
        raise Unavailable("Storage did not say whether the workspace was detached. Send the request again.") from None
    return there


def _forget(found: Attachment) -> Task[None]:
    if found.sealed:
        yield from Forget(owner=found.name, purpose=_purpose(found), sealed=found.sealed)


def _find(name: str) -> Task[Attachment | None]:
    row = None
    if COMPUTE.allows(name):
        row = yield from Get(table=CATALOG, pk=KIND, rk=_key(name))
    return None if row is None else _decode(row)


def _purpose(found: Attachment) -> str:
    """What its secret is for: this name, at this address, and no other."""
    return core.encode(found.plain).decode()


def _key(name: str) -> str:
    return f"a|{name}"


def _decode(row: Row) -> Attachment:
    return core.decode(str(row.props["attachment"]))
