"""Modules on the client: what is published, and what a step becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from millstream import InputPortDef, ModuleStep, ModuleVersion, OutputPortDef, PipelineData, PipelineParameter
from millstream.module_views import ModuleVersionView, ModuleView
from orchestrator.core.definition import FromInput, FromOutput, FromParameter, Literal, Text
from orchestrator.core.module import ModuleDocument, ModuleInput, ModuleOutput, ModuleParameter

DOCUMENT = ModuleDocument(
    kind="python_script",
    snapshot="a" * 64,
    settings={"script": "total.py"},
    arguments=(
        Literal(value="--rate"),
        FromParameter(name="rate"),
        Literal(value="--more"),
        FromInput(name="more"),
        FromInput(name="numbers"),
        Text(parts=(Literal(value="out="), FromOutput(name="total"))),
    ),
    environment={"MODE": "fast"},
    inputs=(ModuleInput(name="numbers", mode="download"), ModuleInput(name="more", optional=True)),
    outputs=(ModuleOutput(name="total"),),
    parameters=(ModuleParameter(name="rate", default=0.5),),
)


class Catalog:
    """Answers what a step asks of the workspace about its module."""

    def __init__(self) -> None:
        self.api = self.modules = self
        self.status = "Active"

    def find(self, module_id: str, name: None) -> ModuleView:
        assert name is None
        return ModuleView(id=module_id, name="total", status=self.status)


def version(status: str = "Active") -> ModuleVersion:
    view = ModuleVersionView(id="v", module_id="m", version="1", number=0, status=status, holds=DOCUMENT)
    catalog: Any = Catalog()
    return ModuleVersion(catalog, view)


def step(**more: Any) -> ModuleStep:
    numbers, total = PipelineData("data"), PipelineData("result")
    maps = {"inputs_map": {"numbers": numbers}, "outputs_map": {"total": total}}
    return ModuleStep(module_version=version(), **{**maps, **more})


def test_it_becomes_the_kind_that_the_module_holds() -> None:
    made = step()
    assert (made.kind, made.name, made.kept_snapshot) == ("python_script", "total", "a" * 64)
    assert made.settings == {"script": "total.py"}
    assert [(port.name, port.mode) for port in made.wiring.inputs] == [("numbers", "download")]
    assert made.environment["MODE"] == Literal(value="fast")
    assert made.environment["AML_PARAMETER_rate"] == Literal(value="0.5")
    assert made.environment["AZUREML_DATAREFERENCE_total"] == Text(parts=(FromOutput(name="result"),))


def test_the_modules_own_arguments_get_the_steps_data() -> None:
    """Without that of the optional port that is given nothing, and its option."""
    assert step().wiring.arguments == [
        Literal(value="--rate"),
        Literal(value="0.5"),
        FromInput(name="numbers"),
        Text(parts=(Literal(value="out="), FromOutput(name="result"))),
    ]


def test_an_optional_port_that_is_given_data_keeps_its_argument() -> None:
    made = step(inputs_map={InputPortDef("numbers"): PipelineData("a"), "more": PipelineData("b")})
    assert Literal(value="--more") in made.wiring.arguments
    assert FromInput(name="more") in made.wiring.arguments


def test_arguments_of_the_step_refer_to_its_data_or_to_the_ports() -> None:
    data, result = PipelineData("data"), PipelineData("result")
    made = ModuleStep(
        module_version=version(),
        inputs_map={"numbers": data},
        outputs_map={"total": result},
        arguments=["-a", data, InputPortDef("numbers"), result, OutputPortDef("total")],
    )
    out, given = FromOutput(name="result"), FromInput(name="numbers")
    assert made.wiring.arguments == [Literal(value="-a"), given, given, out, out]
    assert [port.name for port in made.wiring.inputs] == ["numbers"]


def test_a_parameter_of_the_pipeline_takes_the_place_of_a_default() -> None:
    rate = PipelineParameter("speed", 2.0)
    made = step(params={"rate": rate})
    assert made.wiring.arguments[1] == FromParameter(name="speed")
    assert made.environment["AML_PARAMETER_rate"] == FromParameter(name="speed")
    assert rate in made.wiring.parameters


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"inputs_map": {}}, "nothing is given for the port"),
        ({"outputs_map": None}, "nothing is given for the port"),
        ({"inputs_map": {"number": PipelineData("a")}}, 'Did you mean "numbers"'),
        ({"params": {"rat": 1}}, 'Did you mean "rate"'),
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        step(**wrong)


def test_a_module_is_needed() -> None:
    with pytest.raises(TypeError, match="module"):
        ModuleStep(inputs_map={})


def test_of_a_deprecated_version_steps_are_made_and_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    ModuleStep(
        module_version=version(status="Deprecated"),
        inputs_map={"numbers": PipelineData("a")},
        outputs_map={"total": PipelineData("b")},
    )
    assert "deprecated" in capsys.readouterr().out
