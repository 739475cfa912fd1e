"""Modules end to end: published once, used twice in a pipeline, by version and by default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream import (
    Conflict,
    InputPortDef,
    Module,
    ModuleStep,
    ModuleVersion,
    OutputPortDef,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PythonScriptStep,
    Workspace,
)
from tests.azurite import Azurite
from tests.service import TOKEN, Service, running_service

pytestmark = pytest.mark.azurite

SCRIPT = """
import os, sys
from pathlib import Path
start = int(os.environ["AML_PARAMETER_start"])
numbers = [int(n) for path in sys.argv[2::2] for n in Path(path).read_text().split()]
Path(os.environ["AZUREML_DATAREFERENCE_total"]).write_text(str({expression}))
"""
NUMBERS = "import sys; open(sys.argv[1], 'w').write('1 2 3')"


@pytest.fixture(scope="module")
def service(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(azurite, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def workspace(service: Service) -> Workspace:
    return Workspace(url=service.url, token=TOKEN)


def published(module: Module, folder: Path, version: str, expression: str) -> ModuleVersion:
    (folder / "total.py").write_text(SCRIPT.replace("{expression}", expression))
    numbers, more = InputPortDef("numbers"), InputPortDef("more", is_optional=True)
    return module.publish_python_script(
        "total.py",
        "totals",
        inputs=[numbers, more],
        outputs=[OutputPortDef("total")],
        params={"start": 0},
        version=version,
        source_directory=folder,
        arguments=["--numbers", numbers, "--more", more],
    )


def test_a_pipeline_is_made_of_modules(workspace: Workspace, tmp_path: Path) -> None:
    source, scripts = tmp_path / "module", tmp_path / "scripts"
    source.mkdir()
    scripts.mkdir()
    (scripts / "numbers.py").write_text(NUMBERS)
    module = Module.create(workspace, "total", "Totals of numbers")
    assert Module.create(workspace, "total", "Totals of numbers").id == module.id
    first = published(module, source, "0.9", "start + sum(numbers)")
    assert published(module, source, "0.9", "start + sum(numbers)").id == first.id
    second = published(module, source, "0.10", "100 + start + sum(numbers)")
    assert (module.get_default_version(), module.resolve("0.9").id) == ("0.10", first.id)
    with pytest.raises(Conflict):
        published(module, source, "0.9", "0")
    numbers, small, large, all_of_it = (PipelineData(name) for name in ("numbers", "small", "large", "all_of_it"))
    start = PipelineParameter("start_at", 10)
    steps = [
        PythonScriptStep("numbers.py", arguments=[numbers], outputs=[numbers], source_directory=scripts),
        ModuleStep(module, version="0.9", inputs_map={"numbers": numbers}, outputs_map={"total": small}, name="small"),
        ModuleStep(
            module,
            inputs_map={"numbers": numbers},
            outputs_map={"total": large},
            arguments=["--it", numbers],
            params={"start": start},
            name="large",
        ),
        ModuleStep(
            module_version=first,
            inputs_map={"numbers": small, "more": large},
            outputs_map={"total": all_of_it},
            name="all",
        ),
    ]
    run = Pipeline(workspace, steps=steps).submit("modules")
    run.wait_for_completion(show_output=False)
    made = {}
    for name, output in (("small", "small"), ("large", "large"), ("all", "all_of_it")):
        run.find_step_run(name)[0].get_output_data(output).download(tmp_path / name, flatten=True)
        made[name] = next(path for path in (tmp_path / name).rglob("*") if path.is_file()).read_text()
    assert made == {"small": "6", "large": "116", "all": "122"}
    second.disable()
    assert module.get_default_version() == "0.9"
    with pytest.raises(Conflict, match="disabled"):
        ModuleStep(module_version=second, inputs_map={"numbers": numbers}, outputs_map={"total": large})
