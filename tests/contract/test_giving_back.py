"""The message of a dead worker, on real storage: shown at once, unless somebody else has it or it is done with."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from azurerest.account import Account
from azurerest.queues import Message, Queues
from azurerest.transport import Transport
from tests.azurite import Azurite
from worker.giving_back import give_back
from worker.supervisor import Holding

GiveBack = Callable[[Holding, float], None]


@pytest.fixture
def back(azurite: Azurite) -> GiveBack:
    return partial(give_back, {"AzureWebJobsStorage": azurite.connection})


@pytest.fixture
def queues(azurite: Azurite) -> Queues:
    return Queues(Account.from_connection_string(azurite.connection), Transport())


@pytest.fixture
def queue(queues: Queues) -> Iterator[str]:
    name = f"held-{secrets.token_hex(4)}"
    queues.create(name)
    queues.put(name, "a step")
    yield name
    queues.delete_queue(name)


def held(queue: str, message: Message, receipt: str = "") -> Holding:
    return Holding(queue=queue, message=message.id, receipt=receipt or message.pop_receipt)


def test_it_is_there_for_others_at_once_and_counted(back: GiveBack, queues: Queues, queue: str) -> None:
    (message,) = queues.receive(queue, visibility=300)
    back(held(queue, message), 0.0)
    (again,) = queues.receive(queue, visibility=300)
    assert (again.id, again.dequeue_count) == (message.id, 2)


def test_an_outdated_receipt_changes_nothing(back: GiveBack, queues: Queues, queue: str) -> None:
    (message,) = queues.receive(queue, visibility=300)
    queues.update(queue, message.id, message.pop_receipt, visibility=300)
    back(held(queue, message), 0.0)
    assert not queues.receive(queue, visibility=300), "whoever renewed it has it still"


def test_what_is_done_with_stays_so(back: GiveBack, queues: Queues, queue: str) -> None:
    (message,) = queues.receive(queue, visibility=300)
    queues.delete(queue, message.id, message.pop_receipt)
    back(held(queue, message), 0.0)
    assert not queues.receive(queue, visibility=300)


def test_it_is_given_back_once(back: GiveBack, queues: Queues, queue: str) -> None:
    (message,) = queues.receive(queue, visibility=300)
    back(held(queue, message), 0.0)
    (another,) = queues.receive(queue, visibility=300)
    back(held(queue, message), 0.0)
    assert not queues.receive(queue, visibility=300)
    queues.delete(queue, another.id, another.pop_receipt)
