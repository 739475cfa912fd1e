"""The end of a script in a prepared process.

The interpreter's own end takes the whole interpreter apart, also what the zygote loaded: every page is touched, hence
copied, and a step pays several milliseconds for nothing. So where all that the script made is provably gone after what
the interpreter does first (threads, exit handlers, flush, globals), the process simply exits. Else, and always after an
exception or with foreign compiled modules, the interpreter ends itself.
"""

# ruff: noqa: PTH100, PTH118, PTH120
from __future__ import annotations

import atexit
import gc
import io
import os
import sys
import threading
import types
import weakref
from importlib.machinery import EXTENSION_SUFFIXES, SourceFileLoader
from typing import Any

_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_PACKAGES = os.path.join(_STANDARD, "site-packages") + os.sep
_WRITERS = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def is_plain(code: object) -> bool:
    """Whether an exit code needs nothing to be printed."""
    return code is None or (isinstance(code, int) and 0 <= code <= 255)


def watch(namespace: dict[str, Any]) -> weakref.ref[SourceFileLoader] | None:
    """Something that lives exactly as long as the script's namespace; None when the script has tampered with it."""
    loader = namespace.get("__loader__")
    return weakref.ref(loader) if isinstance(loader, SourceFileLoader) and sys.getrefcount(loader) <= 3 else None


def quickly(code: int, held: frozenset[str], watched: weakref.ref[SourceFileLoader] | None) -> None:
    """Exit, if nothing is left of the script. Returns when the interpreter has to see to the end.

    `held`: the modules there were before the script. The caller holds no reference to the script's namespace.
    """
    made = {name: module for name, module in sys.modules.items() if name not in held and not _is_standard(module)}
    compiled = any(str(getattr(module, "__file__", "")).endswith(tuple(EXTENSION_SUFFIXES)) for module in made.values())
    if watched is None or compiled or len(sys._current_frames()) > 1:
        return
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    if not _flushed():
        return
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            setattr(sys, name, None)
    if _all_gone(made, watched) and _flushed():
        # Without the exit handlers of the C library: whatever compiled could have some was ruled out.
        os._exit(code)


def _is_standard(module: object) -> bool:
    path = getattr(module, "__file__", None)
    if path is None:
        return getattr(module, "__name__", "") in sys.builtin_module_names
    return str(path).startswith(_STANDARD) and not str(path).startswith(_PACKAGES)


def _flushed() -> bool:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except Exception:  # noqa: BLE001 - whatever the script put there; the interpreter knows what to say of it
        return False
    return True


def _all_gone(made: dict[str, types.ModuleType], watched: weakref.ref[SourceFileLoader]) -> bool:
    """Drop the script's modules; whether that was all that kept what it made."""
    modules = [weakref.ref(module) for module in made.values() if isinstance(module, types.ModuleType)]
    for name in [*made, "__main__"]:
        sys.modules.pop(name, None)
    made.clear()
    gc.collect()
    if watched() is not None or any(module() is not None for module in modules):
        return False
    standard = {id(stream) for stream in (sys.__stdout__, sys.__stderr__)}
    return not any(isinstance(left, _WRITERS) and id(left) not in standard for left in gc.get_objects())
