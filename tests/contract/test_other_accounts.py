"""Containers of other accounts, by every way to authenticate: the worker's store and the signed URLs of clients."""

from __future__ import annotations

import io
import os
import ssl
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError

import msgspec
import pytest
import trustme

from azurerest import Account, Transport
from orchestrator.adapters.azure import AzureWorld
from orchestrator.adapters.azure_files import AzureFiles
from orchestrator.adapters.containers import Containers
from orchestrator.core.datastore import Auth, Datastore, address_of
from orchestrator.core.errors import Conflict, InvalidRequest, UnknownThing
from orchestrator.core.secret import Secret
from orchestrator.files import FileSize, ListFiles, ReadPart, SignDownload, SignUpload, TryContainer
from steps.blob_copies import BlobOrigin
from steps.parts import PART
from steps.places import routed
from steps.store import BlobExists, BlobMissing, StoreFailed
from tests.accounts import OTHER, OTHER_KEY, Accounts, running_accounts
from tests.azurite import AzuriteMissing
from tests.identity import CLIENT, SECRET, TENANT, Identity, running_identity

pytestmark = pytest.mark.azurite

SIGNING: tuple[Auth, ...] = ("account_key", "service_principal", "identity")
WRITING: tuple[Auth, ...] = (*SIGNING, "sas")


