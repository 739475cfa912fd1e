"""What moving much data costs: the step worker's way beside azure-storage-blob and obstore, on the same service.

    python -m bench.bulk [--files 500] [--kilobytes 200] [--megabytes 2000] [--rounds 9] [--large-rounds 3]
                         [--connection STRING]

Many small files and one large one go up as a step's output and come down as a step's input: the worker hashes them on
the way and checks the hash, the peers do not. Everybody moves the same files between the same disk and the same
service, in turns; the order changes with each round. Prints the medians of the rounds: seconds, CPU seconds of this
process, and the ratio to the faster peer of the same round, since on a machine that does other things, too, rounds
differ more than clients; and the requests and bytes of the worker. obstore is no dependency of this repository:
`pip install obstore==0.12.1`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Protocol

from azure.storage.blob import BlobServiceClient

from azurerest import Account, Blobs, Call, Transport
from devhost.azurite import Azurite
from orchestrator.core.result import File
from steps.azure_store import AzureStore
from steps.settings import WorkerSettings
from steps.stop import Stop
from steps.transfer import Fetch, Pool, Push, fetch_all, push_all

obstore: Any = importlib.import_module("obstore")
object_stores: Any = importlib.import_module("obstore.store")

THREADS = 8
BLOCK = 8 * 1024 * 1024


class Client(Protocol):
    """Moves files. Blobs are named by the files' numbers, below a prefix of the client's own."""

    name: str

    def up(self, files: Sequence[Path]) -> None: ...

    def down(self, files: Sequence[Path], folder: Path) -> None: ...


class Ours:
    name = "worker"

    def __init__(self, connection: str, container: str) -> None:
        self.requests: Counter[str] = Counter()
        transport = Transport(observer=self._count)
        self._store = AzureStore(Blobs(Account.from_connection_string(connection), transport))
        self._container = container
        self._pool = Pool(WorkerSettings(cache_dir=Path()).transfer_threads)
        self._stored: list[File] = []

    def _count(self, call: Call) -> None:
        self.requests.update({call.verb: 1, "bytes": call.sent + call.received})

    def up(self, files: Sequence[Path]) -> None:
        pushes = [
            Push(container=self._container, name=f"ours/{number}", source=path, path=str(number))
            for number, path in enumerate(files)
        ]
        self._stored = push_all(self._pool, self._store, pushes, Stop())

    def down(self, files: Sequence[Path], folder: Path) -> None:  # noqa: ARG002 - it knows what it has stored
        fetches = [
            Fetch(container=self._container, name=f"ours/{file.path}", target=folder / file.path, expected=file)
            for file in self._stored
        ]
        fetch_all(self._pool, self._store, fetches, Stop())


class Sdk:
    """azure-storage-blob: threads for many files, its own concurrency for a large one."""

    name = "sdk"

    def __init__(self, connection: str, container: str) -> None:
        service = BlobServiceClient.from_connection_string(
            connection, max_block_size=BLOCK, max_single_put_size=BLOCK, max_chunk_get_size=BLOCK
        )
        self._client = service.get_container_client(container)
        self._threads = ThreadPoolExecutor(THREADS)

    def up(self, files: Sequence[Path]) -> None:
        def one(number: int) -> None:
            with files[number].open("rb") as source:
                self._client.upload_blob(f"sdk/{number}", source, overwrite=True, max_concurrency=_concurrency(files))

        list(self._threads.map(one, range(len(files))))

    def down(self, files: Sequence[Path], folder: Path) -> None:
        def one(number: int) -> None:
            with (folder / str(number)).open("wb") as sink:
                self._client.download_blob(f"sdk/{number}", max_concurrency=_concurrency(files)).readinto(sink)

        list(self._threads.map(one, range(len(files))))


class Obstore:
    """obstore: threads for many files, its own concurrency up and a stream down for a large one."""

    name = "obstore"

    def __init__(self, connection: str, container: str) -> None:
        account = dict(part.split("=", 1) for part in connection.split(";") if part)
        self._store = object_stores.AzureStore(
            container,
            account_name=account["AccountName"],
            account_key=account["AccountKey"],
            endpoint=account["BlobEndpoint"],
            client_options={"allow_http": True},
        )
        self._threads = ThreadPoolExecutor(THREADS)

    def up(self, files: Sequence[Path]) -> None:
        def one(number: int) -> None:
            concurrency = _concurrency(files)
            obstore.put(self._store, f"obs/{number}", files[number], chunk_size=BLOCK, max_concurrency=concurrency)

        list(self._threads.map(one, range(len(files))))

    def down(self, files: Sequence[Path], folder: Path) -> None:
        def one(number: int) -> None:
            with (folder / str(number)).open("wb") as sink:
                if len(files) > 1:
                    sink.write(obstore.get(self._store, f"obs/{number}").bytes())
                    return
                size = files[0].stat().st_size
                for start in range(0, size, BLOCK * 4):
                    starts = list(range(start, min(size, start + BLOCK * 4), BLOCK))
                    ends = [min(size, begin + BLOCK) for begin in starts]
                    for data in obstore.get_ranges(self._store, f"obs/{number}", starts=starts, ends=ends):
                        sink.write(data)

        list(self._threads.map(one, range(len(files))))


class Cost(NamedTuple):
    """Seconds: on the clock, and of this process's CPU."""

    wall: float
    cpu: float


