"""Work of this project's own code in a step's process: stopped, timed out and logged like a script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import steps
from steps.context import StepContext
from steps.failures import InvalidStep

# In the place of the working folder on the path: a file of the user's that is named as a module would be that module.
_BOOT: Final = (
    "import sys; sys.path[0] = sys.argv[1]; import importlib, json; "
    "importlib.import_module(sys.argv[2]).main(json.load(open(sys.argv[3], encoding='utf-8')))"
)


def run(context: StepContext, module: str, request: Mapping[str, Any], *, python: str | None = None) -> None:
    """Call `main(request)` of the module in a process, of the worker's interpreter or of `python`.

    Raises StepFailure, Stopped.
    """
    path = context.folders.root / "request.json"
    path.write_text(json.dumps(dict(request)), encoding="utf-8")
    root = Path(str(steps.__file__)).parents[1]
    context.run_command((python or context.settings.python, "-c", _BOOT, str(root), module, str(path)))


def places(context: StepContext) -> dict[str, dict[str, str]]:
    """Where inputs and outputs are, and a folder for what does not fit in memory. Raises InvalidStep."""
    inputs = {}
    for name, brought in context.inputs.items():
        if not isinstance(brought.value, Path):
            raise InvalidStep(f"Input {name!r} comes as a dataset, not as files: pass it as_mount() or as_download().")
        inputs[name] = str(brought.value)
    outputs = {name: str(path) for name, path in context.outputs.items()}
    return {"inputs": inputs, "outputs": outputs, "folders": {"scratch": str(context.folders.temporary)}}
