"""v1's module names, answered by this project's classes: `import azureml.core` works without azureml-core.

    millstream run driver.py                                a driver, unmodified
    import millstream.shim; millstream.shim.activate()      the first line of a notebook

Step scripts need neither: their processes have a stand-in for the package `azureml` on their path. A real azureml-core
in the same interpreter comes first everywhere, unless `activate(force=True)` says otherwise. Which names there are says
`millstream.shim.table`; docs/v1-compatibility.md says how well each works. Standard library only, and little of it.
"""

from __future__ import annotations

import os
import sys

from millstream.shim.finder import ROOT, Finder

TYPE_CHECKING = False  # typing costs milliseconds that every script would pay
if TYPE_CHECKING:
    from collections.abc import Iterable


def activate(*, force: bool = False) -> bool:
    """Answer `import azureml...` from now on in this process. Returns whether it does.

    Where a real azureml-core is installed nothing happens, and False is returned, unless `force`: then it is hidden.
    Raises RuntimeError if that comes too late, because the real one is imported already.
    """
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return True
    if not force and real_core(sys.path) is not None:
        return False
    if _imported_from_elsewhere():
        raise RuntimeError("azureml is imported already. Activate before the first `import azureml...`.")
    # Last, so that what is installed beside azureml-core under the same first name (azureml-mlflow ...) is still found.
    sys.meta_path.insert(0 if force else len(sys.meta_path), Finder())
    return True


def deactivate() -> None:
    """Undo `activate`, and forget the modules that were answered."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
    for name in [name for name in sys.modules if name.partition(".")[0] == ROOT]:
        del sys.modules[name]


def real_core(path: Iterable[str]) -> str | None:
    """The folder of `path` that holds an installed azureml-core; None: there is none."""
    for entry in path:
        if os.path.isfile(os.path.join(entry or ".", ROOT, "core", "__init__.py")):  # noqa: PTH113, PTH118
            return entry
    return None


def stand_in() -> None:
    """What the package `azureml` of a step's path does when it is imported: give way to a real one, or activate.

    The stand-in lies before the installed packages on the path, since that is where its folder has to be.
    """
    from importlib import import_module
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    own = sys.modules[ROOT]
    here = os.path.dirname(os.path.dirname(os.path.abspath(str(own.__file__))))  # noqa: PTH100, PTH120
    others = [entry for entry in sys.path if os.path.abspath(entry) != here]  # noqa: PTH100
    if real_core(others) is None:
        own.__path__ = [*own.__path__, *_portions(others)]
        activate()
        return
    import_module("millstream.shim.real_core").install()
    spec = PathFinder.find_spec(ROOT, others)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules[ROOT] = module
    if spec.loader is not None:
        spec.loader.exec_module(module)


def _portions(path: Iterable[str]) -> list[str]:
    """Where packages that share the name (azureml-mlflow ...) have their modules."""
    folders = [os.path.join(entry, ROOT) for entry in path]  # noqa: PTH118
    return [folder for folder in folders if os.path.isdir(folder)]  # noqa: PTH112


def _imported_from_elsewhere() -> bool:
    module = sys.modules.get(f"{ROOT}.core")
    return module is not None and not isinstance(getattr(module.__spec__, "loader", None), Finder)
