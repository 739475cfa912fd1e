"""What is wrong with data, as a failure of the step that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from orchestrator.core.errors import Unavailable, UserError
from orchestrator.datasets.errors import FileMissing
from steps.failures import InputMissing, InputUnusable, StepFailure, Stopped, StorageFailed


@contextmanager
def data_failures(what: str) -> Iterator[None]:
    """`what` is being read, by which the message of the StepFailure begins."""
    try:
        yield
    except (StepFailure, Stopped):
        raise
    except FileMissing as error:
        raise InputMissing(f"{what}: {error.message}") from error
    except UserError as error:
        raise InputUnusable(f"{what}: {error.message}") from error
    except Unavailable as error:
        raise StorageFailed(f"{what}: {error.message}") from error
