"""Names, checked before they become part of a URL."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote

from azurerest.errors import Invalid

_CONTAINER = re.compile(r"(?:[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]|\$root|\$web|\$logs)\Z")
_QUEUE = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]\Z")
_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}\Z")
_FILE_REFUSED = re.compile(r'[\x00-\x1f\x7f-\x9f\\:|<>*?"]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_KEY_REFUSED = re.compile(r"[\x00-\x1f\x7f-\x9f/\\#?]")
_MAX_BLOB_NAME = 1024
_MAX_FILE_PATH = 2048
_MAX_FILE_NAME = 255
_MAX_KEY_UNITS = 512


@lru_cache(maxsize=1024)
def container_path(name: str) -> str:
    """ "/name" of a container. Raises Invalid."""
    if not _CONTAINER.match(name):
        raise Invalid(f"not a container name: {name!r} (3-63 of a-z, 0-9 and single dashes)")
    return f"/{name}"


@lru_cache(maxsize=1024)
def queue_path(name: str) -> str:
    """ "/name" of a queue. Raises Invalid."""
    if not _QUEUE.match(name):
        raise Invalid(f"not a queue name: {name!r} (3-63 of a-z, 0-9 and single dashes)")
    return f"/{name}"


@lru_cache(maxsize=1024)
def table_name(name: str) -> str:
    """The name of a table, checked. Raises Invalid."""
    if not _TABLE.match(name) or name.lower() == "tables":
        raise Invalid(f"not a table name: {name!r} (3-63 letters and digits, a letter first)")
    return name


@lru_cache(maxsize=4096)
def blob_path(container: str, name: str) -> str:
    """ "/container/blob", percent-encoded. Raises Invalid.

    "." and ".." segments are refused: servers and proxies fold them, so such a name could leave its prefix.
    """
    if not 0 < utf16_units(name) <= _MAX_BLOB_NAME:
        raise Invalid(f"a blob name has 1 to {_MAX_BLOB_NAME} characters, not {len(name)}: {name[:80]!r}")
    if _CONTROL.search(name):
        raise Invalid(f"control character in the blob name {name!r}")
    if any(segment in (".", "..") for segment in name.replace("\\", "/").split("/")):
        raise Invalid(f"'.' or '..' segment in the blob name {name!r}")
    return f"{container_path(container)}/{quote(name, safe='/~')}"


@lru_cache(maxsize=4096)
def file_path(share: str, name: str) -> str:
    """ "/share/directory/file", percent-encoded. Raises Invalid.

    Parts that end with a dot are refused: the service takes the dot away, and "a." would be "a".
    """
    if not 0 < utf16_units(name) <= _MAX_FILE_PATH:
        raise Invalid(f"a path in a share has 1 to {_MAX_FILE_PATH} characters, not {len(name)}: {name[:80]!r}")
    if found := _FILE_REFUSED.search(name):
        raise Invalid(f"names in a share cannot hold {found[0]!r}: {name!r}")
    for part in name.split("/"):
        if not part or part.endswith(".") or utf16_units(part) > _MAX_FILE_NAME:
            message = f"parts of a path in a share have 1 to {_MAX_FILE_NAME} characters and no dot at their end"
            raise Invalid(f"{message}: {name!r}")
    return f"{container_path(share)}/{quote(name, safe='/~')}"


def check_key(field: str, key: str) -> str:
    """A PartitionKey or RowKey, checked: at most 1 KiB in UTF-16, no / \\ # ? and no control characters."""
    if _KEY_REFUSED.search(key):
        raise Invalid(f"{field} {key!r} holds one of / \\ # ? or a control character")
    if utf16_units(key) > _MAX_KEY_UNITS:
        raise Invalid(f"{field} {key[:40]!r}... is longer than {_MAX_KEY_UNITS} characters")
    return key


def utf16_units(text: str) -> int:
    """Length in UTF-16 code units, as the services count. Raises Invalid for a lone surrogate."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode("utf-16-le")) // 2
    except UnicodeEncodeError as fault:
        raise Invalid(f"not valid Unicode text: {text[:40]!r}") from fault
