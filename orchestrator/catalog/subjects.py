"""Which published pipeline a run is wished of: one by its id, or a version of a pipeline endpoint.

A disabled one starts no runs. But a request that is sent again, perhaps because its answer was lost, finds the run that
it started, whatever has become of the pipeline or of the endpoint's default version since.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.catalog import endpoints, pipelines
from orchestrator.catalog.pipelines import Pipeline
from orchestrator.core.names import RUN_ID
from orchestrator.core.run import RunInfo
from orchestrator.engine.memory import ProcessMemory
from orchestrator.engine.reading import read_info
from orchestrator.ports import Task

ENDPOINT_ID = "azureml.pipelineendpointid"
PIPELINE_VERSION = "azureml.pipelineversion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """`properties`: what the run keeps of how it came to this pipeline."""

    pipeline: Pipeline
    properties: dict[str, str]


def of_pipeline(memory: ProcessMemory, wanted: str, run_id: str | None) -> Task[Subject]:
    """`run_id`: the run's, where the request may have been sent before. Raises UnknownThing, Conflict."""
    pipeline = yield from pipelines.get(wanted)
    if pipeline.status != pipelines.ACTIVE:
        earlier = yield from _earlier(memory, run_id)
        if earlier is None or earlier.pipeline_id != pipeline.id:
            pipelines.check_active(pipeline)
    return Subject(pipeline=pipeline, properties={})


def of_endpoint(memory: ProcessMemory, wanted: str, version: str | None, run_id: str | None) -> Task[Subject]:
    """As `of_pipeline`, of the version, or of the default one."""
    endpoint = yield from endpoints.get(wanted)
    earlier = yield from _earlier(memory, run_id)
    if earlier is not None and earlier.pipeline_id and earlier.properties.get(ENDPOINT_ID) == endpoint.id:
        known = earlier.properties.get(PIPELINE_VERSION, "")
        if version in (None, known):
            return _of_version(endpoint.id, known, (yield from pipelines.get(earlier.pipeline_id)))
    chosen = yield from endpoints.pipeline_of(endpoint.id, version)
    pipeline = yield from pipelines.get(chosen.pipeline_id)
    pipelines.check_active(pipeline, "pipeline_version")
    return _of_version(endpoint.id, chosen.version, pipeline)


def _of_version(endpoint: str, version: str, pipeline: Pipeline) -> Subject:
    return Subject(pipeline=pipeline, properties={ENDPOINT_ID: endpoint, PIPELINE_VERSION: version})


def _earlier(memory: ProcessMemory, run_id: str | None) -> Task[RunInfo | None]:
    if run_id is None or not RUN_ID.allows(run_id):
        return None
    return (yield from read_info(memory, run_id))
