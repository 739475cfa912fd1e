"""Running a script written for the Azure ML SDK v1: as `python driver.py` would, with this project as azureml."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType

from millstream import shim
from millstream.errors import InvalidRequest

INTERRUPTED = 130


def run(script: Path, arguments: Sequence[str], *, force: bool = False) -> int:
    """Run the script as the main module of this process. Returns the exit code; SystemExit goes through.

    `force`: also where a real azureml-core is installed, which the script would use otherwise. Raises InvalidRequest
    for a script that is not there.
    """
    if not script.is_file():
        raise InvalidRequest(f"There is no script {script}.", field="driver")
    if not shim.activate(force=force):
        sys.stderr.write(
            f"note: azureml-core is installed in {shim.real_core(sys.path)}, so the script uses that and speaks to "
            "Azure. To use Millstream: millstream run --force ...\n"
        )
    namespace = _become(script, arguments)
    try:
        exec(_code(script), namespace)  # noqa: S102
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - shown as the interpreter would show it
        shown = error.with_traceback(_from_script(error.__traceback__, str(script.absolute())))
        sys.excepthook(type(shown), shown, shown.__traceback__)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _become(script: Path, arguments: Sequence[str]) -> dict[str, object]:
    """The namespace of a new main module; sys.argv and sys.path as the script expects them."""
    sys.argv = [str(script), *arguments]
    sys.path[0] = str(script.resolve().parent)
    name = str(script.absolute())
    main = ModuleType("__main__")
    vars(main).update(
        __file__=name,
        __builtins__=builtins,
        __cached__=None,
        __doc__=None,
        __loader__=SourceFileLoader("__main__", name),
    )
    sys.modules["__main__"] = main
    return vars(main)


def _code(script: Path) -> CodeType:
    return compile(script.read_bytes(), str(script.absolute()), "exec", dont_inherit=True)


def _from_script(trace: TracebackType | None, name: str) -> TracebackType | None:
    """The part of a traceback that begins in the script; None, if its first line was never reached."""
    while trace is not None and trace.tb_frame.f_code.co_filename != name:
        trace = trace.tb_next
    return trace
