"""What v1's machine sizes become."""

from __future__ import annotations

import pytest

from millstream.vm_sizes import container_size


@pytest.mark.parametrize(
    ("vm_size", "cpus"),
    [
        ("STANDARD_D1_V2", 1.0),
        ("STANDARD_D2_V2", 2.0),
        ("Standard_DS3_v2", 4.0),
        ("STANDARD_DS12_V2", 4.0),
        ("Standard_D4s_v3", 4.0),
        ("standard_d2as_v4", 2.0),
        ("STANDARD_NC6", 4.0),
        ("Standard_E4d_v5", 4.0),
        ("STANDARD_F2S_V2", 2.0),
        ("", 1.0),
        ("something else", 1.0),
    ],
)
def test_cores_of_a_machine_are_cpus_of_a_container(vm_size: str, cpus: float) -> None:
    assert container_size(vm_size) == (cpus, 2 * cpus)
