"""A thin, synchronous, thread-safe client of the Azure Table, Queue, Blob and File REST services.

    account = Account.from_connection_string("UseDevelopmentStorage=true")
    transport = Transport()
    tables, queues, blobs = Tables(account, transport), Queues(account, transport), Blobs(account, transport)

account     Account: endpoints and credential (account key, SAS, token)
transport   Transport: pooled connections, time-outs, the server's clock, a hook that sees every request, or
            (observing) every request of a context; its docstring says when a request is repeated
billing     under which price a request is billed
errors      what a call can raise; only `Unanswered` leaves open whether a request was applied
tables      Tables, Entity, Op, Page; odata: filters that quote their values (key_range, key_prefix, literal)
queues      Queues, Message, Receipt
blobs       Blobs, Blob, BlobItem, BlobPage, BlobProperties; blobfiles: files, streams and blocks
files       Files: shares, directories, files; sharefiles: whole files, and all below a directory
sas         signed URLs

Standard library only; imports nothing else of this repository.
"""

from __future__ import annotations

from azurerest.account import Account
from azurerest.batch import Op
from azurerest.blobs import Blobs
from azurerest.blobtypes import Blob, BlobItem, BlobPage, BlobProperties, Written
from azurerest.entity import Entity, Props, Value
from azurerest.errors import (
    Busy,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    StorageError,
    TooLarge,
    Unanswered,
    Unreachable,
)
from azurerest.files import Entry, EntryPage, FileProperties, Files
from azurerest.queues import Message, QueueProperties, Queues, Receipt
from azurerest.tables import Page, Tables
from azurerest.transport import Call, Response, Transport, observing

__all__ = [
    "Account",
    "Blob",
    "BlobItem",
    "BlobPage",
    "BlobProperties",
    "Blobs",
    "Busy",
    "Call",
    "Conflict",
    "Entity",
    "Entry",
    "EntryPage",
    "FileProperties",
    "Files",
    "Forbidden",
    "Invalid",
    "Message",
    "NotFound",
    "Op",
    "Page",
    "PreconditionFailed",
    "Props",
    "QueueProperties",
    "Queues",
    "Receipt",
    "Response",
    "StorageError",
    "Tables",
    "TooLarge",
    "Transport",
    "Unanswered",
    "Unreachable",
    "Value",
    "Written",
    "observing",
]
