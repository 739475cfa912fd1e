"""v1's KustoStep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from millstream.arguments import refuse_unknown
from millstream.parameter import PipelineParameter
from millstream.sql_steps import FORMATS
from millstream.steps import PipelineStep
from orchestrator.core.names import shown
from orchestrator.core.retry import RetryPolicy


class KustoStep(PipelineStep):
    """Runs the query in the one .kql file of `query_directory` on an attached cluster of Azure Data Explorer.

    `compute_target` is the name under which it is attached (KustoCompute). The output is a folder with the rows, in
    `output_format`: csv, parquet or json (an object a line). `parameter_dict` has a value, or a PipelineParameter, for
    each name that the query declares by `declare query_parameters`. As in v1, nothing is reused unless asked for: the
    tables of a cluster change. Beside v1's arguments: `output_format`, and `retry` and `timeout_seconds`, as of
    PythonScriptStep. docs/kusto.md says more.
    """

    kind = "kusto"

    def __init__(
        self,
        name: str,
        compute_target: str,
        database_name: str,
        query_directory: str | Path,
        output: Any,
        parameter_dict: Mapping[str, Any] | None = None,
        allow_reuse: bool = False,
        *,
        output_format: str = "csv",
        retry: RetryPolicy | int | None = None,
        timeout_seconds: float | PipelineParameter | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(KustoStep.__init__, unknown)
        if not isinstance(compute_target, str):
            raise TypeError(f"KustoStep {shown(name)}: compute_target must be a name, not {compute_target!r}.")
        if not database_name:
            raise ValueError(f"KustoStep {shown(name)} needs a database_name.")
        if output_format not in FORMATS:
            raise ValueError(f"output_format is one of {', '.join(FORMATS)}, not {output_format!r}.")
        self.database_name = database_name
        self.query_file = _only_query(name, Path(query_directory))
        super().__init__(
            name,
            outputs=[output],
            compute_target=compute_target,
            allow_reuse=allow_reuse,
            retry=retry,
            timeout_seconds=timeout_seconds,
        )
        self._settings = {
            "query": self.query_file.read_text(encoding="utf-8-sig"),
            "database": database_name,
            "parameters": self.wiring.setting(dict(parameter_dict or {}), f"KustoStep {shown(name)}"),
            "format": output_format,
        }

    @property
    def settings(self) -> dict[str, Any]:
        return self._settings


def _only_query(name: str, folder: Path) -> Path:
    queries = sorted(folder.glob("*.kql"))
    if len(queries) != 1:
        found = ", ".join(query.name for query in queries) or "none"
        raise ValueError(f"KustoStep {shown(name)}: query_directory must have one .kql file; there is: {found}.")
    return queries[0]
