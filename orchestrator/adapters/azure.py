"""The world on Azure storage: tables, queues and blobs of one account, over the REST client `azurerest`.

Tables, queues and the system container are created when the service says that they are missing, so a start costs
nothing and a deleted queue comes back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

from azurerest.account import Account
from azurerest.batch import Op
from azurerest.blobs import Blobs
from azurerest.entity import Entity
from azurerest.errors import (
    Busy,
    Conflict,
    Invalid,
    NotFound,
    PreconditionFailed,
    StorageError,
    Unreachable,
)
from azurerest.errors import Unanswered as NoAnswer
from azurerest.odata import key_range
from azurerest.queues import Queues
from azurerest.tables import Tables
from azurerest.transport import Transport
from orchestrator.adapters.driver import Clock, World
from orchestrator.adapters.limits import check_commit, check_send
from orchestrator.core.errors import Broken, Unavailable
from orchestrator.ports import (
    Commit,
    Delete,
    Get,
    Insert,
    Merge,
    Query,
    ReadBlob,
    Reason,
    Refused,
    Row,
    Send,
    ServerNow,
    Unanswered,
    Write,
    WriteBlob,
)

R = TypeVar("R")

ROWS_A_PAGE: Final = 1000
_PAUSES = (0.1, 0.4, 1.0)
_LONGEST_PAUSE = 5.0
_NOT_APPLIED: Final = (Busy, Unreachable)
_PERHAPS_APPLIED: Final = (Busy, Unreachable, NoAnswer)
_NO_HOME = ("TableNotFound", "QueueNotFound", "ContainerNotFound")


class AzureWorld(World):
    """A process's world over a storage account.

    container: where the documents of the system lie. Raises, as the effects say, Refused, Unanswered, Unavailable and
    Broken; nothing of `azurerest` comes through.
    """

    def __init__(
        self,
        account: Account,
        transport: Transport | None = None,
        *,
        container: str = "millstream",
        clock: Clock | None = None,
    ) -> None:
        super().__init__(clock=clock)
        transport = transport or Transport()
        self.tables = Tables(account, transport)
        self.queues = Queues(account, transport)
        self.blobs = Blobs(account, transport)
        self._container = container
        self.register(Get, self._get)
        self.register(Query, self._query)
        self.register(Commit, self._commit)
        self.register(Send, self._send)
        self.register(ReadBlob, self._read_blob)
        self.register(WriteBlob, self._write_blob)
        self.register(ServerNow, lambda _: self._server_now(transport))

    def _get(self, get: Get) -> Row | None:
        try:
            found = self.tables.get(get.table, get.pk, get.rk)
        except StorageError as fault:
            if fault.code == "TableNotFound":
                return None
            _fail(fault)
        return _row(found) if found else None

    def _query(self, query: Query) -> tuple[Row, ...]:
        rows: list[Row] = []
        where = key_range(query.pk, query.first, query.last)
        continuation: str | None = None
        try:
            while True:
                top = None if query.limit is None else min(query.limit - len(rows), ROWS_A_PAGE)
                page = self.tables.query(query.table, where, query.select, top, continuation)
                rows += [_row(found) for found in page.entities]
                continuation = page.continuation
                if continuation is None or (query.limit is not None and len(rows) >= query.limit):
                    return tuple(rows)
        except StorageError as fault:
            if fault.code == "TableNotFound":
                return ()
            _fail(fault)

    def _commit(self, commit: Commit) -> tuple[str, ...]:
        check_commit(commit)
        try:
            return self._insist(
                lambda: self._apply(commit), lambda: self.tables.create(commit.table), until=_NOT_APPLIED
            )
        except NoAnswer as fault:
            raise Unanswered(str(fault)) from fault
        except StorageError as fault:
            if refused := _refusal(fault, single=len(commit.writes) == 1):
                raise refused from fault
            _fail(fault)

    def _apply(self, commit: Commit) -> tuple[str, ...]:
        if len(commit.writes) > 1:
            return tuple(self.tables.transact(commit.table, [_op(commit.pk, write) for write in commit.writes]))
        (write,) = commit.writes
        table, pk, rk = commit.table, commit.pk, write.rk
        if isinstance(write, Insert):
            return (self.tables.insert(table, pk, rk, write.props),)
        if isinstance(write, Merge):
            return (self.tables.merge(table, pk, rk, write.props, etag=write.etag),)
        if isinstance(write, Delete):
            self.tables.delete(table, pk, rk, etag=write.etag)
            return ("",)
        return (self.tables.upsert_replace(table, pk, rk, write.props),)

    def _send(self, send: Send) -> None:
        check_send(send)
        self._write(
            lambda: self.queues.put(send.queue, send.body, delay=math.ceil(send.delay)),
            lambda: self.queues.create(send.queue),
        )

    def _read_blob(self, read: ReadBlob) -> bytes | None:
        try:
            return self.blobs.get(self._container, read.name).data
        except NotFound:
            return None
        except StorageError as fault:
            _fail(fault)

    def _write_blob(self, write: WriteBlob) -> None:
        self._write(
            lambda: self.blobs.put(self._container, write.name, write.data),
            lambda: self.blobs.create_container(self._container),
        )

    @staticmethod
    def _server_now(transport: Transport) -> float:
        try:
            return transport.server_now()
        except RuntimeError as fault:
            raise Unavailable("Storage has not told the time yet.") from fault

    def _write(self, call: Callable[[], object], create: Callable[[], object]) -> None:
        """A write that may be repeated even when it was perhaps applied."""
        try:
            self._insist(call, create, until=_PERHAPS_APPLIED)
        except StorageError as fault:
            _fail(fault)

    def _insist(self, call: Callable[[], R], create: Callable[[], object], *, until: tuple[type[Exception], ...]) -> R:
        """Repeat a call on `until` a few times, and once after creating what it writes to. Raises StorageError."""
        for pause in _PAUSES:
            try:
                return self._at_home(call, create)
            except until as fault:
                asked = fault.retry_after if isinstance(fault, Busy) else None
                self.clock.sleep(min(max(pause, asked or 0.0), _LONGEST_PAUSE))
        return self._at_home(call, create)

    def _at_home(self, call: Callable[[], R], create: Callable[[], object]) -> R:
        try:
            return call()
        except NotFound as fault:
            if fault.code not in _NO_HOME:
                raise
        create()
        return call()


def _refusal(fault: StorageError, *, single: bool) -> Refused | Unanswered | None:
    """What a definite answer says of a commit, if it says that a condition did not hold."""
    reason: Reason | None = None
    if isinstance(fault, PreconditionFailed):
        reason = Reason.CHANGED
    elif isinstance(fault, NotFound) and fault.code not in _NO_HOME:
        reason = Reason.MISSING
    elif isinstance(fault, Conflict) and fault.code == "EntityAlreadyExists":
        reason = Reason.EXISTS
    if reason is None:
        return None
    if single:
        return Refused(0, reason)
    # Which write was refused decides what happens next; without it, only a fresh look at the rows can tell.
    return Unanswered(str(fault)) if fault.index is None else Refused(fault.index, reason)


def _fail(fault: StorageError) -> NoReturn:
    """What is neither a refusal nor open: a request of ours that is wrong, or storage that does not serve us."""
    if isinstance(fault, Invalid):
        raise Broken(str(fault)) from fault
    raise Unavailable(f"Storage did not serve the request: {fault}") from fault


def _row(found: Entity) -> Row:
    # Our own rows hold no dates and no GUIDs, the two types that a Row does not know.
    return Row(pk=found.pk, rk=found.rk, etag=found.etag, age=found.age, props=found.props)  # type: ignore[arg-type]


def _op(pk: str, write: Write) -> Op:
    if isinstance(write, Insert):
        return Op.insert(pk, write.rk, write.props)
    if isinstance(write, Merge):
        return Op.merge(pk, write.rk, write.props, etag=write.etag)
    if isinstance(write, Delete):
        return Op.delete(pk, write.rk, etag=write.etag)
    return Op.upsert_replace(pk, write.rk, write.props)