def _concurrency(files: Sequence[Path]) -> int:
    return 1 if len(files) > 1 else 4


def make_files(folder: Path, count: int, size: int) -> list[Path]:
    """Files of random bytes."""
    folder.mkdir()
    block = os.urandom(min(size, 64 << 20))
    made = []
    for number in range(count):
        path = folder / str(number)
        with path.open("wb") as sink:
            left = size
            while left:
                left -= sink.write(block[: min(left, len(block))])
        made.append(path)
    return made


def timed(do: Callable[[], None]) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    do()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def measure(
    clients: Sequence[Client], files: Sequence[Path], rounds: int, scratch: Path
) -> dict[str, list[list[Cost]]]:
    """What each client took in each round, up and down."""
    found: dict[str, list[list[Cost]]] = {client.name: [[], []] for client in clients}
    for turn in range(rounds):
        for client in [*clients[turn % len(clients) :], *clients[: turn % len(clients)]]:
            found[client.name][0].append(timed(partial(client.up, files)))
            folder = scratch / "down"
            folder.mkdir()
            found[client.name][1].append(timed(partial(client.down, files, folder)))
            for path in files:
                if (folder / path.name).stat().st_size != path.stat().st_size:
                    raise SystemExit(f"{client.name} brought {path.name} with another size")
            shutil.rmtree(folder)
    return found


@contextmanager
def service(connection: str | None, scratch: Path) -> Iterator[str]:
    if connection is not None:
        yield connection
        return
    with Azurite.start(location=scratch / "azurite") as azurite:
        yield azurite.connection_string


def report(what: str, size: int, costs: dict[str, list[list[Cost]]]) -> None:
    for which, direction in enumerate(("up", "down")):
        peers = [both[which] for name, both in costs.items() if name != Ours.name]
        fastest = [min(cost.wall for cost in turn) for turn in zip(*peers, strict=True)]
        for name, both in costs.items():
            wall = median(cost.wall for cost in both[which])
            cpu = median(cost.cpu for cost in both[which])
            ratios = sorted(cost.wall / least for cost, least in zip(both[which], fastest, strict=True))
            print(
                f"{what:16}{direction:6}{name:10}{wall:8.2f} s{size / wall / 1e6:8.0f} MB/s{cpu:8.2f} s CPU"
                f"{median(ratios):8.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--kilobytes", type=int, default=200)
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--large-rounds", type=int, default=3)
    parser.add_argument("--connection")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bulk-") as folder, service(options.connection, Path(folder)) as connection:
        container = f"bulk-{uuid.uuid4().hex}"
        Blobs(Account.from_connection_string(connection), Transport()).create_container(container)
        ours = Ours(connection, container)
        clients: list[Client] = [ours, Sdk(connection, container), Obstore(connection, container)]
        sets = (
            (options.files, options.kilobytes * 1000, options.rounds, "small"),
            (1, options.megabytes * 1_000_000, options.large_rounds, "large"),
        )
        for count, size, rounds, label in sets:
            if not rounds:
                continue
            files = make_files(Path(folder) / label, count, size)
            for client in clients:
                client.up(files[:1] if count > 1 else files[:0])
            ours.requests.clear()
            costs = measure(clients, files, rounds, Path(folder))
            report(f"{count} x {size / 1e6:g} MB", count * size, costs)
            each = {what: number // rounds for what, number in ours.requests.items()}
            print(f"the worker's requests in a round: {each}", flush=True)


if __name__ == "__main__":
    main()
