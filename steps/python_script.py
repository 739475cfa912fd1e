"""The kind "python_script": a script of the snapshot, run as `python <script> <arguments>` in the snapshot's root.

settings: {"script": relative path}.
"""

from __future__ import annotations

from steps.context import StepContext
from steps.sources import script_of


def run(context: StepContext) -> None:
    """Raises StepFailure, Stopped."""
    context.run_python(script_of(context, ".py", "Python"), context.arguments())
