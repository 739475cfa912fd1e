"""A stand-in for the File service of Azure Storage, for which Azurite has nothing: shares in memory, over real HTTP.

It checks Shared Key and service SAS by its own reading of "Authorize with Shared Key" and "Create a service SAS", and
answers as "Azure Files REST API" says: as far as this project goes, and no further. What it is like is not proved by
the real service, but Microsoft's own client gets on with it (tests/contract/test_azurerest_files.py).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

from azurerest import Account, Files, Transport
from azurerest.auth import SharedKey

ACCOUNT = "shareaccount"
KEY = base64.b64encode(b"the key of an account with a share, 64 bytes long, as of Azure").decode()
MOST_IN_RANGE = 4 * 1024 * 1024
_SIGNED = (
    *("content-encoding", "content-language", "content-length", "content-md5", "content-type", "date"),
    *("if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"),
)
_SAS = ("sp", "st", "se", "resource", "si", "sip", "spr", "sv", "rscc", "rscd", "rsce", "rscl", "rsct")


class Refusal(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@dataclass
class Node:
    """A directory, if it has no data; `name` as it was given."""

    name: str
    etag: str
    data: bytearray | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    modified: str = field(default_factory=lambda: formatdate(usegmt=True))


@dataclass
class Shares:
    """What is kept: for each share its nodes, by their path in lower case. page: entries in a page of a listing.

    calls: verb, path and query of all requests. copied: from where. lose: whether the answer to a request that was done
    is lost. refuse: whether a request is refused.
    """

    url: str = ""
    page: int = 5000
    shares: dict[str, dict[str, Node]] = field(default_factory=dict)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    lose: Callable[[str, str, str], bool] = lambda verb, path, query: False
    refuse: Callable[[str, str, str], bool] = lambda verb, path, query: False
    copied: list[str] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def endpoint(self) -> str:
        return f"{self.url}/{ACCOUNT}"

    def files(self, transport: Transport) -> Files:
        return Files(Account(ACCOUNT, "", "", "", SharedKey(KEY), self.endpoint), transport)

    def etag(self) -> str:
        return f'"0x8D{next(self._numbers):013X}"'

    def nodes(self, share: str) -> dict[str, Node]:
        if share not in self.shares:
            raise Refusal(404, "ShareNotFound")
        return self.shares[share]

    def file(self, share: str, path: str) -> Node:
        node = self.nodes(share).get(path.lower())
        if node is None:
            raise Refusal(404, "ResourceNotFound")
        if node.data is None:
            raise Refusal(409, "ResourceTypeMismatch")
        return node

    def data(self, share: str, path: str) -> bytes:
        return bytes(self.file(share, path).data or b"")

    def put(self, share: str, path: str, node: Node) -> None:
        parent = path.rpartition("/")[0]
        if parent and getattr(self.nodes(share).get(parent.lower()), "data", b"") is not None:
            raise Refusal(404, "ParentNotFound")
        self.nodes(share)[path.lower()] = node


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kept: Shares

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.given = {name.lower(): value for name, value in self.headers.items()}
        self.share, _, self.name = unquote(parts.path).removeprefix(f"/{ACCOUNT}/").partition("/")
        self.kept.calls.append((self.command, unquote(parts.path), parts.query))
        try:
            if self.kept.refuse(self.command, unquote(parts.path), parts.query):
                raise Refusal(403, "AuthenticationFailed")
            with self.kept.lock:
                self.authorize(parts.path)
                status, headers, data = self.answer(body)
        except Refusal as refusal:
            text = f"<?xml version='1.0'?><Error><Code>{refusal.code}</Code><Message>no</Message></Error>"
            status, headers, data = refusal.status, {"x-ms-error-code": refusal.code}, text.encode()
        if self.kept.lose(self.command, unquote(parts.path), parts.query):
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in ({"content-length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_GET(self) -> None:
        self.handle_one()

    do_PUT = do_HEAD = do_DELETE = do_GET  # noqa: N815

    def authorize(self, path: str) -> None:
        if "sig" in self.query:
            self.check_sas()
            return
        values = [self.given.get(name, "") for name in _SIGNED]
        values[2] = "" if values[2] == "0" else values[2]
        values[5] = ""
        own = sorted((name, value) for name, value in self.given.items() if name.startswith("x-ms-"))
        resource = f"/{ACCOUNT}{path}" + "".join(f"\n{name}:{self.query[name]}" for name in sorted(self.query))
        text = "\n".join([self.command, *values, *(f"{name}:{value}" for name, value in own), resource])
        if self.given.get("authorization") != f"SharedKey {ACCOUNT}:{signature(text)}":
            raise Refusal(403, "AuthenticationFailed")

    def check_sas(self) -> None:
        self.check_signature(self.query, self.share, self.name)
        if not set(self.needed()) & set(self.query["sp"]):
            raise Refusal(403, "AuthorizationPermissionMismatch")

    def check_signature(self, query: dict[str, str], share: str, name: str) -> None:
        scope = f"/{name}" if query["sr"] == "f" else ""
        resource = f"/file/{ACCOUNT}/{share}{scope}"
        text = "\n".join(resource if name == "resource" else query.get(name, "") for name in _SAS)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if query["sig"] != signature(text) or not query.get("st", "") <= now <= query["se"]:
            raise Refusal(403, "AuthenticationFailed")

    def needed(self) -> str:
        """One of these permissions is needed."""
        if self.query.get("comp") == "list":
            return "l"
        if self.query.get("restype") == "share":
            return ""
        making = "cw" if self.query.get("comp", "rename") == "rename" else "w"
        return {"GET": "r", "HEAD": "r", "DELETE": "d"}.get(self.command, making)

    def answer(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        comp, kind = self.query.get("comp", ""), self.query.get("restype", "")
        if kind == "share":
            return self.make_share()
        if comp == "list":
            return 200, {"content-type": "application/xml"}, self.listing()
        if kind == "directory":
            return self.make_directory()
        if self.command in ("GET", "HEAD"):
            return self.read()
        if self.command == "DELETE":
            self.kept.file(self.share, self.name)
            del self.kept.nodes(self.share)[self.name.lower()]
            return 202, {}, b""
        if comp == "range":
            return self.write(body)
        return {"rename": self.rename, "properties": self.resize}.get(comp, self.make)()

    def make_share(self) -> tuple[int, dict[str, str], bytes]:
        if self.command == "PUT":
            if self.share in self.kept.shares:
                raise Refusal(409, "ShareAlreadyExists")
            self.kept.shares[self.share] = {}
            return 201, {"etag": self.kept.etag(), "last-modified": formatdate(usegmt=True)}, b""
        self.kept.nodes(self.share)
        return 200, {}, b""

    def make_directory(self) -> tuple[int, dict[str, str], bytes]:
        there = self.kept.nodes(self.share).get(self.name.lower())
        if there is not None:
            raise Refusal(409, "ResourceAlreadyExists" if there.data is None else "ResourceTypeMismatch")
        self.kept.put(self.share, self.name, Node(self.name, self.kept.etag()))
        return 201, {"etag": self.kept.etag(), "last-modified": formatdate(usegmt=True)}, b""

    def make(self) -> tuple[int, dict[str, str], bytes]:
        there = self.kept.nodes(self.share).get(self.name.lower())
        if there is not None and there.data is None:
            raise Refusal(409, "ResourceTypeMismatch")
        node = Node(self.name, self.kept.etag(), bytearray())
        prefix = "x-ms-meta-"
        node.metadata = {k[len(prefix) :]: v for k, v in self.given.items() if k.startswith(prefix)}
        if "x-ms-copy-source" in self.given:
            self.kept.copied.append(self.given["x-ms-copy-source"])
            node.data = bytearray(self.source("x-ms-copy-source").data or b"")
        elif self.given.get("x-ms-type", "").lower() != "file":
            raise Refusal(400, "MissingRequiredHeader")
        else:
            node.data = bytearray(int(self.given["x-ms-content-length"]))
        self.kept.put(self.share, self.name, node)
        copied = "x-ms-copy-source" in self.given
        return (202 if copied else 201), said(node) | ({"x-ms-copy-status": "success"} if copied else {}), b""

    def source(self, header: str) -> Node:
        """A source is read with the signature in its own URL, where the request itself has no more than a SAS."""
        parts = urlsplit(self.given[header])
        query = dict(parse_qsl(parts.query))
        share, _, name = unquote(parts.path).removeprefix(f"/{ACCOUNT}/").partition("/")
        if "sig" in self.query:
            needed = "d" if header == "x-ms-file-rename-source" else "r"
            if needed not in query.get("sp", ""):
                raise Refusal(403, "CannotVerifyCopySource")
            self.check_signature(query, share, name)
        return self.kept.file(share, name)

    def rename(self) -> tuple[int, dict[str, str], bytes]:
        node = self.source("x-ms-file-rename-source")
        there = self.kept.nodes(self.share).get(self.name.lower())
        if there is not None and self.given.get("x-ms-file-rename-replace-if-exists", "false") != "true":
            raise Refusal(409, "ResourceAlreadyExists")
        if there is not None and there.data is None:
            raise Refusal(409, "ResourceTypeMismatch")
        old = node.name.lower()
        self.kept.put(self.share, self.name, node)
        del self.kept.nodes(self.share)[old]
        node.name, node.etag = self.name, self.kept.etag()
        return 200, said(node), b""

    def resize(self) -> tuple[int, dict[str, str], bytes]:
        node = self.kept.file(self.share, self.name)
        assert node.data is not None
        size = int(self.given["x-ms-content-length"])
        node.data[size:] = bytes(max(size - len(node.data), 0))
        node.etag = self.kept.etag()
        return 200, said(node), b""

    def write(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        node = self.kept.file(self.share, self.name)
        assert node.data is not None
        first, last = self.range(len(node.data))
        if last >= len(node.data):
            raise Refusal(416, "InvalidRange")
        if self.given.get("x-ms-write") != "update" or len(body) != last - first + 1:
            raise Refusal(400, "InvalidHeaderValue")
        if len(body) > MOST_IN_RANGE:
            raise Refusal(413, "RequestBodyTooLarge")
        node.data[first : last + 1] = body
        node.etag, node.modified = self.kept.etag(), formatdate(usegmt=True)
        return 201, said(node) | {"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()}, b""

    def range(self, size: int) -> tuple[int, int]:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.given.get("x-ms-range") or self.given.get("range", ""))
        if found is None:
            raise Refusal(400, "InvalidHeaderValue")
        return int(found[1]), int(found[2] or size - 1)

    def read(self) -> tuple[int, dict[str, str], bytes]:
        node = self.kept.file(self.share, self.name)
        data = bytes(node.data or b"")
        headers = said(node) | {"x-ms-type": "File", "content-type": "application/octet-stream"}
        headers |= {f"x-ms-meta-{name}": value for name, value in node.metadata.items()}
        if self.command == "HEAD":
            return 200, headers | {"content-length": str(len(data))}, b""
        if not {"range", "x-ms-range"} & set(self.given):
            return 200, headers, data
        first, last = self.range(len(data))
        if first >= len(data):
            raise Refusal(416, "InvalidRange")
        part = data[first : last + 1]
        return 206, headers | {"content-range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"}, part

    def listing(self) -> bytes:
        """Not in the order of whole names, and by its own markers."""
        nodes, folder = self.kept.nodes(self.share), self.name.lower()
        if folder and (folder not in nodes or nodes[folder].data is not None):
            raise Refusal(404, "ResourceNotFound")
        prefix = self.query.get("prefix", "").lower()
        found = [node for key, node in sorted(nodes.items()) if key.rpartition("/")[0] == folder]
        found = [node for node in found if node.name.rpartition("/")[2].lower().startswith(prefix)]
        start = int(self.query.get("marker", "!0")[1:])
        size = min(int(self.query.get("maxresults", 5000)), self.kept.page)
        page = "".join(self.entry(node) for node in found[start : start + size])
        marker = f"!{start + size}" if start + size < len(found) else ""
        head = f"<EnumerationResults ShareName='{self.share}'><Entries>{page}</Entries>"
        text = f"<?xml version='1.0' encoding='utf-8'?>{head}<NextMarker>{marker}</NextMarker></EnumerationResults>"
        return text.encode()

    def entry(self, node: Node) -> str:
        name = f"<Name>{escape(node.name.rpartition('/')[2])}</Name>"
        if node.data is None:
            return f"<Directory>{name}<Properties/></Directory>"
        properties = f"<Content-Length>{len(node.data)}</Content-Length>"
        # As the service: more than the size only for who asks for it.
        if "timestamps" in self.query.get("include", "").lower():
            properties += f"<Last-Modified>{node.modified}</Last-Modified>"
        if "etag" in self.query.get("include", "").lower():
            properties += f"<Etag>{escape(node.etag)}</Etag>"
        return f"<File>{name}<Properties>{properties}</Properties></File>"


def said(node: Node) -> dict[str, str]:
    return {"etag": node.etag, "last-modified": node.modified, "x-ms-request-id": "stand-in"}


def signature(text: str) -> str:
    return base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()


@contextmanager
def running_shares() -> Iterator[Shares]:
    kept = Shares()
    handler = type("Bound", (Handler,), {"kept": kept})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
