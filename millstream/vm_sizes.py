"""v1's sizes of virtual machines, as the CPUs and the memory of a container."""

from __future__ import annotations

import re

LARGEST = 4.0
"""CPUs that a container may have; larger machines are cut down to it."""
_CORES = {1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 11: 2, 12: 4, 13: 8, 14: 16, 15: 20}
"""The second generation, whose numbers are no numbers of cores."""


def container_size(vm_size: str) -> tuple[float, float]:
    """CPUs and GiB for a machine of this name, as STANDARD_D2_V2. One that is not understood gets one CPU."""
    found = re.fullmatch(r"(?:standard_|basic_)?([a-z]+?)(\d+)[a-z-]*(?:\d+[a-z]*)?(?:_v(\d+))?", vm_size.lower())
    cores = 1
    if found:
        number, family, generation = int(found[2]), found[1], found[3]
        cores = _CORES.get(number, number) if family in ("d", "ds") and generation == "2" else number
    cpus = min(LARGEST, float(max(1, cores)))
    return cpus, cpus * 2
