"""What a step of kind "notebook" does in its process."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

try:
    import nbformat
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
except ModuleNotFoundError as error:
    sys.exit(f"The environment of the step has no {error.name}: add nbclient and ipykernel to its packages.")

PARAMETERS: Final = "parameters"
INJECTED: Final = "injected-parameters"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def main(request: dict[str, Any]) -> None:
    """Ends the process with a word to its log when the notebook does not run to its end."""
    notebook = _read(Path(request["notebook"]))
    if request["parameters"]:
        inject(notebook, request["parameters"])
    client = NotebookClient(
        notebook,
        timeout=request["timeout"],
        kernel_name=request["kernel"],
        resources={"metadata": {"path": request["folder"]}},
        on_cell_executed=_tell,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        sys.exit(f"A cell of the notebook failed: {error.ename}: {error.evalue}")
    except CellTimeoutError:
        sys.exit(f"A cell of the notebook ran longer than it may, {request['timeout']:g} s.")
    except DeadKernelError:
        sys.exit("The kernel of the notebook died.")
    except NoSuchKernel:
        sys.exit(f"This node has no kernel {request['kernel']!r} for the notebook.")
    finally:
        _keep(notebook, request["kept"])


def inject(notebook: Any, parameters: dict[str, Any]) -> None:
    """Put a cell that sets the parameters after the one that is tagged so, or first; one put there before goes."""
    notebook.cells = [cell for cell in notebook.cells if INJECTED not in _tags(cell)]
    lines = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
    cell = nbformat.v4.new_code_cell(  # type: ignore[no-untyped-call]
        f"# Parameters\n{lines}", metadata={"tags": [INJECTED]}
    )
    tagged = [at for at, other in enumerate(notebook.cells) if PARAMETERS in _tags(other)]
    notebook.cells.insert(tagged[0] + 1 if tagged else 0, cell)


def _tags(cell: Any) -> list[str]:
    return list(cell.get("metadata", {}).get("tags", ()))


def _read(path: Path) -> Any:
    try:
        return nbformat.read(str(path), as_version=4)  # type: ignore[no-untyped-call]
    except (ValueError, KeyError, nbformat.ValidationError) as error:
        sys.exit(f"{path.name} is not a notebook: {error}")


def _tell(cell: Any, cell_index: int, execute_reply: Any) -> None:
    """What a cell printed goes to the log of the step."""
    del cell_index, execute_reply
    for output in cell.get("outputs", ()):
        match output.get("output_type"):
            case "stream":
                print(output["text"], end="", file=sys.stderr if output["name"] == "stderr" else sys.stdout)
            case "execute_result" | "display_data" if "text/plain" in output["data"]:
                print(output["data"]["text/plain"])  # noqa: T201
            case "error":
                print(_COLOURS.sub("", "\n".join(output["traceback"])), file=sys.stderr)  # noqa: T201
    sys.stdout.flush()


def _keep(notebook: Any, places: list[str]) -> None:
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    for place in places:
        path = Path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
