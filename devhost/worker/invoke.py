"""Runs one invocation: decode the inputs, call the function, encode what it gave."""

from __future__ import annotations

import sys
import traceback
from typing import Any

from devhost import wire
from devhost.worker import convert
from devhost.worker.context import CURRENT_INVOCATION, THREAD_STORAGE, Context, Out, retry_context
from devhost.worker.loader import LoadedFunction


def run(function: LoadedFunction, call: wire.Invoke) -> wire.Done:
    """Run a synchronous function on this thread."""
    token = CURRENT_INVOCATION.set(call.id)
    THREAD_STORAGE.invocation_id = call.id
    try:
        args = _arguments(function, call)
        done = _done(function, call.id, args, function.call(**args))
    except Exception as error:  # noqa: BLE001 - every failure of user code is an answer to the host
        done = failed(call.id, error)
    finally:
        CURRENT_INVOCATION.reset(token)
        THREAD_STORAGE.invocation_id = None
    sys.stdout.flush()
    return done


async def run_async(function: LoadedFunction, call: wire.Invoke) -> wire.Done:
    """Run an ``async`` function on the running loop."""
    token = CURRENT_INVOCATION.set(call.id)
    try:
        args = _arguments(function, call)
        done = _done(function, call.id, args, await function.call(**args))
    except Exception as error:  # noqa: BLE001 - every failure of user code is an answer to the host
        done = failed(call.id, error)
    finally:
        CURRENT_INVOCATION.reset(token)
    sys.stdout.flush()
    return done


def _arguments(function: LoadedFunction, call: wire.Invoke) -> dict[str, Any]:
    args = {name: convert.decode(function.inputs[name].binding, datum, call.metadata) for name, datum in call.inputs}
    if function.wants_context:
        args["context"] = Context(
            invocation_id=call.id,
            function_name=function.name,
            function_directory=function.directory,
            retry_context=retry_context(call.retry),
        )
    args.update((name, Out()) for name in function.outputs)
    return args


def _done(function: LoadedFunction, invocation: str, args: dict[str, Any], result: Any) -> wire.Done:
    if result is not None and not function.has_return:
        raise RuntimeError(f"function {function.name!r} without a $return binding returned a non-None value")
    outputs: list[tuple[str, wire.Datum]] = []
    for name, parameter in function.outputs.items():
        value = args[name].get()
        if value is not None:
            datum = convert.encode(parameter.binding, value, parameter.pytype)
            outputs.append((name, datum or wire.NOTHING))
    returned = convert.encode(function.result.binding, result, function.result.pytype) if function.result else None
    return wire.Done(id=invocation, error="", trace="", result=returned, outputs=outputs)


def failed(invocation: str, error: Exception) -> wire.Done:
    """The answer for an invocation that raised ``error``."""
    message = f"{type(error).__name__}: {error}".encode(errors="replace").decode()
    trace = "".join(traceback.format_exception(error)).encode(errors="replace").decode()
    return wire.Done(id=invocation, error=message, trace=trace, result=None, outputs=[])