class Place(NamedTuple):
    """The service's world and containers; `known`: what is registered, with the secrets."""

    accounts: Accounts
    identity: Identity
    world: AzureWorld
    containers: Containers
    known: dict[str, tuple[Datastore, Secret]]
    ca_file: str

    def registered(self, auth: Auth, **changes: str) -> str:
        """The address of a datastore, over a container of its own."""
        found, secret = self.described(auth, **changes)
        if "container" not in changes:
            self.accounts.blobs.create_container(found.container)
        self.known[found.name] = found, secret
        return address_of(found)

    def described(self, auth: Auth, **changes: str) -> tuple[Datastore, Secret]:
        container = f"c-{uuid.uuid4().hex}"
        secrets = {
            "account_key": OTHER_KEY,
            "sas": self.accounts.container_sas(changes.get("container", container)),
            "service_principal": SECRET,
        }
        principal = {"tenant": TENANT, "client": CLIENT, "authority": self.identity.url}
        found = Datastore(
            name=f"d{len(self.known)}",
            type="AzureBlob",
            auth=auth,
            account=OTHER,
            container=container,
            endpoint=self.accounts.endpoint,
        )
        all_changes = {**(principal if auth == "service_principal" else {}), **changes}
        return msgspec.structs.replace(found, **all_changes), Secret(secrets.get(auth, ""))

    def fetch(self, url: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """One request as a client makes it: PUT if there is data."""
        request = urllib.request.Request(url, data, headers or {}, method="GET" if data is None else "PUT")
        trust = ssl.create_default_context(cafile=self.ca_file)
        try:
            with urllib.request.urlopen(request, context=trust, timeout=10) as answer:
                return answer.status, answer.read()
        except HTTPError as refused:
            with refused:
                return refused.code, refused.read()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    paths = {name: str(folder / f"{name}.pem") for name in ("ca", "cert", "key")}
    authority.cert_pem.write_to_path(paths["ca"])
    certificate.cert_chain_pems[0].write_to_path(paths["cert"])
    certificate.private_key_pem.write_to_path(paths["key"])
    options = ["--oauth", "basic", "--cert", paths["cert"], "--key", paths["key"]]
    try:
        with running_accounts(options, ca_file=paths["ca"]) as accounts, running_identity() as identity:
            yield assembled(accounts, identity, paths["ca"])
    except AzuriteMissing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


def assembled(accounts: Accounts, identity: Identity, ca_file: str) -> Place:
    known: dict[str, tuple[Datastore, Secret]] = {}

    def find(name: str) -> tuple[Datastore, Secret]:
        try:
            return known[name]
        except KeyError:
            raise UnknownThing(f"There is no datastore {name}.") from None

    transport = Transport(ca_file=ca_file)
    world = AzureWorld(Account.from_connection_string(accounts.azurite.connection), transport)
    containers = Containers(world.blobs, find=find, variables=identity.variables)
    AzureFiles(containers).install(world)
    return Place(accounts, identity, world, containers, known, ca_file)


@pytest.mark.parametrize("auth", SIGNING)
def test_clients_write_and_read_by_signed_urls(place: Place, auth: Auth) -> None:
    address = place.registered(auth)
    signed = place.world.run(iter(SignUpload(container=address, name="a b/ü.csv", seconds=60)))
    assert place.fetch(signed.url, b"data", dict(signed.headers))[0] == 201
    assert place.fetch(signed.url, b"again", dict(signed.headers))[0] == 409
    assert place.world.run(iter(FileSize(container=address, name="a b/ü.csv"))) == 4
    part = place.world.run(iter(ReadPart(container=address, name="a b/ü.csv", start=1, limit=2)))
    assert part is not None
    assert part.data == b"at"
    (item,) = place.world.run(iter(ListFiles(container=address, prefix="a"))).items
    url = place.world.run(iter(SignDownload(container=address, name=item.name, seconds=60)))
    assert place.fetch(url) == (200, b"data")
    assert place.fetch(url, b"x", {"x-ms-blob-type": "BlockBlob"})[0] == 403
    for secret in (OTHER_KEY, SECRET):
        assert secret not in url


def test_a_key_for_signing_is_asked_for_once(place: Place) -> None:
    address = place.registered("service_principal")
    before = len(place.identity.asked)
    for number in range(3):
        place.world.run(iter(SignDownload(container=address, name=f"{number}", seconds=60)))
    assert len(place.identity.asked) == before + 1


def test_a_sas_lists_and_does_not_sign(place: Place) -> None:
    address = place.registered("sas")
    assert place.world.run(iter(ListFiles(container=address, prefix=""))).items == ()
    for effect in (
        SignUpload(container=address, name="x", seconds=60),
        SignDownload(container=address, name="x", seconds=60),
    ):
        with pytest.raises(Conflict, match="cannot sign"):
            place.world.run(iter(effect))


@pytest.mark.parametrize("auth", WRITING)
@pytest.mark.parametrize("size", [0, 5, 2 * PART + 7])
def test_steps_write_read_and_copy(place: Place, auth: Auth, size: int) -> None:
    address, store = place.registered(auth), routed(place.containers.at)
    data = os.urandom(size)
    store.upload(address, "runs/r/a", io.BytesIO(data))
    for _ in range(2):
        store.copy(address, "runs/r/a", "kept/a", owner="r", replace=False)
    with pytest.raises(BlobExists):
        store.copy(address, "runs/r/a", "kept/a", owner="other", replace=False)
    store.copy(address, "runs/r/a", "kept/a", owner="other", replace=True)
    sink = io.BytesIO()
    assert store.download(address, "kept/a", sink).size == size
    assert sink.getvalue() == data
    assert [found.name for found in store.list(address, "")] == ["kept/a", "runs/r/a"]
    store.put(address, "small", b"x")
    found = store.find(address, "small")
    assert found is not None
    assert found.size == 1


def test_a_copy_tells_nobody_the_sas(place: Place) -> None:
    """Storage keeps the URL that a copy came from, and shows it to whoever may read the copy."""
    address, store = place.registered("sas"), routed(place.containers.at)
    store.put(address, "a", b"x")
    store.copy(address, "a", "b", owner="r", replace=False)
    container = place.known[address.partition("@")[0]][0].container
    url = f"{place.accounts.blobs.url(container, 'b')}?{place.accounts.container_sas(container, 'r')}"
    with urllib.request.urlopen(url, context=ssl.create_default_context(cafile=place.ca_file), timeout=10) as answer:
        assert "sig=" not in str(answer.headers)


@pytest.mark.parametrize("auth", WRITING)
def test_what_opens_a_container_signs_a_url_for_the_storage_that_copies_from_it(place: Place, auth: Auth) -> None:
    """Azurite does not fetch from itself over TLS; the rest is in test_blob_copies."""
    address, store = place.registered(auth), routed(place.containers.at)
    store.put(address, "in/a ü", b"data")
    (found,) = store.list(address, "in/")
    origin = store.origin(address, found)
    assert isinstance(origin, BlobOrigin)
    assert place.fetch(origin.url()) == (200, b"data")
    if auth != "sas":
        assert place.fetch(origin.url(), b"more", {"x-ms-blob-type": "BlockBlob"})[0] == 403, "it may be read only"


def test_a_container_elsewhere_is_not_made_in_passing(place: Place) -> None:
    address, store = place.registered("account_key", container="not-there"), routed(place.containers.at)
    with pytest.raises(BlobMissing):
        store.put(address, "x", b"x")
    assert not place.accounts.blobs.container_exists("not-there")
    assert place.world.run(iter(ListFiles(container=address, prefix=""))).items == ()


def test_what_is_registered_anew_is_not_mistaken(place: Place) -> None:
    address = place.registered("account_key")
    name = address.partition("@")[0]
    store = routed(place.containers.at)
    store.put(address, "x", b"x")
    found, secret = place.known[name]
    place.known[name] = msgspec.structs.replace(found, container="other"), secret
    assert store.find(address, "x") is not None, "whoever began with it goes on"
    with pytest.raises(StoreFailed, match="registered anew"):
        store.find(f"{name}@0123456789abcdef", "x")
    del place.known[name]
    with pytest.raises(StoreFailed, match="no datastore"):
        store.find(f"{name}@0123456789abcdef", "x")


def test_a_key_that_is_wrong_by_now_is_said(place: Place) -> None:
    address = place.registered("account_key")
    name = address.partition("@")[0]
    place.known[name] = place.known[name][0], Secret("d3Jvbmc=")
    with pytest.raises(Conflict, match=r"refuses.*overwrite=True"):
        place.world.run(iter(ListFiles(container=address, prefix="")))
    with pytest.raises(StoreFailed) as failed:
        list(routed(place.containers.at).list(address, ""))
    assert "d3Jvbmc=" not in str(failed.value)


def test_a_stranger_reads_what_is_open(place: Place) -> None:
    address = place.registered("identity")
    strange = Containers(place.world.blobs, find=lambda name: place.known[name])
    place.accounts.blobs.put(place.known[address.partition("@")[0]][0].container, "x", b"x")
    world = AzureWorld(Account.from_connection_string(place.accounts.azurite.connection))
    AzureFiles(strange).install(world)
    assert "?" not in world.run(iter(SignDownload(container=address, name="x", seconds=60)))
    with pytest.raises(Conflict, match="cannot sign"):
        world.run(iter(SignUpload(container=address, name="x", seconds=60)))


@pytest.mark.parametrize("auth", WRITING)
def test_what_can_be_reached_is_in_order(place: Place, auth: Auth) -> None:
    found, secret = place.described(auth)
    place.accounts.blobs.create_container(found.container)
    place.world.run(iter(TryContainer(datastore=found, secret=secret)))


def test_a_container_is_made_when_that_is_wished(place: Place) -> None:
    found, secret = place.described("account_key")
    with pytest.raises(InvalidRequest, match="no container") as refused:
        place.world.run(iter(TryContainer(datastore=found, secret=secret)))
    assert refused.value.field == "container"
    place.world.run(iter(TryContainer(datastore=found, secret=secret, create=True)))
    assert place.accounts.blobs.container_exists(found.container)


@pytest.mark.parametrize(
    ("auth", "secret", "changes", "field"),
    [
        ("account_key", "d3Jvbmc=", {}, "secret"),
        ("account_key", "no base64", {}, "auth"),
        ("sas", "sig=wrong&sv=2021-12-02&sr=c&sp=rl&se=2099-01-01T00:00:00Z", {}, "secret"),
        ("sas", "no sas", {}, "auth"),
        ("service_principal", "wrong", {}, "secret"),
        ("identity", "", {"endpoint": "http://lakeaccount.example"}, "auth"),
        ("account_key", OTHER_KEY, {"endpoint": "https://127.0.0.1:9/lakeaccount"}, "endpoint"),
    ],
)
def test_what_cannot_be_reached_is_named(
    place: Place, auth: Auth, secret: str, changes: dict[str, str], field: str
) -> None:
    found, _ = place.described(auth, **changes)
    with pytest.raises(InvalidRequest) as refused:
        place.world.run(iter(TryContainer(datastore=found, secret=Secret(secret))))
    assert refused.value.field == field
    assert not secret or secret not in str(refused.value)
