"""Steps that become many: a pipeline as a step, and a pipeline for each item of a list or each file of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from millstream.data import PipelineData
from millstream.graph import Graph, build
from millstream.output_config import OutputDatasetConfig
from millstream.parameter import PipelineParameter
from millstream.pipeline import Pipeline
from millstream.pipeline_input import PipelineInput
from millstream.steps import PipelineStep
from millstream.wiring import Named
from orchestrator.core.names import shown
from orchestrator.core.retry import RetryPolicy

Handle = PipelineData | OutputDatasetConfig


class NestedStep(PipelineStep):
    """What steps that run a pipeline have in common: `body`, its graph, and how its ports are those of the step."""

    def __init__(
        self,
        body: Any,
        name: str,
        *,
        inputs: Mapping[PipelineInput | str, Any] | None,
        outputs: Mapping[Any, Any] | None,
        parameters: Mapping[PipelineParameter | str, Any] | None,
        further_inputs: Iterable[Any] = (),
        further_outputs: Iterable[Any] = (),
        given: Iterable[str] = (),
        allow_reuse: bool,
        retry: RetryPolicy | int | None,
        timeout_seconds: float | PipelineParameter | None,
        priority: int | None,
    ) -> None:
        self.body: Graph = body.graph if isinstance(body, Pipeline) else build(body)
        self.body_folder: Path | None = body.default_folder if isinstance(body, Pipeline) else None
        named = [Named(name=_name(key), item=item) for key, item in (inputs or {}).items()]
        super().__init__(
            name,
            inputs=[*named, *further_inputs],
            outputs=[*(outputs or {}).values(), *further_outputs],
            allow_reuse=allow_reuse,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
        )
        self.produced = {
            self.wiring.add_output(outer).output_name: self._inner(inner) for inner, outer in (outputs or {}).items()
        }
        self.values = self._values(parameters or {}, frozenset(given))

    def _inner(self, handle: Any) -> dict[str, str]:
        port = getattr(handle, "port", None)
        if not isinstance(handle, Handle) or id(port) not in self.body.producers:
            raise ValueError(
                f"Step {shown(self.name)}: outputs maps what a step of its pipeline writes, not {handle!r}."
            )
        return {"step": self.body.id_of(self.body.producer_of(handle.port)), "output": handle.output_name}

    def _values(self, parameters: Mapping[PipelineParameter | str, Any], given: frozenset[str]) -> dict[str, Any]:
        """The values of the body's parameters; those that are not given here are the outer pipeline's, too."""
        declared = {it.name: it for step in self.body.steps for it in step.wiring.parameters}
        chosen = {_name(key): value for key, value in parameters.items()}
        unknown = chosen.keys() - declared.keys()
        if unknown:
            raise ValueError(f"Step {shown(self.name)}: no step of its pipeline uses the parameter {min(unknown)!r}.")
        rest = {name: parameter for name, parameter in declared.items() if name not in given}
        wanted = {name: chosen.get(name, parameter) for name, parameter in rest.items()}
        made: dict[str, Any] = self.wiring.setting(wanted, f"Step {shown(self.name)}, parameters")
        return made


class SubPipelineStep(NestedStep):
    """Runs a pipeline, a Pipeline or steps, as one step.

    `inputs`: PipelineInput (or its name) -> the data that its steps get for it. `outputs`: what a step of it writes ->
    the PipelineData that is an output of this step. `parameters`: PipelineParameter (or its name) of its steps -> a
    value, or a parameter of the pipeline around it; the others keep their names and become parameters of that, too.

    `continue_on_step_failure`: a failure stops only what depends on it; the step fails all the same.
    `max_concurrency`: the most of its steps under way at a time.
    """

    kind = "pipeline"

    def __init__(
        self,
        steps: Any,
        name: str = "pipeline",
        inputs: Mapping[PipelineInput | str, Any] | None = None,
        outputs: Mapping[Any, Any] | None = None,
        parameters: Mapping[PipelineParameter | str, Any] | None = None,
        *,
        continue_on_step_failure: bool = False,
        max_concurrency: int = 0,
        allow_reuse: bool = True,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
    ) -> None:
        super().__init__(
            steps,
            name,
            inputs=inputs,
            outputs=outputs,
            parameters=parameters,
            allow_reuse=allow_reuse,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
        )
        self.keep_going = continue_on_step_failure
        self.window = max_concurrency

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "parameters": self.values,
            "outputs": self.produced,
            "keep_going": self.keep_going,
            "window": self.window,
        }


class MapStep(NestedStep):
    """Runs a pipeline, a Pipeline, a step or steps, once for each item.

    `over` has the items, `item` is what stands for one in the steps of the pipeline:

    - `item` a PipelineParameter: `over` is a list of values, a PipelineParameter whose text is such a list, or data
      that is one file with it: a JSON array, or a line for each item.
    - `item` a PipelineInput: `over` is data that is a folder, each of whose files is an item.

    `inputs` and `parameters` are as of SubPipelineStep. `outputs`: what a step of the pipeline writes -> PipelineData,
    a folder with a folder for each item, numbered from 00000. `results`: PipelineData, a JSON file that tells for each
    item what became of it. At most `max_concurrency` items are under way at a time (0: no limit); the step succeeds if
    no more than `allowed_failures` items fail. Items whose work has not changed are reused, each by itself.
    """

    kind = "map"

    def __init__(
        self,
        steps: Any,
        over: Any,
        item: PipelineParameter | PipelineInput,
        name: str = "map",
        inputs: Mapping[PipelineInput | str, Any] | None = None,
        outputs: Mapping[Any, Any] | None = None,
        parameters: Mapping[PipelineParameter | str, Any] | None = None,
        *,
        results: Any = None,
        max_concurrency: int = 0,
        allowed_failures: int = 0,
        allow_reuse: bool = True,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
    ) -> None:
        files = isinstance(item, PipelineInput)
        listed = isinstance(over, list | tuple | PipelineParameter)
        if not isinstance(item, PipelineInput | PipelineParameter) or (files and listed):
            raise TypeError(
                f"Step {shown(name)}: item is a PipelineParameter, for values, or a PipelineInput, for the files of a "
                f"folder, not {item!r} for {over!r}."
            )
        super().__init__(
            [steps] if isinstance(steps, PipelineStep) else steps,
            name,
            inputs=inputs,
            outputs=outputs,
            parameters=parameters,
            further_inputs=() if listed else [Named(name=item.name if files else "items", item=over)],
            further_outputs=() if results is None else [results],
            given=() if files else [item.name],
            allow_reuse=allow_reuse,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
        )
        self.item, self.files = item.name, files
        self.items = self.wiring.setting(over, f"Step {shown(name)}, over") if listed else None
        self.results = "" if results is None else self.wiring.add_output(results).output_name
        self.window, self.allowed_failures = max_concurrency, allowed_failures

    @property
    def settings(self) -> dict[str, Any]:
        made = {
            "item": self.item,
            "items": self.items,
            "over": None if self.items is not None else self.item if self.files else "items",
            "files": self.files,
            "parameters": self.values,
            "outputs": self.produced,
            "results": self.results,
            "window": self.window,
            "allowed_failures": self.allowed_failures,
        }
        return {name: value for name, value in made.items() if value is not None}


def _name(key: Any) -> str:
    return key if isinstance(key, str) else str(key.name)
