"""The service's own function app, with a record of what each effect took: for benchmarks only.

TRACE_FILE gets one JSON line for each effect: thread, kind, detail, begin and end by the monotonic clock, which all
processes of a machine share.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

spec = importlib.util.spec_from_file_location("millstream_app", ROOT / "function_app.py")
assert spec is not None and spec.loader is not None
service = importlib.util.module_from_spec(spec)
spec.loader.exec_module(service)

_trace = os.open(os.environ["TRACE_FILE"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _detail(effect: Any) -> str:
    if hasattr(effect, "writes"):
        return ",".join(f"{type(write).__name__} {write.rk}" for write in effect.writes)
    if hasattr(effect, "job"):
        return f"{effect.job.run} {effect.job.position}"
    return str(getattr(effect, "rk", getattr(effect, "name", "")))


def _note(effect: Any, began: float, ended: float) -> None:
    line = {
        "thread": threading.get_ident(),
        "kind": type(effect).__name__,
        "pk": getattr(effect, "pk", ""),
        "detail": _detail(effect),
        "began": began,
        "ended": ended,
    }
    os.write(_trace, json.dumps(line).encode() + b"\n")


service.world.observer = _note
app = service.app
