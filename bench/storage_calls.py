"""What one storage call costs: this repository's client beside the official SDKs, in turns, on the same service.

    python -m bench.storage_calls [--calls 300] [--connection STRING]

Prints, for each verb, the median milliseconds of a call and the client's CPU milliseconds, and both ratios. Ratios hold
between machines better than figures. Without --connection an Azurite is started for the run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from azure.core import MatchConditions
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import BinaryBase64DecodePolicy, BinaryBase64EncodePolicy, QueueClient

from azurerest import Account, Blobs, Op, Queues, Tables, Transport, odata
from tests.azurite import running_azurite

Action = Callable[[int], object]
BODY = os.urandom(600)
BLOB = os.urandom(1024)
PROPS: dict[str, Any] = {"st": "run", "attempt": 1, "owner": "a1b2c3d4", "out": "x" * 200}


class Verb(NamedTuple):
    """The same call by both clients. The number is unique within a client's calls."""

    name: str
    ours: Action
    theirs: Action


class Cost(NamedTuple):
    """Milliseconds a call: median wall, mean CPU of this process."""

    wall: float
    cpu: float


def table_verbs(account: Account, transport: Transport, connection: str) -> Iterator[Verb]:
    tables = Tables(account, transport)
    name = f"t{uuid.uuid4().hex}"
    tables.create(name)
    sdk = TableServiceClient.from_connection_string(connection).get_table_client(name)

    def row(number: int, prefix: str = "s") -> dict[str, Any]:
        return {"PartitionKey": "p", "RowKey": f"{prefix}{number:06d}", **PROPS}

    yield Verb(
        "table insert",
        lambda n: tables.insert(name, "p", f"o{n:06d}", PROPS),
        lambda n: sdk.create_entity(row(n)),
    )
    yield Verb("table get", lambda n: tables.get(name, "p", f"o{n:06d}"), lambda n: sdk.get_entity("p", f"s{n:06d}"))
    etags = {"ours": tables.upsert_merge(name, "m", "o", PROPS), "theirs": tables.upsert_merge(name, "m", "s", PROPS)}

    def merge(_: int) -> None:
        etags["ours"] = tables.merge(name, "m", "o", {"st": "done"}, etag=etags["ours"])

    def sdk_merge(_: int) -> None:
        entity = {"PartitionKey": "m", "RowKey": "s", "st": "done"}
        answer = sdk.update_entity(entity, etag=etags["theirs"], match_condition=MatchConditions.IfNotModified)
        etags["theirs"] = answer["etag"]

    yield Verb("table merge if-match", merge, sdk_merge)
    for size in (2, 10, 100):
        ops = [Op.upsert_merge("x", f"{k}", PROPS) for k in range(size)]
        sdk_ops = [("upsert", {"PartitionKey": "y", "RowKey": f"{k}", **PROPS}) for k in range(size)]
        transact = partial(tables.transact, name, ops)
        submit = partial(sdk.submit_transaction, sdk_ops)
        yield Verb(f"table transaction {size}", _unnumbered(transact), _unnumbered(submit))
    text = odata.key_range("x", "1", "2")
    yield Verb(
        "table query 11 rows",
        lambda _: tables.query(name, text),
        lambda _: list(sdk.query_entities(text)),
    )


def queue_verbs(account: Account, transport: Transport, connection: str) -> Iterator[Verb]:
    queues = Queues(account, transport)
    name = f"q-{uuid.uuid4().hex}"
    queues.create(f"{name}-o")
    queues.create(f"{name}-s")
    sdk = QueueClient.from_connection_string(
        connection,
        f"{name}-s",
        message_encode_policy=BinaryBase64EncodePolicy(),
        message_decode_policy=BinaryBase64DecodePolicy(),
    )
    ours: list[Any] = []
    theirs: list[Any] = []
    yield Verb("queue put", lambda _: queues.put(f"{name}-o", BODY), lambda _: sdk.send_message(BODY))
    yield Verb(
        "queue receive",
        lambda _: ours.extend(queues.receive(f"{name}-o", 1, 600)),
        lambda _: theirs.append(sdk.receive_message(visibility_timeout=600)),
    )

    def renew(_: int) -> None:
        message = ours.pop(0)
        receipt = queues.update(f"{name}-o", message.id, message.pop_receipt, visibility=600)
        ours.append(receipt)

    def sdk_renew(_: int) -> None:
        theirs.append(sdk.update_message(theirs.pop(0), visibility_timeout=600))

    yield Verb("queue update", renew, sdk_renew)

    def delete(_: int) -> None:
        message = ours.pop()
        queues.delete(f"{name}-o", message.id, message.pop_receipt)

    yield Verb("queue delete", delete, lambda _: sdk.delete_message(theirs.pop()))


def blob_verbs(account: Account, transport: Transport, connection: str) -> Iterator[Verb]:
    blobs = Blobs(account, transport)
    name = f"c-{uuid.uuid4().hex}"
    blobs.create_container(name)
    sdk = BlobServiceClient.from_connection_string(connection).get_container_client(name)
    yield Verb(
        "blob put 1 KB",
        lambda n: blobs.put(name, f"o{n}", BLOB),
        lambda n: sdk.upload_blob(f"s{n}", BLOB, overwrite=True),
    )
    yield Verb(
        "blob get 1 KB",
        lambda n: blobs.get(name, f"o{n}"),
        lambda n: sdk.download_blob(f"s{n}").readall(),
    )
    yield Verb(
        "blob head",
        lambda n: blobs.head(name, f"o{n}"),
        lambda n: sdk.get_blob_client(f"s{n}").get_blob_properties(),
    )
    blobs.append_create(name, "log-o")
    blobs.append_create(name, "log-s")
    log = sdk.get_blob_client("log-s")
    yield Verb("blob append 1 KB", lambda _: blobs.append(name, "log-o", BLOB), lambda _: log.append_block(BLOB))


def _unnumbered(action: Callable[[], object]) -> Action:
    return lambda _: action()


def measure(verb: Verb, calls: int) -> tuple[Cost, Cost]:
    """Calls by both clients in turns of ten, so that both meet the same service and the same machine."""
    walls: tuple[list[float], list[float]] = ([], [])
    cpus = [0.0, 0.0]
    for start in range(0, calls, 10):
        for which, action in enumerate((verb.ours, verb.theirs)):
            cpu = time.process_time()
            for number in range(start, min(start + 10, calls)):
                begun = time.perf_counter()
                action(number)
                walls[which].append(time.perf_counter() - begun)
            cpus[which] += time.process_time() - cpu
    ours, theirs = (Cost(statistics.median(walls[k]) * 1e3, cpus[k] / calls * 1e3) for k in (0, 1))
    return ours, theirs


@contextmanager
def service(connection: str | None) -> Iterator[str]:
    if connection is not None:
        yield connection
        return
    with running_azurite() as azurite:
        yield azurite.connection


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--connection")
    options = parser.parse_args()
    with service(options.connection) as connection:
        account = Account.from_connection_string(connection)
        transport = Transport()
        print(f"{'call':24}{'p50 ms':>8}{'SDK':>8}{'ratio':>8}   {'CPU ms':>8}{'SDK':>8}{'ratio':>8}")
        for verbs in (table_verbs, queue_verbs, blob_verbs):
            for verb in verbs(account, transport, connection):
                ours, theirs = measure(verb, options.calls)
                print(
                    f"{verb.name:24}{ours.wall:8.2f}{theirs.wall:8.2f}{ours.wall / theirs.wall:8.2f}   "
                    f"{ours.cpu:8.3f}{theirs.cpu:8.3f}{ours.cpu / theirs.cpu:8.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
