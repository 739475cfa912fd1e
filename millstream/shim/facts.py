"""Plain values of v1 that drivers print or pass on."""

from __future__ import annotations

from typing import Final

VERSION: Final = "1.61.0+millstream"
"""Of the azureml-core whose names these are; drivers print it, and some compare it."""

DEFAULT_CPU_IMAGE: Final = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"
DEFAULT_GPU_IMAGE: Final = "mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04"
