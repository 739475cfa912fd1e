"""What a storage call can raise.

    StorageError
    +- Invalid             400: the request is wrong; repeating it cannot help (also raised before anything is sent)
    |  +- TooLarge         413, or a size limit found before anything is sent
    +- Forbidden           401, 403
    +- NotFound            404
    +- Conflict            409: it exists already, is being deleted, or is leased by someone else
    +- PreconditionFailed  412, and 400 PopReceiptMismatch: the thing has changed since it was read
    +- Busy                429, 503 ServerBusy: refused for load; not applied
    +- Unreachable         no connection, or the request never left this process whole; not applied
    +- Unanswered          sent, and no definite answer came back; it MAY have been applied

Every error but `Unanswered` is definite: the call changed nothing. After `Unanswered` the caller has to look.
"""

from __future__ import annotations


class StorageError(Exception):
    """Root of the tree.

    status: HTTP status, 0 when there was no answer. code: the service's error code ("" if none).
    operation: verb, service and path, without query (so never with a signature). request_id: x-ms-request-id.
    index: position of the failing operation in a table transaction, else None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        operation: str = "",
        request_id: str = "",
        index: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.operation = operation
        self.request_id = request_id
        self.index = index

    def __str__(self) -> str:
        facts = " ".join(str(fact) for fact in (self.status, self.code) if fact)
        where = f"{self.operation}: " if self.operation else ""
        position = f" (operation {self.index})" if self.index is not None else ""
        request = f" [request {self.request_id}]" if self.request_id else ""
        return f"{where}{facts + ': ' if facts else ''}{self.message}{position}{request}"


class Invalid(StorageError):
    """The request itself is wrong; nothing was applied."""


class TooLarge(Invalid):
    """A size limit of the service is exceeded; nothing was applied."""


class Forbidden(StorageError):
    """The credential is missing, wrong, expired or not entitled; nothing was applied."""


class NotFound(StorageError):
    """The resource does not exist; nothing was applied."""


class Conflict(StorageError):
    """It exists already, is being deleted, or is leased by someone else; nothing was applied."""


class PreconditionFailed(StorageError):
    """An If-Match, a lease, an append position or a pop receipt is stale; nothing was applied."""


class Busy(StorageError):
    """Refused for load; nothing was applied. retry_after: seconds the service asks for, None if it does not say."""

    retry_after: float | None = None


class Unreachable(StorageError):
    """No connection could be made or the request did not leave whole; nothing was applied."""


class Unanswered(StorageError):
    """The request left and no definite answer came back: it may or may not have been applied."""


_BY_STATUS: dict[int, type[StorageError]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    413: TooLarge,
    414: Invalid,
    429: Busy,
    431: Invalid,
}
_BY_CODE: dict[str, type[StorageError]] = {
    "PopReceiptMismatch": PreconditionFailed,
    "RequestBodyTooLarge": TooLarge,
    "MessageTooLarge": TooLarge,
    "EntityTooLarge": TooLarge,
    "PropertyValueTooLarge": TooLarge,
    "TooManyProperties": TooLarge,
    "ServerBusy": Busy,
}


def class_of(status: int, code: str) -> type[StorageError]:
    """The error class of an answer. A 5xx other than ServerBusy leaves open whether the request was applied."""
    if status >= 500:
        return Busy if status == 503 and code == "ServerBusy" else Unanswered
    return _BY_CODE.get(code) or _BY_STATUS.get(status, StorageError)
