"""How the script of a step reaches the service: where it is, and a token of its own attempt's, which lives as long.

The token is in the environment of the script's process and nowhere else: not in a file, a log or a message.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from orchestrator.core.job import Job
from orchestrator.core.run_token import RunToken, sign

MARGIN_SECONDS = 300
"""Beyond the script's time limit: a real azureml-core asks for a new token 95 s before its own expires."""
WITHOUT_LIMIT_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class ServiceAccess:
    """`url` without /api; `key` signs the tokens."""

    url: str
    key: bytes = field(repr=False)

    def variables(self, job: Job, timeout: float | None) -> dict[str, str]:
        """What the script of this attempt finds in its environment. `timeout`: the seconds that it may run."""
        lifetime = WITHOUT_LIMIT_SECONDS if timeout is None else timeout
        token = RunToken(
            run=job.run,
            step=job.step.id,
            position=job.position,
            attempt=job.attempt,
            owner=job.owner,
            expires_at=int(time.time() + lifetime + MARGIN_SECONDS),
        )
        return {
            "MILLSTREAM_ENDPOINT": self.url,
            "AZUREML_SERVICE_ENDPOINT": f"{self.url}/api",
            "AZUREML_DISCOVERY_SERVICE_ENDPOINT": f"{self.url}/api/discovery",
            "AZUREML_RUN_TOKEN": sign(token, self.key),
            "AZUREML_RUN_TOKEN_EXPIRY": str(token.expires_at),
        }


def service_access(url: str, key: str) -> ServiceAccess | None:
    """None where it is not known where the service is, or there is no key to sign with."""
    return ServiceAccess(url, key.encode()) if url and key else None
