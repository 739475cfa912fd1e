"""Steps that query: SqlStep on DuckDB, and v1's AdlaStep, whose U-SQL is translated to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from millstream.arguments import refuse_unknown
from millstream.parameter import PipelineParameter
from millstream.steps import PipelineStep, ScriptStep
from millstream.tokens import refuse_tokens
from orchestrator.core.retry import RetryPolicy

FORMATS = ("parquet", "csv", "json")


class AdlaStep(ScriptStep):
    """Runs the U-SQL script `script_name` of `source_directory`; docs/usql.md says which U-SQL.

    `@@name@@` in the script stands for the path of an input or output, or the value of one of `params`. The service
    that v1 ran it on is retired, and so `degree_of_parallelism`, `priority`, `runtime_version` and `hash_paths` mean
    nothing. Beside v1's arguments: `retry` and `timeout_seconds`, as of PythonScriptStep.
    """

    kind = "adla"
    pattern = "*.usql"

    def __init__(
        self,
        script_name: str,
        name: str | None = None,
        inputs: Any = None,
        outputs: Any = None,
        params: Mapping[str, Any] | None = None,
        degree_of_parallelism: Any = None,
        priority: Any = None,
        runtime_version: Any = None,
        compute_target: Any = None,
        source_directory: str | Path | None = None,
        allow_reuse: bool = True,
        version: str | None = None,
        hash_paths: Any = None,
        *,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        source_files: Iterable[str] = (),
        **unknown: Any,
    ) -> None:
        del degree_of_parallelism, priority, runtime_version, hash_paths
        refuse_unknown(AdlaStep.__init__, unknown)
        super().__init__(
            script_name,
            name,
            inputs=inputs,
            outputs=outputs,
            params=params,
            compute_target=compute_target,
            source_directory=source_directory,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            source_files=source_files,
        )

    @property
    def settings(self) -> dict[str, Any]:
        return {"script": self.script_name}


class SqlStep(PipelineStep):
    """Runs SQL statements on DuckDB.

    Each input, a file or a folder of CSV, parquet or JSON files, is a view by its name. Each output is a table or view
    of its name that the statements make; of a step with one output, the rows of the last statement. An output is a
    folder with one file in `output_format`: parquet, csv or json (an object a line).
    """

    kind = "sql"

    def __init__(
        self,
        query: str,
        name: str | None = None,
        inputs: Any = None,
        outputs: Any = None,
        compute_target: Any = None,
        output_format: str = "parquet",
        allow_reuse: bool = True,
        version: str | None = None,
        *,
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        priority: int | None = None,
    ) -> None:
        if output_format not in FORMATS:
            raise ValueError(f"output_format is one of {', '.join(FORMATS)}, not {output_format!r}.")
        self.query = query
        self.output_format = output_format
        refuse_tokens(query, "query")
        super().__init__(
            name or "SqlStep",
            inputs=inputs,
            outputs=outputs,
            compute_target=compute_target,
            allow_reuse=allow_reuse,
            version=version,
            retry=retry,
            timeout_seconds=timeout_seconds,
            priority=priority,
        )

    @property
    def settings(self) -> dict[str, Any]:
        return {"query": self.query, "format": self.output_format}
