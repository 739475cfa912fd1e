"""Events as one short line each."""

from __future__ import annotations

from typing import Any

from orchestrator.core import message as messages
from orchestrator.core.plan import bits
from orchestrator.engine.rows import HEAD
from orchestrator.ports import Commit, Delete, Get, Insert, Merge, Query, ReadBlob, Send, Upsert, Write, WriteBlob

_SIGNS = {Insert: "+", Merge: "~", Upsert: "=", Delete: "-"}


def told(what: object) -> str:
    if isinstance(what, tuple):
        number, effect, fault = what
        return f"#{number} {_effect(effect)}" + (f"   <== {fault.value.upper()}" if fault else "")
    return f"{type(what).__name__}: {what}" if isinstance(what, Exception) else str(what)


def _effect(effect: Any) -> str:
    if isinstance(effect, Commit):
        place = f"{effect.pk}" if effect.table == "runs" else f"{effect.table}/{effect.pk}"
        return f"commit {place} " + " ".join(_write(write) for write in effect.writes)
    if isinstance(effect, Get):
        return f"get {effect.pk} {effect.rk}"
    if isinstance(effect, Query):
        return f"query {effect.table} {effect.pk} {effect.first}..{effect.last}"
    if isinstance(effect, Send):
        if '"webhook"' in effect.body:
            return f"put {effect.queue}: {effect.body}" + (f" after {effect.delay} s" if effect.delay else "")
        step = messages.decode(effect.body)
        later = f" after {effect.delay} s" if effect.delay else ""
        return f"put {effect.queue}: {step.run} step {step.position}{later}"
    if isinstance(effect, ReadBlob | WriteBlob):
        return f"{type(effect).__name__} {effect.name[:40]}"
    return str(getattr(effect, "what", effect))


def _write(write: Write) -> str:
    text = _SIGNS[type(write)] + write.rk
    if isinstance(write, Merge | Delete):
        text += f" if {write.etag}"
    if isinstance(write, Delete):
        return text
    props = write.props
    if write.rk == HEAD:
        sets = {name: list(bits(int.from_bytes(props[name], "little"))) for name in ("done", "failed", "skipped")}  # type: ignore[arg-type]
        return (
            f"{text} {{{props['status']!s} "
            + " ".join(f"{name}={steps}" for name, steps in sets.items() if steps)
            + "}"
        )
    shown = {
        name: props[name] for name in ("state", "attempt", "owner", "dequeues", "verdict", "status") if name in props
    }
    return f"{text} {{" + " ".join(f"{name}={value!s}" for name, value in shown.items()) + "}"
