"""What the script of a step finds under the names of its inputs and outputs. Standard library only."""

from __future__ import annotations

from millstream.run_context import late

TYPE_CHECKING = False  # as in run_context
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Inputs(dict):  # type: ignore[type-arg]
    """Name -> path of an input; of a dataset that came as itself, the dataset, made when it is first asked for."""

    def __init__(self, paths: dict[str, str], datasets: dict[str, Any]) -> None:
        super().__init__(paths)
        self._datasets = dict(datasets)

    def __getitem__(self, name: str) -> Any:
        if name in self._datasets:
            self[name] = _dataset(self._datasets.pop(name))
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 - __getitem__ does more

    def values(self) -> Any:
        return [self[name] for name in self]

    def items(self) -> Any:
        return [(name, self[name]) for name in self]


class Outputs(dict):  # type: ignore[type-arg]
    """Name -> path of an output; of one that is a link, the LinkOutput."""

    def __init__(self, paths: dict[str, str], links: list[str], emit: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(paths)
        for name in links:
            self[name] = LinkOutput(name, emit)


class LinkOutput:
    """An output that is a dataset which the script names."""

    def __init__(self, name: str, emit: Callable[[dict[str, Any]], None]) -> None:
        self.name = name
        self._emit = emit

    def link(self, dataset: Any) -> None:
        """Let this output be `dataset`, a FileDataset or TabularDataset. Linked again, the last one counts."""
        if not hasattr(dataset, "document"):
            raise TypeError(f"link() takes a dataset, not {dataset!r}.")
        document = late("msgspec").to_builtins(dataset.document)
        self._emit({"op": "link", "name": self.name, "dataset": document})

    def __repr__(self) -> str:
        return f"LinkOutput({self.name!r})"


def _dataset(known: dict[str, Any]) -> Any:
    """A dataset over the files that the step was brought: nothing of it is asked for over the network."""
    path = late("pathlib").Path
    roots = {name: path(root) for name, root in known["roots"].items()}
    web = {url: path(place) for url, place in known["web"].items()}
    kind = late("orchestrator.core.dataset").DatasetDocument
    document = late("msgspec").convert(known["document"], kind)
    access = late("orchestrator.datasets.local").LocalAccess(roots, lambda url: web[url].open("rb"))
    return late("millstream.dataset").dataset_of(document, access=access, saved=True)
