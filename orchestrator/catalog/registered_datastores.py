"""Datastores that callers have registered, beside those of the settings, and which one is the default.

    d|<name in lower case>      a datastore; its secret is sealed
    default                     the name of the default datastore; without this row it is the first of the settings

Names are compared without regard to case, as in v1, so no two differ in case alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from orchestrator.catalog.models import Runner
from orchestrator.catalog.rows import CATALOG, VERSION, span
from orchestrator.core import datastore as datastores
from orchestrator.core.datastore import FILES, LONGEST_SECRET, SECRET, SQL, Datastore
from orchestrator.core.errors import Conflict, InvalidRequest, Unavailable, UnknownThing
from orchestrator.core.names import DATASTORE, shown, suggestion
from orchestrator.core.secret import Secret
from orchestrator.files import TryContainer
from orchestrator.pages import Page, read_page
from orchestrator.ports import (
    Commit,
    Delete,
    Get,
    Insert,
    Now,
    Props,
    Query,
    Reason,
    Refused,
    Row,
    Task,
    Unanswered,
    Upsert,
)
from orchestrator.secrets import Forget, Seal, Unseal

KIND = "datastore"
_DEFAULT: Final = "default"
_TRIES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A datastore to be registered, without a sealed secret, and its secret in clear, if it has one.

    `overwrite`: in place of one of that name. `validate`: try whether it can be reached. `create`: make its container.
    """

    datastore: Datastore
    secret: Secret
    overwrite: bool = False
    validate: bool = True
    create: bool = False


def register(wish: Wish, *, configured: Mapping[str, str]) -> Task[tuple[Datastore, bool]]:
    """The datastore as it is kept, and whether this call made it. The same one again is no conflict.

    `configured`: the datastores of the settings, whose names are taken. Raises InvalidRequest, Conflict.
    """
    _check(wish, configured)
    wanted = wish.datastore
    if wanted.type in FILES and (wish.validate or wish.create):
        yield from TryContainer(datastore=wanted, secret=wish.secret, create=wish.create)
    for _ in range(_TRIES):
        row = yield from Get(table=CATALOG, pk=KIND, rk=_key(wanted.name))
        before = None if row is None else _decode(row)
        if before is not None and (yield from _is_same(before, wish)):
            return before, False
        if before is not None and not wish.overwrite:
            raise Conflict(
                f"There is another datastore {shown(before.name)}. Register with overwrite=True to replace it.",
                field="name",
            )
        made = yield from _sealed(wish, before)
        props: Props = {"v": VERSION, "datastore": datastores.encode(made).decode()}
        kind = Insert if before is None else Upsert
        try:
            yield from Commit(table=CATALOG, pk=KIND, writes=(kind(rk=_key(made.name), props=props),))
        except Refused:
            yield from _forget(made)
            continue  # somebody has registered one meanwhile
        except Unanswered:
            raise Unavailable("Storage did not say whether the datastore was kept. Send the request again.") from None
        if before is not None:
            yield from _forget(before)
        return made, before is None
    raise Unavailable("The name is being registered by others. Send the request again.")


def _check(wish: Wish, configured: Mapping[str, str]) -> None:
    wanted = wish.datastore
    DATASTORE.check(wanted.name, "name")
    datastores.check(wanted)
    if wanted.name.lower() in {name.lower() for name in configured}:
        message = f"{shown(wanted.name)} is a datastore of the service's own settings, and stays as it is."
        raise Conflict(message, field="name")
    needed = wanted.auth in SECRET
    if bool(wish.secret) != needed:
        raise InvalidRequest(
            f"With the auth {wanted.auth} a secret is {'needed' if needed else 'not taken'}.", field="secret"
        )
    if len(wish.secret.reveal()) > LONGEST_SECRET or not wish.secret.reveal().isprintable():
        raise InvalidRequest(f"A secret has at most {LONGEST_SECRET:,} printable characters.", field="secret")


def _is_same(before: Datastore, wish: Wish) -> Task[bool]:
    if _plain(before) != wish.datastore:
        return False
    if not before.sealed:
        return True
    try:
        kept = yield from Unseal(owner=before.name, purpose=_purpose(before), sealed=before.sealed)
    except Conflict:
        return False
    return kept == wish.secret


def _sealed(wish: Wish, before: Datastore | None) -> Task[Datastore]:
    wanted = wish.datastore
    sealed = ""
    if wish.secret:
        sealed = yield from Seal(owner=wanted.name, purpose=_purpose(wanted), secret=wish.secret)
    created_at = (yield from Now()) if before is None else before.created_at
    return msgspec.structs.replace(wanted, sealed=sealed, created_at=created_at)


def get(name: str) -> Task[Datastore]:
    """A registered datastore. Raises UnknownThing."""
    return _decode((yield from _row(name)))


def _row(name: str) -> Task[Row]:
    row = None
    if DATASTORE.allows(name):
        row = yield from Get(table=CATALOG, pk=KIND, rk=_key(name))
    if row is None:
        known = yield from names()
        raise UnknownThing(
            f"There is no registered datastore {shown(name)}. {suggestion(name, known, 'registered datastores')}",
            field="name",
        )
    return row


def reveal(name: str) -> Task[tuple[Datastore, Secret]]:
    """A registered datastore with its secret in clear, for those who connect to it. Raises UnknownThing, Conflict."""
    found = yield from get(name)
    if not found.sealed:
        return found, Secret("")
    return found, (yield from Unseal(owner=found.name, purpose=_purpose(found), sealed=found.sealed))


def revealing(world: Runner) -> Callable[[str], tuple[Datastore, Secret]]:
    """`reveal`, for adapters."""
    return lambda name: world.run(reveal(name))


