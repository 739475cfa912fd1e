"""Blob trigger paths: ``container/{name}.csv``. A parameter takes anything, slashes too; case matters."""

from __future__ import annotations

import re
from dataclasses import dataclass

from azurerest.errors import Invalid
from azurerest.names import container_path
from devhost.errors import ConfigError

_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][\w.:-]*)\}|[{}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPattern:
    """A compiled path. ``container`` is literal."""

    container: str
    names: tuple[str, ...]
    regex: re.Pattern[str]

    def match(self, container: str, blob: str) -> dict[str, str] | None:
        """The captured parameters, None when the blob is not meant."""
        if container != self.container:
            return None
        found = self.regex.fullmatch(blob)
        return None if found is None else dict(zip(self.names, found.groups(), strict=True))


def compile_blob_pattern(path: str, *, where: str) -> BlobPattern:
    """Compile a blob trigger's path.

    Raises:
        ConfigError: no container, a parameter in the container's name, or unbalanced braces.
    """
    container, slash, blob = path.partition("/")
    if not container or (slash and not blob):
        raise ConfigError(f"{where}: path must be container/pattern, got {path!r}")
    if "{" in container or "}" in container:
        raise ConfigError(f"{where}: the container of a blob trigger cannot be a parameter: {path!r}")
    try:
        container_path(container)
    except Invalid as error:
        raise ConfigError(f"{where}: {error.message}") from None
    blob = blob or "{name}"
    names: list[str] = []
    pattern, position = "", 0
    for token in _TOKEN.finditer(blob):
        pattern += re.escape(blob[position : token.start()])
        position = token.end()
        if token[1] is not None:
            if token[1] in names:
                raise ConfigError(f"{where}: parameter {token[1]!r} appears twice in {path!r}")
            names.append(token[1])
            pattern += "(.*)"
        elif len(token[0]) == 2:
            pattern += re.escape(token[0][0])
        else:
            raise ConfigError(f"{where}: braces do not balance in {path!r}; write {{{{ for a literal brace")
    pattern += re.escape(blob[position:])
    return BlobPattern(container=container, names=tuple(names), regex=re.compile(pattern, re.DOTALL))
