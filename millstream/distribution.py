"""v1's ways to spread a script over nodes. A step runs on one node: MPI's processes, all of them there, are the one
that works; the others are accepted and left aside.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class MpiConfiguration:
    """Processes that speak MPI."""

    process_count_per_node: int = 1
    node_count: int = 1


@dataclass(slots=True)
class PyTorchConfiguration:
    """Processes of torch.distributed."""

    communication_backend: str = "Nccl"
    process_count: int | None = None
    node_count: int = 1


@dataclass(slots=True)
class TensorflowConfiguration:
    """Workers and parameter servers of tf.distribute."""

    worker_count: int = 1
    parameter_server_count: int = 1


@dataclass(slots=True)
class ParameterServer:
    """Workers and parameter servers of an estimator."""

    worker_count: int = 1
    parameter_server_count: int = 1


@dataclass(slots=True)
class Nccl:
    """Processes that speak NCCL."""


@dataclass(slots=True)
class Gloo:
    """Processes that speak Gloo."""
