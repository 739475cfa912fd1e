"""Names of functions that depend on settings. Standard library only: what deploys the app computes them, too."""

from __future__ import annotations

import re
from hashlib import sha256


def watcher(place: str) -> str:
    """The function that is told of blobs in a container, or in a folder of one ("container/folder")."""
    plain = re.sub(r"[^A-Za-z0-9]", "_", place)
    if plain == place:
        return f"changed_in_{plain}"
    # Other places could become the same name.
    return f"changed_in_{plain[:80]}_{sha256(place.encode()).hexdigest()[:8]}"
