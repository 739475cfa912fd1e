"""Names of datastores, and the addresses of the containers behind them (see `orchestrator.core.datastore`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from orchestrator.core.errors import MillstreamError, UserError
from orchestrator.core.secret import Secret
from steps.failures import InvalidStep, StepFailure, StorageFailed


class Datastores(Protocol):
    """Addresses by name; a mapping is one. `__getitem__` raises KeyError, or a MillstreamError that says more."""

    def __getitem__(self, name: str, /) -> str: ...


@dataclass(frozen=True, slots=True)
class AllDatastores:
    """Those of the settings, which cost nothing, and those registered, for which `find` is asked each time.

    connect: the URL of a SQL datastore, with its password.
    """

    configured: Mapping[str, str]
    find: Callable[[str], str]
    connect: Callable[[str], Secret]

    def __getitem__(self, name: str, /) -> str:
        return self.configured[name] if name in self.configured else self.find(name)


def default_of(datastores: Datastores) -> str:
    """The name of the first datastore of the settings, which is in the service's own account."""
    own = datastores.configured if isinstance(datastores, AllDatastores) else datastores
    return next(iter(own)) if isinstance(own, Mapping) else "workspaceblobstore"


def container_of(datastores: Datastores, datastore: str) -> str:
    """The address of the container behind a datastore. Raises InvalidStep, StorageFailed."""
    with _failing(datastore):
        return datastores[datastore]


def database_of(datastores: Datastores, datastore: str) -> Secret:
    """The SQLAlchemy URL of a SQL datastore, with its password. Raises InvalidStep, StorageFailed."""
    with _failing(datastore):
        if not isinstance(datastores, AllDatastores) or datastore in datastores.configured:
            raise InvalidStep(f"{datastore!r} is no SQL datastore.")
        return datastores.connect(datastore)


@contextmanager
def _failing(datastore: str) -> Iterator[None]:
    try:
        yield
    except KeyError:
        raise InvalidStep(f"There is no datastore {datastore!r}.") from None
    except UserError as error:
        raise InvalidStep(error.message) from error
    except StepFailure:
        raise
    except MillstreamError as error:
        raise StorageFailed(f"The datastore {datastore!r} could not be looked up: {error.message}") from error
