"""The kind "pipeline": a step that is a pipeline of its own.

settings: {"parameters": values for the template's parameters, "outputs": output port -> {"step", "output"} of the
template, "keep_going": whether a failure stops only what depends on it, "window": the most of its steps in flight}.
"""

from __future__ import annotations

from orchestrator.core.errors import InvalidRequest
from orchestrator.core.kinds.pipeline import SubPipeline
from orchestrator.core.parameters import resolve_parameters
from steps.composite import Children, CompositeContext, Expansion, check_completed
from steps.failures import InvalidStep, OutputNotWritten


def expand(context: CompositeContext) -> Expansion:
    """Raises InvalidStep."""
    settings = context.settings_as(SubPipeline)
    try:
        values, _ = resolve_parameters(context.template, settings.parameters)
    except InvalidRequest as error:
        raise InvalidStep(error.message) from error
    return Expansion(
        definition=context.template,
        parameters=values,
        window=settings.window,
        keep_going=settings.keep_going,
    )


def join(context: CompositeContext, children: Children) -> None:
    """Raises ChildFailed, OutputNotWritten, InvalidStep."""
    check_completed(children)
    settings = context.settings_as(SubPipeline)
    made = {child.id: child.result.outputs for child in children.steps}
    for port in context.job.step.outputs:
        source = settings.outputs[port.name]
        output = made[source.step].get(source.output)
        if output is None:
            raise OutputNotWritten(f"Step {source.step!r} of run {children.run} left no output {source.output!r}.")
        context.replace(port.name, output)
