"""Conda's packages as packages of the Python index, as far as they are there: names and versions, with a note for each
that is taken otherwise than it stands, or left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from orchestrator.core.environments.requirement import canonical, normalised

RENAMED: Final = {
    "dask-core": "dask",
    "fbprophet": "prophet",
    "keras-gpu": "keras",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "psycopg2": "psycopg2-binary",
    "py-lightgbm": "lightgbm",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "ray-core": "ray",
    "tensorflow-eigen": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-mkl": "tensorflow",
    "torchvision-cpu": "torchvision",
}
"""Conda's name -> that of the index."""
_PROGRAMS: Final = (
    "arrow-cpp blas bzip2 ca-certificates cmake conda cuda cudatoolkit cudnn ffmpeg gcc geos gfortran git graphviz gxx "
    "hdf5 icu java libblas libcblas libffi libgcc-ng libgdal libgfortran-ng liblapack libpng libprotobuf libstdcxx-ng "
    "libtiff make mkl mkl-service mpi nb-conda nb-conda-kernels nccl ncurses nodejs nomkl openblas openjdk "
    "openssl pandoc proj readline sqlite tk unixodbc xz yaml zlib zstd"
)
PROGRAMS: Final = frozenset(_PROGRAMS.split())
"""Programs and libraries that are no Python packages: a node has them, or has not."""
_NAME: Final = re.compile(r"(?:[\w./-]+::)?(?P<name>[A-Za-z0-9_][\w.-]*)(?P<rest>[^\[\]]*)", re.ASCII)
_OPERATORS: Final = re.compile(r"\s*([<>=!~,|]+)\s*")
_PLATFORM: Final = re.compile(r"[_-](linux|win|osx)-\w+")


@dataclass(frozen=True, slots=True)
class Mapped:
    """What conda's packages are here. `notes` are for people, one line each."""

    requirements: tuple[str, ...]
    notes: tuple[str, ...]


def mapped(specs: Iterable[str], python: str) -> Mapped:
    """`python` is the version that the environment will have. Raises ValueError, naming the package, for what cannot be
    understood.
    """
    requirements: list[str] = []
    notes: list[str] = []
    for spec in specs:
        requirement, note = _one(spec.strip(), python)
        requirements += [requirement] if requirement else []
        notes += [note] if note else []
    return Mapped(tuple(requirements), tuple(notes))


def _one(spec: str, python: str) -> tuple[str, str]:
    """A requirement, and a note; "" for none."""
    match = _NAME.fullmatch(spec)
    if match is None:
        raise ValueError(f"{spec!r} is no package of conda. Write it as name, name=1.2 or name>=1,<2.")
    name, version = match["name"].lower(), _OPERATORS.sub(r"\1", match["rest"].strip()).partition(" ")[0]
    if name == "python":
        return "", _python(spec, version, python)
    if name == "pip":
        return "", ""
    if canonical(name) in PROGRAMS or _PLATFORM.search(name) or name.startswith("_"):
        return "", f"conda {spec} is left out: it is no Python package"
    if name.startswith("r-"):
        return "", f"conda {spec} is left out: packages of R are those that the node has"
    if "|" in version:
        raise ValueError(f"{spec!r} leaves a choice of versions, which cannot be taken over. Name one range.")
    clauses = [_clause(clause) for clause in version.split(",") if clause]
    requirement = normalised(RENAMED.get(canonical(name), name) + ",".join(filter(None, clauses)))
    return requirement, "" if requirement == spec else f"conda {spec} is taken as {requirement}"


def _python(spec: str, version: str, python: str) -> str:
    """A note, unless the version asked for is the one there is."""
    asked = version.lstrip("=~").partition("=")[0].removesuffix("*").rstrip(".")
    if not asked or python == asked or python.startswith(f"{asked}."):
        return ""
    return f"conda {spec} is left out: the environment has the worker's Python, {python}"


def _clause(clause: str) -> str:
    """A clause of a version as the index has it. Conda's `=1.2` means whatever begins with 1.2; "" is any version."""
    if clause[0] in "<>!~":
        return clause
    number, _, build = clause.lstrip("=").partition("=")
    if not number.strip("*."):
        return ""
    begins = "*" in number or (clause[0] == "=" and clause[:2] != "==" and not build)
    return f"=={number.rstrip('*').rstrip('.')}.*" if begins else f"=={number}"
