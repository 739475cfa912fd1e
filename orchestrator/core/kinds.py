"""The kinds of step a definition may hold. A new kind is one settings struct and one line in KINDS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from orchestrator.core.errors import Problem
from orchestrator.core.names import SCRIPT, shown, suggestion

RUN_SETTINGS = ("NodeCount", "MpiProcessCountPerNode", "TensorflowWorkerCount", "TensorflowParameterServerCount")
MOST_NODES = 100_000


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What `Step.settings` holds for one kind. Raise nothing: yield what is wrong beyond the shape."""

    def problems(self, field: str) -> Iterator[Problem]:
        """What is wrong with these settings, which lie at `field`."""
        del field
        yield from ()


class PythonScript(Settings, frozen=True, kw_only=True):
    """Runs `python <script> <arguments>` in the unpacked source folder. `script` is relative to that folder.

    `environment` records what its author asked to find installed, `run_settings` on how many nodes and processes it was
    to run (azureml-v1: runconfig_pipeline_params); they are kept, and decide nothing yet: a step runs on one node.
    """

    script: str
    environment: dict[str, Any] = {}
    run_settings: dict[str, int] = {}

    def problems(self, field: str) -> Iterator[Problem]:
        if problem := SCRIPT.problem(self.script, f"{field}.script"):
            yield problem
        for name, value in self.run_settings.items():
            where = f"{field}.run_settings.{shown(name)[1:-1]}"
            if name not in RUN_SETTINGS:
                hint = suggestion(name, RUN_SETTINGS, "names")
                yield Problem("InvalidSettings", where, f"There is no run setting {shown(name)}.", hint)
            elif not 1 <= value <= MOST_NODES:
                fix = f"Use 1 to {MOST_NODES:,}."
                yield Problem("InvalidNumber", where, f"{shown(name)} is {value}.", fix)


class UsqlScript(Settings, frozen=True, kw_only=True):
    """Translates a U-SQL script to DuckDB and runs it. `script` is relative to the source folder; docs/usql.md says
    what may be in it.
    """

    script: str

    def problems(self, field: str) -> Iterator[Problem]:
        if problem := SCRIPT.problem(self.script, f"{field}.script"):
            yield problem


class SqlQuery(Settings, frozen=True, kw_only=True):
    """Runs SQL statements on DuckDB. Each input is a view by its name, each output a table or view that they make, or,
    of a step with one output, the rows of the last statement. `format`: in which outputs are written.
    """

    query: str
    format: Literal["parquet", "csv", "json"] = "parquet"

    def problems(self, field: str) -> Iterator[Problem]:
        if not self.query.strip():
            yield Problem("InvalidSettings", f"{field}.query", "There is no statement.", "Write at least one.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """`needs_snapshot`: the step runs from a source folder, which must have been uploaded."""

    settings: type[Settings]
    needs_snapshot: bool


KINDS: Mapping[str, Kind] = {
    "adla": Kind(settings=UsqlScript, needs_snapshot=True),
    "python_script": Kind(settings=PythonScript, needs_snapshot=True),
    "sql": Kind(settings=SqlQuery, needs_snapshot=False),
}


def settings_of(kind: str, settings: Mapping[str, Any]) -> Settings:
    """The settings of a step as its kind's own value. Raises KeyError (kind), msgspec.ValidationError (shape)."""
    return msgspec.convert(dict(settings), KINDS[kind].settings)
