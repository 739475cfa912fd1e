"""Executions as Azure Container Apps jobs, by the REST API of the Resource Manager.

Contract: Microsoft.App/jobs, 2025-07-01. An execution is started without a body, so it is what the job's template says.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, urlsplit

from azurerest.auth import TokenProvider
from azurerest.errors import StorageError
from orchestrator.adapters.driver import World
from orchestrator.core.compute import Compute
from orchestrator.core.errors import Unavailable
from orchestrator.executions import ListExecutions, StartExecution, StopExecution

VERSION: Final = "2025-07-01"
RESOURCE: Final = "https://management.azure.com/"
RUNNING: Final = ("Running", "Processing", "Unknown")
_TIMEOUT: Final = 30.0
_LONGEST: Final = 4 << 20
_MOST_PAGES: Final = 20
_EARLY: Final = 300.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")


def job_of(compute: Compute) -> str:
    """The job of a compute: the one that it names, or the one that infra/ makes for it."""
    return compute.sizes.job or f"job-{compute.name}"


class ContainerApps:
    """`endpoint`: of the Resource Manager; `group`: /subscriptions/.../resourceGroups/...; `token`: for the Resource
    Manager, None: there is none. Thread-safe. Every method raises Unavailable.
    """

    def __init__(
        self, endpoint: str, group: str, token: TokenProvider | None, now: Callable[[], float] = time.time
    ) -> None:
        self._jobs = f"{endpoint.rstrip('/')}{group}/providers/Microsoft.App/jobs"
        self._host = urlsplit(endpoint).netloc
        self._provide = token
        self._now = now
        self._lock = threading.Lock()
        self._token: tuple[str, float] | None = None

    def install(self, world: World) -> None:
        """Have `world` start, list and stop executions."""
        world.register(ListExecutions, lambda asked: self.listed(asked.compute))
        world.register(StartExecution, lambda asked: self.start(asked.compute))
        world.register(StopExecution, lambda asked: self.stop(asked.compute, asked.name))

    def listed(self, compute: Compute) -> tuple[str, ...]:
        """The names of those that have not ended."""
        url = f"{self._job(compute)}/executions?api-version={VERSION}"
        names: list[str] = []
        for _ in range(_MOST_PAGES):
            page = self._ask("GET", url)
            names += [str(it.get("name", "")) for it in page.get("value", ()) if _runs(it)]
            url = str(page.get("nextLink") or "")
            if not url:
                break
            if urlsplit(url).netloc != self._host:
                raise Unavailable("The Resource Manager goes on elsewhere, where the token must not go.")
        return tuple(names)

    def start(self, compute: Compute) -> str:
        """Its name."""
        return str(self._ask("POST", f"{self._job(compute)}/start?api-version={VERSION}").get("name", ""))

    def stop(self, compute: Compute, name: str) -> None:
        """One that has ended, or is not known, is left alone."""
        if _NAME.fullmatch(name):
            where = f"{self._job(compute)}/executions/{quote(name)}/stop?api-version={VERSION}"
            self._ask("POST", where, missing=True)

    def _job(self, compute: Compute) -> str:
        return f"{self._jobs}/{quote(job_of(compute), safe='')}"

    def _bearer(self) -> str:
        if self._provide is None:
            raise Unavailable("The app has no identity that could start executions.")
        with self._lock:
            if self._token is None or self._token[1] - _EARLY < self._now():
                try:
                    self._token = self._provide()
                except StorageError as error:
                    raise Unavailable(f"No token for the Resource Manager: {error}") from error
            return self._token[0]

    def _ask(self, method: str, url: str, *, missing: bool = False) -> dict[str, Any]:
        from urllib.error import HTTPError
        from urllib.request import Request, urlopen

        headers = {"Authorization": f"Bearer {self._bearer()}", "Content-Length": "0"}
        request = Request(url, method=method, headers=headers)  # noqa: S310 - http or https, by the settings
        try:
            with urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
                found = json.loads(answer.read(_LONGEST) or b"{}")
        except HTTPError as fault:
            with fault:
                if missing and fault.code == 404:
                    return {}
                what = f"{method} {urlsplit(url).path.rpartition('/jobs/')[2]}"
                raise Unavailable(f"Container Apps answered {fault.code} to {what}.") from None
        except (OSError, ValueError) as fault:
            raise Unavailable(f"The Resource Manager did not answer: {type(fault).__name__}.") from None
        return found if isinstance(found, dict) else {}


def _runs(execution: dict[str, Any]) -> bool:
    return execution.get("properties", {}).get("status") in RUNNING
