"""Datasets: where data lies and how it is read, as a value that can be saved, named, and given to steps.

Nothing is read when a dataset is made or changed, but for the check that `validate=True` asks for.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from millstream.arguments import refuse_unknown
from millstream.dataset_access import SignedAccess
from millstream.dataset_consumption import DatasetConsumptionConfig
from millstream.dataset_factory import FileDatasetFactory, TabularDatasetFactory
from millstream.dataset_filter import condition_of
from millstream.errors import InvalidRequest
from orchestrator.core import dataset as documents
from orchestrator.core import dataset_rules
from orchestrator.core.dataset import DatasetDocument, Operation
from orchestrator.core.names import DATASET
from orchestrator.datasets.access import Access
from orchestrator.datasets.archives import Archives
from orchestrator.datasets.files import Reading, files
from orchestrator.datasets.leaves import leaves
from orchestrator.datasets.local import LocalAccess
from orchestrator.datasets.partitions import columns_of

if TYPE_CHECKING:
    from millstream.dataset_types import ArchiveOptions
    from millstream.file_dataset import FileDataset
    from millstream.tabular_dataset import TabularDataset
    from millstream.workspace import Workspace

D = TypeVar("D", bound="AbstractDataset")


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """Under which name and version a dataset is registered."""

    name: str
    version: int
    description: str = ""
    tags: dict[str, str] = {}
    created_at: float | None = None


class AbstractDataset:
    """What file and tabular datasets share. Make one by `Dataset.File` or `Dataset.Tabular`."""

    File = FileDatasetFactory
    Tabular = TabularDatasetFactory

    def __init__(
        self,
        document: DatasetDocument,
        workspace: Workspace | None = None,
        *,
        access: Access | None = None,
        registered: Registered | None = None,
        saved: bool = False,
    ) -> None:
        """`access`: how the files are reached; without one, by the workspace's service."""
        self.document = dataset_rules.check(document)
        self.workspace = workspace
        self._access = access
        self._registered = registered
        self._saved = saved or registered is not None

    @staticmethod
    def get_by_name(
        workspace: Workspace, name: str, version: int | str = "latest", **unknown: Any
    ) -> FileDataset | TabularDataset:
        """A registered dataset. Raises UnknownThing if there is no such name or version."""
        refuse_unknown(AbstractDataset.get_by_name, unknown)
        number = None if version == "latest" else int(version)
        found = workspace.api.dataset(DATASET.check(name, "name"), number)
        registered = Registered(
            name=found.name or name,
            version=found.version or 1,
            description=found.description,
            tags=found.tags,
            created_at=found.created_at,
        )
        return dataset_of(found.document, workspace, registered=registered)

    @staticmethod
    def get_by_id(workspace: Workspace, id: str, **unknown: Any) -> FileDataset | TabularDataset:
        """A dataset that was saved, registered or not. Raises UnknownThing."""
        refuse_unknown(AbstractDataset.get_by_id, unknown)
        return dataset_of(workspace.api.dataset_by_id(id).document, workspace, saved=True)

    @staticmethod
    def get_all(workspace: Workspace) -> Mapping[str, FileDataset | TabularDataset]:
        """The latest version of every registered dataset, by name."""
        return workspace.datasets

    @property
    def id(self) -> str | None:
        """The id that it has once it is saved: registered, or used in a pipeline that was submitted."""
        return documents.address(self.document) if self._saved else None

    @property
    def content_id(self) -> str:
        """The id that it has or will have."""
        return documents.address(self.document)

    @property
    def name(self) -> str | None:
        return self._registered.name if self._registered else None

    @property
    def version(self) -> int | None:
        return self._registered.version if self._registered else None

    @property
    def description(self) -> str | None:
        return self._registered.description if self._registered else None

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._registered.tags) if self._registered else {}

    def save(self, workspace: Workspace | None = None) -> str:
        """Keep the document in the service; its id. Saving it again changes nothing."""
        if not self._saved:
            self._workspace(workspace).api.save_dataset({"document": self.document})
            self._saved = True
        return documents.address(self.document)

    def register(
        self: D,
        workspace: Workspace,
        name: str,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        create_new_version: bool = False,
    ) -> D:
        """This dataset under a name. Raises Conflict if another has the name and no new version is wished.

        What is the latest version already stays that version.
        """
        wish = {
            "document": self.document,
            "name": DATASET.check(name, "name"),
            "description": description,
            "tags": None if tags is None else _texts(tags),
            "create_new_version": create_new_version,
        }
        made = workspace.api.save_dataset(wish)
        registered = Registered(
            name=name,
            version=made.version or 1,
            description=made.description,
            tags=made.tags,
            created_at=made.created_at,
        )
        self._saved = True
        return type(self)(self.document, workspace, access=self._access, registered=registered)

    def update(self: D, description: str | None = None, tags: Mapping[str, str] | None = None) -> D:
        """Set the description and replace the tags of this version."""
        kept = {} if tags is None else dict.fromkeys(self.tags)
        return self._changed({"description": description, "tags": {**kept, **_texts(tags or {})}})

    def add_tags(self: D, tags: Mapping[str, str] | None = None) -> D:
        return self._changed({"tags": _texts(tags or {})})

    def remove_tags(self: D, tags: Any = None) -> D:
        """Remove the tags with these names."""
        return self._changed({"tags": dict.fromkeys(tags or (), None)})

    def unregister_all_versions(self) -> None:
        """Forget the name, with all its versions. No data is touched."""
        registered = self._registration()
        self._workspace(None).api.unregister_dataset(registered.name)
        self._registered = None

    def as_named_input(self, name: str) -> DatasetConsumptionConfig:
        """This dataset as an input of steps, under this name."""
        return DatasetConsumptionConfig(name, self)

    def take(self: D, count: int) -> D:
        """The first `count`."""
        return self._then(documents.Take(count=count))

    def skip(self: D, count: int) -> D:
        """All but the first `count`."""
        return self._then(documents.Skip(count=count))

    def take_sample(self: D, probability: float, seed: int | None = None) -> D:
        """Each one with this probability. Without a seed one is drawn now, so that the dataset stays the same."""
        return self._then(documents.Sample(probability=probability, seed=_seed(seed)))

    def random_split(self: D, percentage: float, seed: int | None = None) -> tuple[D, D]:
        """Two datasets: each one is in the first with probability `percentage` (0 to 1), else in the second."""
        drawn = _seed(seed)
        first = documents.Split(percentage=percentage, seed=drawn, part="first")
        return self._then(first), self._then(msgspec.structs.replace(first, part="second"))

    def filter(self: D, expression: Any) -> D:
        """Those for which a condition holds, as `dataset["age"] > 30`."""
        return self._then(documents.Filter(condition=condition_of(expression)))

    @property
    def partition_keys(self) -> list[str]:
        """The columns by which the files are divided: those of `partition_format`, or of `partition_by`."""
        named = [op.columns for op in self.document.operations if isinstance(op, documents.PartitionKeys)]
        if named:
            return list(named[-1])
        form = self.document.partition_format
        return [] if form is None else list(columns_of(form))

    def get_partition_key_values(self, partition_keys: list[str] | None = None) -> list[dict[str, Any]]:
        """Every combination of values that the keys have, as the paths of the files tell them."""
        wanted = self.partition_keys if partition_keys is None else partition_keys
        form = self.document.partition_format
        known = () if form is None else columns_of(form)
        for name in wanted:
            if name not in known:
                raise InvalidRequest(
                    f"{name!r} is no partition key. The keys are: {list(known)}.", field="partition_keys"
                )
        bare = msgspec.structs.replace(
            self.document, type="file", format=None, include_path=False, column_types={}, operations=()
        )
        with self.reading() as reading:
            found = {tuple(leaf.columns[name] for name in wanted): None for leaf in files(bare, reading)}
        return [dict(zip(wanted, values, strict=True)) for values in found]

    @property
    def data_changed_time(self) -> datetime | None:
        """When the youngest of the files behind it was changed; None: there are none, or nothing is known of them."""
        whole = msgspec.structs.replace(self.document, archive=None, partition_format=None)
        access = self.access()
        found = [leaf.modified for leaf in leaves(whole, access, Archives(access)) if leaf.modified is not None]
        return datetime.fromtimestamp(max(found), UTC) if found else None

    def reading(self) -> Reading:
        """An evaluation of this dataset, as a context manager."""
        return Reading(self.access())

    def access(self) -> Access:
        if self._access is not None:
            return self._access
        if not documents.datastores_of(self.document):
            return LocalAccess({})
        return SignedAccess(self._workspace(None).api)

    def _then(self: D, operation: Operation) -> D:
        return type(self)(self.document.then(operation), self.workspace, access=self._access)

    def _changed(self: D, wish: dict[str, Any]) -> D:
        registered = self._registration()
        line = self._workspace(None).api.change_dataset(registered.name, {**wish, "version": registered.version})
        self._registered = msgspec.structs.replace(registered, description=line.description, tags=line.tags)
        return self

    def _registration(self) -> Registered:
        if self._registered is None:
            raise InvalidRequest("This dataset is not registered. Register it first: dataset.register(...).")
        return self._registered

    def _workspace(self, given: Workspace | None) -> Workspace:
        self.workspace = self.workspace or given
        if self.workspace is None:
            raise InvalidRequest(
                "This dataset is known to no workspace: its datastores are named by text. Register it, or name them by "
                "Datastore objects.",
                field="workspace",
            )
        return self.workspace

    def __repr__(self) -> str:
        known = (
            f"{self.name!r}, version {self.version}" if self._registered else f"{len(self.document.sources)} sources"
        )
        return f"{type(self).__name__}({known})"