def finding(world: Runner) -> tuple[Callable[[str], str], Callable[[str], Secret]]:
    """`address` and `connection` of registered datastores, for the worker."""
    return lambda name: world.run(address({}, name)), lambda name: world.run(connection(name))


def address(configured: Mapping[str, str], name: str) -> Task[str]:
    """The address of the container behind a datastore. Raises UnknownThing; InvalidRequest for one without files."""
    if name in configured:
        return configured[name]
    row = None
    if DATASTORE.allows(name):
        row = yield from Get(table=CATALOG, pk=KIND, rk=_key(name))
    if row is None:
        known = [*configured, *(yield from names())]
        raise UnknownThing(
            f"There is no datastore {shown(name)}. {suggestion(name, known, 'datastores')}", field="name"
        )
    found = _decode(row)
    if not found.has_files:
        message = f"{shown(name)} is a SQL datastore and has no files. Use Dataset.Tabular.from_sql_query."
        raise InvalidRequest(message, field="name")
    return datastores.address_of(found)


def connection(name: str) -> Task[Secret]:
    """The SQLAlchemy URL of a SQL datastore, with its password. Raises UnknownThing, InvalidRequest, Conflict."""
    found, secret = yield from reveal(name)
    if found.type not in SQL:
        raise InvalidRequest(f"{shown(name)} is no SQL datastore, and cannot be queried.", field="name")
    return Secret(datastores.with_password(found.url, secret.reveal()) if secret else found.url)


def addresses(configured: Mapping[str, str]) -> Task[dict[str, str]]:
    """The addresses of all datastores that have files, by name."""
    found = {found.name: datastores.address_of(found) for found in (yield from every()) if found.has_files}
    return {**found, **configured}


def every() -> Task[tuple[Datastore, ...]]:
    """All registered datastores, by name."""
    keys = span(KIND, "d|")
    rows = yield from Query(table=keys.table, pk=keys.pk, first=keys.first, last=keys.last)
    return tuple(_decode(row) for row in rows)


def names() -> Task[frozenset[str]]:
    return frozenset(found.name for found in (yield from every()))


def known(
    configured: Collection[str], needed: Collection[str], *, types: Collection[str] = FILES
) -> Task[Collection[str]]:
    """The datastores there are, of these types, as far as somebody who needs `needed` has to know."""
    if set(needed) <= set(configured):
        return configured
    return {*configured, *(found.name for found in (yield from every()) if found.type in types)}


def listing(*, limit: int, continuation: str | None) -> Task[Page[Datastore]]:
    """By name."""
    return (yield from read_page(span(KIND, "d|"), limit=limit, continuation=continuation, decode=_decode))


def remove(name: str, *, configured: Mapping[str, str]) -> Task[Datastore]:
    """Forget a datastore and its secret; its data stays where it is. Raises UnknownThing, Conflict for the default one.

    The secret goes first: who dies in between leaves a row behind, which is removed again, and no secret without one.
    """
    if name in configured:
        message = f"{shown(name)} is a datastore of the service's own settings. Take it out of MILLSTREAM_DATASTORES."
        raise Conflict(message, field="name")
    for _ in range(_TRIES):
        row = yield from _row(name)
        there = _decode(row)
        if (yield from default(configured)) == there.name:
            message = f"{shown(name)} is the default datastore. Make another one the default before."
            raise Conflict(message, field="name")
        if there.sealed:
            yield from Forget(owner=there.name, purpose=_purpose(there), sealed=there.sealed)
        try:
            yield from Commit(table=CATALOG, pk=KIND, writes=(Delete(rk=_key(name), etag=row.etag),))
        except Refused as refused:
            if refused.reason is Reason.MISSING:
                return there  # somebody else has removed it meanwhile
            continue  # it was registered anew, with another secret
        except Unanswered:
            message = "Storage did not say whether the datastore was removed. Send the request again."
            raise Unavailable(message) from None
        return there
    raise Unavailable("The name is being registered by others. Send the request again.")


def _forget(found: Datastore) -> Task[None]:
    """Let go of a secret that no row names. If that fails, `catalog.orphaned_secrets` finds it later."""
    if found.sealed:
        with suppress(Unavailable):
            yield from Forget(owner=found.name, purpose=_purpose(found), sealed=found.sealed)


def default(configured: Mapping[str, str]) -> Task[str]:
    """The name of the default datastore."""
    row = yield from Get(table=CATALOG, pk=KIND, rk=_DEFAULT)
    chosen = "" if row is None else str(row.props["name"])
    if chosen in configured or (chosen and (yield from Get(table=CATALOG, pk=KIND, rk=_key(chosen))) is not None):
        return chosen
    return next(iter(configured))


def set_default(name: str, *, configured: Mapping[str, str]) -> Task[str]:
    """Make it the default; its name. Raises UnknownThing; InvalidRequest for one without files."""
    yield from address(configured, name)
    chosen = name if name in configured else (yield from get(name)).name
    try:
        yield from Commit(table=CATALOG, pk=KIND, writes=(Upsert(rk=_DEFAULT, props={"v": VERSION, "name": chosen}),))
    except Unanswered:
        raise Unavailable("Storage did not say whether the default was changed. Send the request again.") from None
    return chosen


def _purpose(found: Datastore) -> str:
    """What its secret is for: this datastore, at this address, and no other."""
    return datastores.encode(_plain(found)).decode()


def _plain(found: Datastore) -> Datastore:
    """As it was asked for."""
    return msgspec.structs.replace(found, sealed="", created_at=0.0)


def _key(name: str) -> str:
    return f"d|{name.lower()}"


def _decode(row: Row) -> Datastore:
    return datastores.decode(str(row.props["datastore"]))
