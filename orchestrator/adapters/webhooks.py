"""Calls of webhooks over HTTP: signed, short, and only to addresses that may be called.

A name is looked up here, once, and the connection goes to the very address that was checked: a name that leads to
another one a moment later gains nothing. Redirects are not followed, answers are not read beyond their status, and
neither proxies nor credentials of the environment are used.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final
from urllib.parse import SplitResult, urlsplit

from orchestrator.core import signature
from orchestrator.core.addresses import is_public
from orchestrator.ports import Post, Posted
from orchestrator.version import VERSION

TIMEOUT: Final = 15.0
"""Seconds for a whole call, from the look-up of the name on."""

_NO_ANSWER = "no answer within {seconds:g} s"


class _NotAllowed(Exception):
    pass


class Caller:
    """Interprets `Post`. `keys`: those of the service, the newest first; a call is signed once for each.

    `private`: addresses that are not of the internet may be called, too. `now`: epoch seconds. Thread-safe.
    """

    def __init__(
        self,
        keys: Sequence[bytes],
        *,
        private: bool = False,
        timeout: float = TIMEOUT,
        now: Callable[[], float] = time.time,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._keys = tuple(keys)
        self._private = private
        self._timeout = timeout
        self._now = now
        self._given = trust

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        # Made for the first call: reading what the system trusts takes longer than any other part of a cold start.
        return self._given or ssl.create_default_context()

    def __call__(self, post: Post) -> Posted:
        try:
            return Posted(status=self._post(post))
        except TimeoutError:
            return Posted(status=0, error=_NO_ANSWER.format(seconds=self._timeout))
        except _NotAllowed as error:
            return Posted(status=0, error=str(error))
        except ssl.SSLCertVerificationError as error:
            return Posted(status=0, error=f"its certificate is not trusted: {error.verify_message}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Posted(status=0, error=f"no answer: {type(error).__name__}")

    def _post(self, post: Post) -> int:
        url = urlsplit(post.url)
        deadline = time.monotonic() + self._timeout
        stream = self._secured(self._connect(url, deadline), url)
        # Time limits of a socket are for each of its operations. This one is for all of them together.
        watch = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, [stream])
        watch.daemon = True
        watch.start()
        try:
            if isinstance(stream, ssl.SSLSocket):
                stream.do_handshake()
            status = self._exchange(stream, url, post)
        except (OSError, http.client.HTTPException):
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            raise
        finally:
            watch.cancel()
            stream.close()
        if time.monotonic() >= deadline:
            raise TimeoutError  # what was cut off looks like an answer that has ended
        return status

    def _connect(self, url: SplitResult, deadline: float) -> socket.socket:
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, place in found:
            if not self._private and not is_public(ipaddress.ip_address(str(place[0]).partition("%")[0])):
                raise _NotAllowed("its name leads to an address that is not of the internet")
            raw = socket.socket(family, kind, protocol)
            raw.settimeout(max(0.1, deadline - time.monotonic()))
            try:
                raw.connect(place)
            except OSError as error:
                raw.close()
                failure = error
            else:
                return raw
        raise failure

    def _secured(self, raw: socket.socket, url: SplitResult) -> socket.socket:
        if url.scheme == "http":
            return raw
        return self._trust.wrap_socket(raw, server_hostname=url.hostname, do_handshake_on_connect=False)

    def _exchange(self, stream: socket.socket, url: SplitResult, post: Post) -> int:
        connection = http.client.HTTPConnection(url.hostname or "", url.port)
        connection.sock = stream
        secrets = [signature.derive(key, post.signer) for key in self._keys]
        signed = signature.headers(secrets, message_id=post.message_id, timestamp=int(self._now()), body=post.body)
        headers = {
            "Host": url.netloc,
            "Content-Type": "application/json",
            "User-Agent": f"millstream/{VERSION}",
            "Connection": "close",
            **signed,
        }
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request("POST", target, body=post.body, headers=headers)
        return connection.getresponse().status


def _cut(stream: socket.socket) -> None:
    """End the connection below TLS, which would wait for the other side."""
    try:
        socket.socket.shutdown(stream, socket.SHUT_RDWR)
    except OSError:
        return
