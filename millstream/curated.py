"""v1's curated environments, whose names begin with AzureML-: what stands for one here, told from its name.

v1's are images with packages of their time, for a Python that is older than the worker's. Here they stand for the
packages that they are about, in the versions that fit the worker's Python (docs/environments.md).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from millstream.errors import UnknownThing
from orchestrator.core.names import shown

_SKLEARN: Final = ("scikit-learn", "joblib", "pandas")
_TORCH: Final = ("torch", "torchvision")
STANDS_FOR: Final[Mapping[str, tuple[str, ...]]] = {
    "minimal": (),
    "openmpi4": (),
    "openmpi3": (),
    "tutorial": ("scikit-learn", "pandas", "matplotlib"),
    "sklearn": _SKLEARN,
    "scikit": _SKLEARN,
    "lightgbm": ("lightgbm", *_SKLEARN),
    "xgboost": ("xgboost", *_SKLEARN),
    "dask": ("dask", "distributed", "pandas"),
    "tensorflow": ("tensorflow",),
    "pytorch": _TORCH,
    "acpt": _TORCH,
    "chainer": ("chainer",),
}
"""By a word of the name."""
INSTEAD: Final[Mapping[str, str]] = {
    "automl": "There is no automated ML here: choose the model in a script, its parameters with HyperDriveStep.",
    "hyperdrive": "It belongs to automated ML. A search of your own needs none: give HyperDriveStep an estimator.",
    "triton": "Millstream serves no models.",
    "inference": "Millstream serves no models.",
    "designer": "There is no designer here: write the steps as scripts.",
    "pyspark": "Use SynapseSparkStep, or a DatabricksStep with a python_script_name.",
    "mmlspark": "Use SynapseSparkStep, or a DatabricksStep with a python_script_name.",
    "vowpalwabbit": "Ask for the package: Environment.from_pip_requirements with a line vowpalwabbit.",
    "responsibleai": "Ask for the package: Environment.from_pip_requirements with a line responsibleai.",
}
"""By a word of the name, which is refused: what to do. It counts before what stands for others."""
_FIRST: Final = ("azureml", "microsoft")


def is_curated(name: str) -> bool:
    """Whether a name is of those that v1 keeps for itself."""
    return name.lower().startswith(_FIRST)


def packages_of(name: str) -> tuple[str, ...]:
    """The packages of the index that stand for a curated environment. Raises UnknownThing, which says what to use."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word not in _FIRST]
    for word in words:
        if word in INSTEAD:
            raise UnknownThing(f"Nothing here stands for the environment {shown(name)}. {INSTEAD[word]}", field="name")
    for word in words:
        if word in STANDS_FOR:
            return STANDS_FOR[word]
    known = ", ".join(sorted({word for word in STANDS_FOR if not word.startswith("openmpi")}))
    raise UnknownThing(
        f"Nothing here stands for the environment {shown(name)}. Make one of the packages that the script imports: "
        f"Environment.from_pip_requirements, or from_conda_specification. Curated names with one of these words are "
        f"known: {known}.",
        field="name",
    )
