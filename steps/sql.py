"""The kind "sql": statements of DuckDB over the inputs, in a process of its own.

settings: {"query": statements, "format": "parquet", "csv" or "json"}. Each input is a view by its name; each output is
a table or view of its name that the statements make, or, of a step with one output, the last statement's rows.
"""

from __future__ import annotations

from importlib.util import find_spec

from steps import own_process
from steps.context import StepContext
from steps.failures import InvalidStep, StartFailed


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    settings = context.job.step.settings
    query = settings.get("query")
    if not isinstance(query, str):
        raise InvalidStep("A step of kind sql has its statements in settings.query.")
    if find_spec("duckdb") is None:
        raise StartFailed("This node has no duckdb: install millstream[sql] beside the worker.")
    request = {"query": query, "format": settings.get("format", "parquet"), **own_process.places(context)}
    own_process.run(context, "steps.sql_process", request)
