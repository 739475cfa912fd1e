"""Every setting that infra/ makes is one, and of every setting it is said whether infra/ makes it."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.setting_document import described
from tests.infra.bicep import at, body, properties, read

MODULES = Path(__file__).parents[2] / "infra" / "modules"
OF_THE_PLATFORM = {"WEBSITE_HOSTNAME"}
"""The host gives them."""
BY_KEY = {"AzureWebJobsStorage", "MILLSTREAM_TOKEN"}
"""They would hold a secret in clear."""
ELSEWHERE = re.compile(r"AzureWebJobsStorage__(blob|queue|table)ServiceUri|MILLSTREAM_(ENTRA_AUTHORITY|PUBLIC_URL)")
"""For other clouds, and own domains."""


def of_app() -> set[str]:
    settings = read(MODULES / "app.bicep").resources["settings"]
    node = at(body(settings), "properties")
    assert node is not None
    return {name for name, _, _ in properties(node) if name}


def of_jobs() -> set[str]:
    return set(re.findall(r"name: '((?:MILLSTREAM_|AzureWebJobs)\w+)'", (MODULES / "jobs.bicep").read_text()))


def known() -> dict[str, bool]:
    """Each setting of the service, and whether it has a default that is good anywhere."""
    return {setting.variable: setting.default not in ("none", None) for setting in described()}


def test_what_is_set_is_a_setting() -> None:
    ours = {name for name in of_app() | of_jobs() if not name.startswith("APPLICATIONINSIGHTS_")}
    assert ours - set(known()) == set()


def test_what_has_no_default_is_set() -> None:
    missing = {name for name, has in known().items() if not has} - of_app() - OF_THE_PLATFORM - BY_KEY
    assert {name for name in missing if not ELSEWHERE.fullmatch(name)} - OPTIONAL == set()


def test_workers_are_told_what_the_app_is_told() -> None:
    """Where secrets lie, since both read the same rows, and by which door scripts call."""
    both = {"MILLSTREAM_SECRET_KEYS", "MILLSTREAM_VAULT", "MILLSTREAM_ROLE_OF_FUNCTIONS_KEYS"}
    assert both <= of_app()
    assert both <= of_jobs()


OPTIONAL = {
    "MILLSTREAM_CONTAINER_COMMAND",
    "MILLSTREAM_CONTAINER_OPTIONS",
    "MILLSTREAM_ENVIRONMENTS_DIR",
    "MILLSTREAM_SPARK_PYTHON",
    "MILLSTREAM_UV",
    "MILLSTREAM_WORKER_IMAGE",
}
"""For a machine of one's own, or a choice of who runs the service."""
