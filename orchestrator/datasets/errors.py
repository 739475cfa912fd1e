"""Why a dataset cannot be evaluated. All are the user's to mend: the data is not as the document says."""

from __future__ import annotations

from orchestrator.core.errors import UserError


class DatasetError(UserError):
    code = "DatasetUnusable"


class FileMissing(DatasetError):
    """A path that the document names leads to no file and no folder."""

    status = 404
    code = "FileMissing"


class EmptyDataset(DatasetError):
    """A table was asked of no file at all, or of files that hold nothing."""

    code = "EmptyDataset"


class UnknownColumn(DatasetError):
    code = "UnknownColumn"


class Unreadable(DatasetError):
    """A file is not of the format that the document says, or a value not of its type."""

    code = "Unreadable"


class QueryFailed(DatasetError):
    """A database did not answer a query with rows, or not in time."""

    code = "QueryFailed"


class UnsafeArchive(DatasetError):
    """An archive whose entries would climb out of their folder, or that is a bomb."""

    code = "UnsafeArchive"


class FilesInTheWay(DatasetError):
    """A file would be written where one is, and is not to be replaced."""

    status = 409
    code = "FileExists"


class NotSupported(DatasetError):
    code = "NotSupported"
