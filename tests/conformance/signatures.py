# mypy: ignore-errors
# ruff: noqa: UP006, UP045 - the old spellings are what is judged
"""Functions one by one whose signatures the worker must take or refuse. No postponed annotations: they are read."""

from collections.abc import Callable
from typing import Any, Dict, List, Optional, Tuple  # noqa: UP035

import azure.functions as func

STORAGE = "AzureWebJobsStorage"


def _one(build):
    app = func.FunctionApp()
    build(app)
    return app.get_functions()[0]


def _queue_out(annotation, name="out"):
    def build(app):
        def function(msg: func.QueueMessage, out):
            pass

        function.__annotations__["out"] = annotation
        app.queue_trigger("msg", "in", STORAGE)(app.queue_output(name, "out", STORAGE)(function))

    return build


def _blob_out(annotation):
    def build(app):
        def function(msg: func.QueueMessage, out):
            pass

        function.__annotations__["out"] = annotation
        app.queue_trigger("msg", "in", STORAGE)(app.blob_output("out", "box/a", STORAGE)(function))

    return build


def _returns(annotation, kind="queue"):
    def build(app):
        def function(msg: func.QueueMessage):
            pass

        function.__annotations__["return"] = annotation
        if kind == "queue":
            bound = app.queue_output("$return", "out", STORAGE)(function)
        else:
            bound = app.blob_output("$return", "box/a", STORAGE)(function)
        app.queue_trigger("msg", "in", STORAGE)(bound)

    return build


def _trigger(annotation, kind="queue"):
    def build(app):
        def function(msg):
            pass

        function.__annotations__["msg"] = annotation
        bind = {
            "queue": lambda: app.queue_trigger("msg", "in", STORAGE),
            "blob": lambda: app.blob_trigger("msg", "box/{name}", STORAGE),
            "timer": lambda: app.timer_trigger("0 0 * * * *", "msg"),
            "http": lambda: app.route(trigger_arg_name="msg"),
        }[kind]()
        bind(function)

    return build


def _context(annotation):
    def build(app):
        def function(msg: func.QueueMessage, context):
            pass

        if annotation is not None:
            function.__annotations__["context"] = annotation
        app.queue_trigger("msg", "in", STORAGE)(function)

    return build


def _unbound(app):
    def function(msg: func.QueueMessage, more):
        pass

    app.queue_trigger("msg", "in", STORAGE)(function)


def _unused(app):
    def function(msg: func.QueueMessage):
        pass

    app.queue_trigger("msg", "in", STORAGE)(app.queue_output("out", "out", STORAGE)(function))


def _in_as_out(app):
    def function(msg: func.QueueMessage, found: func.Out[bytes]):
        pass

    app.queue_trigger("msg", "in", STORAGE)(app.blob_input("found", "box/a", STORAGE)(function))


BUILDERS = {
    "out str": _queue_out(func.Out[str]),
    "out bytes": _queue_out(func.Out[bytes]),
    "out int": _queue_out(func.Out[int]),
    "out message": _queue_out(func.Out[func.QueueMessage]),
    "out List[str]": _queue_out(func.Out[List[str]]),
    "out List[int]": _queue_out(func.Out[List[int]]),
    "out list[str]": _queue_out(func.Out[list[str]]),
    "out list": _queue_out(func.Out[list]),
    "out Tuple": _queue_out(func.Out[Tuple[str]]),
    "out Dict": _queue_out(func.Out[Dict[str, str]]),
    "out Optional": _queue_out(func.Out[Optional[str]]),
    "bare Out": _queue_out(func.Out),
    "no Out": _queue_out(str),
    "blob out str": _blob_out(func.Out[str]),
    "blob out bytes": _blob_out(func.Out[bytes]),
    "blob out bytearray": _blob_out(func.Out[bytearray]),
    "blob out stream": _blob_out(func.Out[func.InputStream]),
    "blob out int": _blob_out(func.Out[int]),
    "blob out List": _blob_out(func.Out[List[str]]),
    "return str": _returns(str),
    "return bytes": _returns(bytes),
    "return int": _returns(int),
    "return None": _returns(None),
    "return List": _returns(List[str]),
    "return Optional": _returns(Optional[str]),
    "return Out": _returns(func.Out[str]),
    "return message": _returns(func.QueueMessage),
    "return blob bytes": _returns(bytes, "blob"),
    "return blob dict": _returns(dict, "blob"),
    "trigger message": _trigger(func.QueueMessage),
    "trigger str": _trigger(str),
    "trigger bytes": _trigger(bytes),
    "trigger dict": _trigger(dict),
    "trigger Optional": _trigger(Optional[func.QueueMessage]),
    "trigger timer for queue": _trigger(func.TimerRequest),
    "blob stream": _trigger(func.InputStream, "blob"),
    "blob str": _trigger(str, "blob"),
    "blob message": _trigger(func.QueueMessage, "blob"),
    "timer": _trigger(func.TimerRequest, "timer"),
    "timer str": _trigger(str, "timer"),
    "timer dict": _trigger(dict, "timer"),
    "http": _trigger(func.HttpRequest, "http"),
    "http str": _trigger(str, "http"),
    "http dict": _trigger(dict, "http"),
    "context": _context(func.Context),
    "context unannotated": _context(None),
    "context str": _context(str),
    "a parameter without a binding": _unbound,
    "a binding without a parameter": _unused,
    "an input annotated Out": _in_as_out,
}


def verdicts(load: Callable[[Any], Any]) -> dict[str, bool]:
    """Which signatures ``load`` takes; it raises for the others."""
    found = {}
    for name, build in BUILDERS.items():
        function = _one(build)
        try:
            load(function)
        except Exception:  # noqa: BLE001 - refused, for whatever reason it gives
            found[name] = False
        else:
            found[name] = True
    return found
