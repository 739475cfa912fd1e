"""Every operation of the API document, called with what the document allows and with what it does not.

Not checked: `unsupported_method`, since the Functions host answers 404 where others answer 405; and
`positive_data_acceptance`, since some rules (one of two fields, a source that must be there) are no matter of schema.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi import checks

from tests.azurite import Azurite
from tests.service import TOKEN, Service, arguments, running_service, script_step

pytestmark = pytest.mark.azurite

SCRIPT = """
import pathlib, sys
from millstream import Run
print("some text")
pathlib.Path(sys.argv[1]).write_text("1")
pathlib.Path("outputs").mkdir(exist_ok=True)
pathlib.Path("outputs/model.txt").write_text("m")
Run.get_context().log("metric", 1)
Run.get_context().register_model("model", "outputs/model.txt")
"""

load_all_checks()

EXAMPLES = int(os.environ.get("MILLSTREAM_API_EXAMPLES", "4"))
"""Drawn for each operation, beside those that the document itself leads to: its examples, and the limits it sets."""


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = {
        "MILLSTREAM_WEBHOOK_KEYS": "a-key-of-at-least-32-characters-or-more",
        "MILLSTREAM_REFUSAL_RATE": "0",  # each operation is tried without a token, too, and is to say 401
    }
    with running_service(azurite, tmp_path_factory.mktemp("openapi"), settings) as service:
        yield service


@pytest.fixture(scope="module")
def things(service: Service) -> dict[str, str]:
    """Names of things that exist, by placeholder: without them nearly every answer would be 404."""
    snapshot = service.upload({"step.py": SCRIPT})
    steps = [script_step("a", snapshot, arguments=arguments(("output", "out")), outputs=[{"name": "out"}])]
    published = service.ask("POST", "pipelines", {"definition": {"name": "p", "steps": steps}})
    document = {"type": "file", "sources": [{"kind": "datastore", "datastore": "workspaceblobstore", "path": ""}]}
    dataset = service.ask("POST", "datasets", {"document": document, "name": "data"})
    endpoint = service.ask("POST", "endpoints", {"name": "ep", "pipeline_id": published["id"]})
    module = service.ask("POST", "modules", {"name": "module"})
    held = {"kind": "python_script", "snapshot": snapshot, "settings": {"script": "step.py"}}
    version = service.ask("POST", f"modules/{module['id']}/versions", {"document": held})
    service.ask("POST", "environments", {"name": "kept", "document": {"image": "image:1"}})
    workspace = service.ask("GET", "workspace")
    schedule = service.ask("POST", "schedules", scheduled(str(published["id"])))
    wish = {"id": "0b8e0d1c-7f5e-4c7e-8a63-1f2f5a0e9d11", "pipeline_id": published["id"], "experiment_name": "e"}
    draft = service.ask("POST", "drafts", wish)
    webhook = service.ask("PUT", "webhooks/known", {"url": "https://hooks.invalid/", "enabled": False})
    run = service.submit(steps)
    assert service.wait(run)["status"] == "Completed"
    return {
        "KNOWN-run_id": run,
        "KNOWN-step_id": "a",
        "KNOWN-schedule_id": str(schedule["id"]),
        "KNOWN-pipeline_id": str(published["id"]),
        "KNOWN-endpoint_id": str(endpoint["id"]),
        "KNOWN-draft_id": str(draft["id"]),
        "KNOWN-module_id": str(module["id"]),
        "KNOWN-module_version_id": str(version["id"]),
        "KNOWN-webhook": str(webhook["name"]),
        "KNOWN-pipeline_version": "0",
        "KNOWN-subscription_id": str(workspace["subscription_id"]),
        "KNOWN-resource_group": str(workspace["resource_group"]),
        "KNOWN-workspace": str(workspace["name"]),
        "KNOWN-snapshot_id": snapshot,
        "KNOWN-datastores-name": "workspaceblobstore",
        "KNOWN-datasets-name": "data",
        "KNOWN-dataset_id": str(dataset["id"]),
        "KNOWN-environments-name": "kept",
        "KNOWN-models-name": "model",
        "KNOWN-computes-name": str(service.ask("PUT", "computes/cpu-cluster", {})["name"]),
    }


def scheduled(pipeline: str) -> dict[str, Any]:
    """A schedule of the pipeline that is never due while the tests run."""
    recurrence = {"frequency": "Month", "start_time": "2199-01-31T00:00:00"}
    return {"name": "far ahead", "experiment_name": "e", "pipeline_id": pipeline, "recurrence": recurrence}


DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())


def with_placeholders() -> dict[str, Any]:
    """The document with path parameters that are placeholders of things that exist, or anything else."""
    changed = copy.deepcopy(DOCUMENT)
    for path, operations in changed["paths"].items():
        for operation in operations.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path":
                    known = {"type": "string", "enum": [placeholder(path, parameter["name"])]}
                    parameter["schema"] = {"anyOf": [known, parameter["schema"]]}
    simplify_requests(changed["components"]["schemas"])
    return changed


def simplify_requests(schemas: dict[str, Any]) -> None:
    """The generator cannot draw what is none of several tagged objects, so requests get one kind of each only."""
    step, definition = copy.deepcopy(schemas["Step"]), copy.deepcopy(schemas["Definition"])
    argument = {"$ref": "#/components/schemas/FromParameter"}
    step["properties"]["arguments"]["items"] = step["properties"]["environment"]["additionalProperties"] = argument
    schemas["ModuleDocument"]["properties"]["arguments"]["items"] = argument
    definition["properties"]["steps"]["items"] = {"$ref": "#/components/schemas/SimpleStep"}
    for name in ("DatasetDocument", "DatasetView"):
        dataset = schemas[name]["properties"]
        dataset["operations"]["items"] = {"$ref": "#/components/schemas/Take"}
        dataset["format"] = {"$ref": "#/components/schemas/DelimitedFormat"}
    schemas["DatasetDocument"]["properties"]["sources"]["items"] = {"$ref": "#/components/schemas/DatastoreFiles"}
    schemas |= {"SimpleStep": step, "SimpleDefinition": definition}
    for request in ("PublishRequest", "StartRequest", "DraftRequest", "DraftChanges"):
        text = json.dumps(schemas[request]).replace('/Definition"', '/SimpleDefinition"')
        schemas[request] = json.loads(text)


def placeholder(path: str, name: str) -> str:
    return f"KNOWN-{path.split('/')[2]}-{name}" if name == "name" else f"KNOWN-{name}"


schema = schemathesis.openapi.from_dict(with_placeholders())


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_operation_keeps_its_word(
    case: Case[Any], service: Service, things: dict[str, str], session: requests.Session
) -> None:
    if any(not name or value == "" for name, value in case.query.items()):
        return  # the Functions host drops empty values, so nobody can refuse them
    for name, value in case.path_parameters.items():
        case.path_parameters[name] = things.get(value, value) if isinstance(value, str) else value
    case.call_and_validate(
        base_url=service.url,
        session=session,
        headers={"Authorization": f"Bearer {TOKEN}"},
        excluded_checks=[checks.unsupported_method, checks.positive_data_acceptance],
    )


def test_the_document_served_is_the_one_tested(service: Service) -> None:
    assert service.ask("GET", "openapi.json") == DOCUMENT


def test_nothing_is_broken_afterwards(service: Service, things: dict[str, str]) -> None:
    assert service.ask("GET", f"runs/{things['KNOWN-run_id']}")["status"] == "Completed"
    assert service.ask("GET", "health")["status"] == "ok"
    service.ask("PATCH", f"schedules/{things['KNOWN-schedule_id']}", {"status": "Disabled"})  # whatever it has become
    assert "incident" not in service.host.log()
