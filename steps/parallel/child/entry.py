"""One process of the entry script: init() once, then run() with each mini-batch it is given.

python entry.py request.json NUMBER ORDERS ANSWERS        the last two are descriptors; a line of JSON a message

<- {"ready": true} or {"init_error": words}
-> {"batch": {...}}      <- {"returned": count} or {"error": words}
-> {"end": true}
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any


class Batch:
    """What run() may take as its second argument: v1's mini_batch_context."""

    def __init__(self, order: dict[str, Any], paths: list[str] | None, key: dict[str, Any]) -> None:
        self.minibatch_index = order["index"]
        self.partition_key_value = key
        self._paths = paths

    @property
    def dataset(self) -> Any:
        """The files of the mini-batch as a FileDataset. Rows are what run() is given already."""
        if self._paths is None:
            raise AttributeError("A mini-batch of rows has no dataset: run() is given its rows.")
        return _dataset(self._paths)


class Script:
    """The entry script, loaded."""

    def __init__(self, request: dict[str, Any]) -> None:
        path = Path(request["entry"])
        sys.argv = [str(path), *request["arguments"]]
        sys.path[0] = str(path.parent)
        if os.getcwd() not in sys.path:  # noqa: PTH109 - the source folder, if the script is in one of its folders
            sys.path.insert(1, os.getcwd())  # noqa: PTH109
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        self._module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = self._module
        spec.loader.exec_module(self._module)
        run = getattr(self._module, "run", None)
        if not callable(run):
            raise TypeError(f"{path.name} has no function run(mini_batch)")
        self._run = run
        self._takes_context = _positional(run) > 1

    def call(self, name: str) -> None:
        function = getattr(self._module, name, None)
        if callable(function):
            function()

    def run(self, data: Any, context: Batch) -> Any:
        return self._run(data, context) if self._takes_context else self._run(data)


def _positional(function: Any) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    return sum(it.kind in (it.POSITIONAL_ONLY, it.POSITIONAL_OR_KEYWORD) for it in parameters)


class Worker:
    def __init__(self, request: dict[str, Any], number: int) -> None:
        self._rows = None if request["rows"] is None else Path(request["rows"])
        self._errors = Path(request["logs"]) / "error" / f"process{number:03}.txt"
        self._script: Script | None = None
        self._request = request

    def start(self) -> dict[str, Any]:
        try:
            self._script = Script(self._request)
            self._script.call("init")
        except BaseException as error:  # noqa: BLE001 - whatever the script does
            return {"init_error": self._told(error)}
        return {"ready": True}

    def do(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._script is not None
        try:
            data, context = _loaded(order)
            results = self._script.run(data, context)
            returned = _count(results)
            if self._rows is not None:
                draft = self._rows / f"{order['index']}~"
                draft.write_text(_text(results), encoding="utf-8", newline="")
                draft.replace(self._rows / str(order["index"]))
        except BaseException as error:  # noqa: BLE001 - whatever the script does, SystemExit among it
            return {"error": self._told(error)}
        return {"returned": returned}

    def end(self) -> None:
        assert self._script is not None
        self._script.call("shutdown")

    def _told(self, error: BaseException) -> str:
        """The error in a line; all of it goes to the log."""
        trace = traceback.format_exc()
        sys.stderr.write(trace)
        self._errors.parent.mkdir(parents=True, exist_ok=True)
        with self._errors.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{trace}\n")
        return " ".join("".join(traceback.format_exception_only(error)).split())[:500]


def _loaded(order: dict[str, Any]) -> tuple[Any, Batch]:
    """What run() is given: paths, or a pandas.DataFrame."""
    if "parquet" not in order:
        moments = set(order["moments"])
        key = {name: _moment(text) if name in moments else text for name, text in order["key"].items()}
        return list(order["files"]), Batch(order, order["files"], key)
    import pyarrow.parquet as parquet

    from orchestrator.datasets.frames import frame

    table = parquet.ParquetFile(order["parquet"]).read_row_group(order["row_group"])
    key = {name: table[name][0].as_py() for name in order["key"]}
    return frame(table), Batch(order, None, key)


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)


def _dataset(paths: list[str]) -> Any:
    """By name, since scripts have the client and this room has not."""
    client, documents = import_module("millstream.file_dataset"), import_module("orchestrator.core.dataset")
    local = import_module("orchestrator.datasets.local")
    root = Path(os.path.commonpath([str(Path(path).parent) for path in paths]))
    places = [str(Path(path).relative_to(root)) for path in paths]
    sources = tuple(documents.DatastoreFiles(datastore="mini_batch", path=place) for place in places)
    document = documents.DatasetDocument(type="file", sources=sources)
    return client.FileDataset(document, None, access=local.LocalAccess({"mini_batch": root}))


def _count(results: Any) -> int:
    """Of how many elements. Raises TypeError for what is no list, array or table."""
    if isinstance(results, str | bytes | dict) or not hasattr(results, "__len__"):
        raise TypeError(f"run() must return a list or a DataFrame, not {type(results).__name__}")
    return len(results)


def _text(results: Any) -> str:
    """A line an element; of a DataFrame, its values with blanks between them."""
    if hasattr(results, "to_csv") and getattr(results, "ndim", 0) == 2:
        made: str = results.to_csv(None, sep=" ", header=False, index=False)
        return made
    return "".join(f"{element}\n" for element in results)


def main(arguments: list[str]) -> None:
    path, number, orders, answers = arguments
    for stream in (sys.stdout, sys.stderr):
        # A line at a time, since several processes write to the same log.
        stream.reconfigure(line_buffering=True, write_through=False)  # type: ignore[union-attr]
    for descriptor in (int(orders), int(answers)):
        os.set_inheritable(descriptor, False)
    request = json.loads(Path(path).read_bytes())
    worker = Worker(request, int(number))
    with open(int(orders), encoding="utf-8") as source, open(int(answers), "w", encoding="utf-8") as sink:  # noqa: PTH123

        def say(answer: dict[str, Any]) -> None:
            sys.stdout.flush()
            sys.stderr.flush()
            sink.write(json.dumps(answer) + "\n")
            sink.flush()

        answer = worker.start()
        say(answer)
        if "ready" not in answer:
            return
        for line in source:
            order = json.loads(line)
            if "end" in order:
                break
            say(worker.do(order["batch"]))
        worker.end()


if __name__ == "__main__":
    main(sys.argv[1:])
