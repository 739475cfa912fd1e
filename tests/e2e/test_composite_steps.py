"""Steps that become runs of their own, through the whole service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.azurite import Azurite
from tests.service import QUICK, Service, arguments, fetch, from_step, running_service, script_step

pytestmark = pytest.mark.azurite

SCRIPTS = {
    "make.py": "import sys\nopen(sys.argv[1], 'w').write('5 6')\n",
    "add.py": (
        "import sys\n"
        "total = sum(map(int, open(sys.argv[1]).read().split())) * int(sys.argv[3])\n"
        "print('adding', total)\n"
        "open(sys.argv[2], 'w').write(str(total))\n"
    ),
    "fail.py": "raise ValueError('no luck')\n",
}


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("composite"), QUICK) as running:
        yield running


@pytest.fixture(scope="module")
def snapshot(service: Service) -> str:
    return service.upload(SCRIPTS)


def nested(name: str, template: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A step of kind "pipeline"."""
    return {"id": name, "name": name, "kind": "pipeline", "template": {"name": f"{name}-body", **template}, **more}


def adding(snapshot: str) -> dict[str, Any]:
    """A template that adds the numbers of the input `numbers`, times the parameter `times`."""
    add = script_step(
        "add",
        snapshot,
        "add.py",
        inputs=[{"name": "in", "source": {"kind": "parent", "input": "numbers"}}],
        outputs=[{"name": "sum"}],
        arguments=arguments(("input", "in"), ("output", "sum"), ("parameter", "times")),
    )
    return {"steps": [add], "parameters": [{"name": "times", "type": "int", "default": 1}]}


def text_of(service: Service, run: str, step: str, output: str) -> str:
    page = service.ask("GET", f"runs/{run}/outputs")["steps"][step]["outputs"][output]
    (file,) = page["files"]
    return fetch(file["url"], "GET", None, {}).body.decode()


def test_a_pipeline_is_a_step_of_another(service: Service, snapshot: str) -> None:
    make = script_step("make", snapshot, "make.py", outputs=[{"name": "n"}], arguments=arguments(("output", "n")))
    inner = nested(
        "inner",
        adding(snapshot),
        inputs=[from_step("numbers", "make", "n")],
        outputs=[{"name": "total"}],
        settings={"parameters": {"times": 3}, "outputs": {"total": {"step": "add", "output": "sum"}}},
    )
    twice = nested(
        "twice",
        adding(snapshot),
        inputs=[from_step("numbers", "inner", "total")],
        outputs=[{"name": "total"}],
        settings={
            "parameters": {"times": {"kind": "parameter", "name": "factor"}},
            "outputs": {"total": {"step": "add", "output": "sum"}},
        },
    )
    run = service.submit(
        [make, inner, twice], parameters=[{"name": "factor", "type": "int", "default": 2}], values={"factor": 10}
    )
    ended = service.wait(run)
    steps = service.steps(run)
    assert ended["status"] == "Completed", (steps, service.host.log()[-3000:])
    assert text_of(service, run, "inner", "total") == "33"
    assert text_of(service, run, "twice", "total") == "330"
    child = steps["inner"]["child"]
    assert (child["status"], child["steps_total"], child["steps_ended"]) == ("Completed", 1, 1)
    assert service.ask("GET", f"runs/{child['run']}")["parent_run"] == run
    assert "adding 33" in service.log(child["run"], "add")


def test_what_fails_within_fails_the_step(service: Service, snapshot: str) -> None:
    inner = nested("inner", {"steps": [script_step("bad", snapshot, "fail.py")]})
    run = service.submit([inner])
    assert service.wait(run)["status"] == "Failed"
    error = service.steps(run)["inner"]["error"]
    assert error["code"] == "ChildFailed"
    assert "step bad failed" in error["message"]
