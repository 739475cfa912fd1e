"""What ARCHITECTURE.md says of the rooms, beyond the contracts of import-linter in pyproject.toml."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOMS, ROOT, Source, imports, product

# The SDKs stand beside the Functions library under the same first name, which import-linter cannot tell apart.
_SDKS = ("azure.core", "azure.data", "azure.identity", "azure.storage", "azure.eventgrid")
# Who reads the environment, and of which process: the app's, the child's, the client's, the host's.
_READERS = {
    "function_app.py": "hands it to orchestrator.settings",
    "millstream/attached_compute.py": "where a workspace of Databricks is, by that service's own variable",
    "millstream/config.py": "the client's own variables",
    "millstream/console.py": "what kind of terminal it writes to",
    "millstream/contexts.py": "inside a step, what the worker set for it",
    "millstream/run_context.py": "inside a step, what the worker set for it",
    "millstream/script_run.py": "inside a step, what the worker set for it",
    "millstream/shim/real_core.py": "inside a step, where the worker reads what it is told",
    "millstream/workspace.py": "hands it to the functions of millstream.config",
    "steps/environment.py": "the few variables that a step's process inherits",
    "worker/__main__.py": "hands it to orchestrator.settings",
    "worker/driver.py": "hands it to orchestrator.settings, and to the processes that it starts",
    "steps/zygote/script.py": "in the step's own process, before the script starts",
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_the_one_of_this_repository(room: str) -> None:
    """PyPI has packages of the same names, and the Functions worker may put the app's folder last on sys.path."""
    module = importlib.import_module(room)
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / room / "__init__.py"


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_no_folder_shadows_the_azure_packages() -> None:
    assert [name for name in ("azure", "azureml") if (ROOT / name).exists()] == []


def test_the_product_uses_no_sdk() -> None:
    found = [(source.name, name) for source in product() for name in imports(source) if name.startswith(_SDKS)]
    assert found == []


def test_the_functions_library_stays_in_the_triggers_and_the_local_host() -> None:
    users = {source.name for source in product() if any(name.startswith("azure.functions") for name in imports(source))}
    allowed = ("function_app.py", "orchestrator/triggers/", "devhost/")
    assert sorted(name for name in users if not name.startswith(allowed)) == []


def test_of_the_worker_only_its_stores_speak_to_storage() -> None:
    users = [source.name for source in _room("steps") if any(_is(name, "azurerest") for name in imports(source))]
    stores = ("azure_store", "blob_copies", "patience", "places", "reach", "share_store")
    assert sorted(users) == [f"steps/{name}.py" for name in stores]


def test_the_worker_needs_of_the_engine_what_it_does_for_it() -> None:
    used = {name for source in _room("steps") for name in imports(source) if _is(name, "orchestrator.engine")}
    asked = ("orchestrator.engine.lease", "orchestrator.engine.identify")
    assert {name for name in used if not any(_is(name, room) for room in asked)} <= {"orchestrator.engine"}


def test_a_script_pays_for_the_standard_library_alone() -> None:
    """`from millstream import Run` is on the way of every step."""
    code = "import sys; from millstream import Run; Run.get_context().log('x', 1); print(*sys.modules, file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stderr
    ours = {name for name in loaded.split() if name.split(".")[0] in (*ROOMS, "msgspec", "pathspec", "typing")}
    assert {name.split(".")[0] for name in ours} == {"millstream"}
    assert not {"millstream.workspace", "millstream.runs", "millstream.api"} & ours


def test_the_environment_is_read_in_few_places() -> None:
    readers = {
        source.name for source in product() if not source.name.startswith("devhost/") and _reads_environment(source)
    }
    assert sorted(readers - set(_READERS)) == []


def test_the_composition_root_has_no_logic() -> None:
    root = product()[0]
    assert root.lines < 80
    logic = (ast.FunctionDef, ast.ClassDef, ast.If, ast.For, ast.While, ast.Try)
    assert [type(node).__name__ for node in ast.walk(root.tree) if isinstance(node, logic)] == []


def _room(name: str) -> list[Source]:
    return [source for source in product() if source.name.startswith(f"{name}/")]


def _is(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _reads_environment(source: Source) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("environ", "environb", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        for node in ast.walk(source.tree)
    )