class Dataset(AbstractDataset):
    """Where datasets begin: `Dataset.File.from_files(...)`, `Dataset.get_by_name(...)` ..."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError("Make a dataset by Dataset.File.from_files(...) or Dataset.Tabular.from_delimited_files(...).")

    @staticmethod
    def from_delimited_files(
        path: Any,
        separator: str = ",",
        header: bool | int = True,
        encoding: str = "utf8",
        quoting: bool = False,
        infer_column_types: bool = True,
        *,
        include_path: bool = False,
        archive_options: ArchiveOptions | None = None,
        partition_format: str | None = None,
        **unknown: Any,
    ) -> TabularDataset:
        """v1's older name of `Dataset.Tabular.from_delimited_files`. `quoting`: quoted values may have line breaks."""
        refuse_unknown(Dataset.from_delimited_files, unknown)
        return TabularDatasetFactory.from_delimited_files(
            path,
            include_path=include_path,
            infer_column_types=infer_column_types,
            separator=separator,
            header=header,
            partition_format=partition_format,
            support_multi_line=quoting,
            encoding=encoding,
            archive_options=archive_options,
        )

    @staticmethod
    def from_parquet_files(
        path: Any, include_path: bool = False, partition_format: str | None = None
    ) -> TabularDataset:
        """v1's older name of `Dataset.Tabular.from_parquet_files`."""
        return TabularDatasetFactory.from_parquet_files(
            path, include_path=include_path, partition_format=partition_format
        )

    @staticmethod
    def from_json_files(
        path: Any,
        encoding: str = "utf8",
        *,
        include_path: bool = False,
        partition_format: str | None = None,
        **unknown: Any,
    ) -> TabularDataset:
        """v1's older name of `Dataset.Tabular.from_json_lines_files`: an object a line."""
        refuse_unknown(Dataset.from_json_files, unknown)
        return TabularDatasetFactory.from_json_lines_files(
            path, include_path=include_path, partition_format=partition_format, encoding=encoding
        )

    @staticmethod
    def from_sql_query(data_source: Any, query: str) -> TabularDataset:
        """v1's older name of `Dataset.Tabular.from_sql_query`. `data_source`: a SQL datastore."""
        return TabularDatasetFactory.from_sql_query((data_source, query))

    @staticmethod
    def from_binary_files(path: Any) -> FileDataset:
        """v1's older name of `Dataset.File.from_files`."""
        return FileDatasetFactory.from_files(path)

    @staticmethod
    def get(workspace: Workspace, name: str | None = None, id: str | None = None) -> FileDataset | TabularDataset:
        """By name, the latest version, or by id."""
        if id is not None:
            return Dataset.get_by_id(workspace, id)
        if name is None:
            raise InvalidRequest("Give a name or an id.", field="name")
        return Dataset.get_by_name(workspace, name)

    @staticmethod
    def list(workspace: Workspace) -> list[FileDataset | TabularDataset]:
        """The latest version of every registered dataset."""
        return [*Dataset.get_all(workspace).values()]


def dataset_of(
    document: DatasetDocument,
    workspace: Workspace | None = None,
    *,
    access: Access | None = None,
    registered: Registered | None = None,
    saved: bool = False,
) -> FileDataset | TabularDataset:
    """The dataset of a document. Inside a step, `access` is to what the step was brought."""
    from millstream.file_dataset import FileDataset
    from millstream.tabular_dataset import TabularDataset

    kind = FileDataset if document.type == "file" else TabularDataset
    return kind(document, workspace, access=access, registered=registered, saved=saved)


def _seed(seed: int | None) -> int:
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise TypeError(f"A seed is a whole number, not {seed!r}.")
    return secrets.randbits(31) if seed is None else seed


def _texts(tags: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in tags.items()}
