"""The job: everything the worker needs to execute one attempt of a step, resolved."""

from __future__ import annotations

import msgspec

from orchestrator.core.dataset import DatasetDocument, DatasetView
from orchestrator.core.definition import ParameterValue, Step
from orchestrator.core.nesting import Children
from orchestrator.core.result import Deferral, File, StepResult


class InputData(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind an input port: a dataset, if `dataset_id` is given, else files.

    With `files` given, exactly these blobs (an upstream output, verified by size and sha256), named as in OutputData.
    With `files` None, whatever is now at `path` in the datastore: a blob of that name, else all blobs below `path/`;
    with `only`, of those, or of the files of the dataset, the ones of these relative names; `is_file` with a dataset:
    the one, as a file. `view`: how a script that gets the files as a dataset reads them.

    `dataset` is the document with the id `dataset_id`; None: there is none.
    """

    datastore: str = ""
    path: str = ""
    is_file: bool = False
    files: tuple[File, ...] | None = None
    only: tuple[str, ...] = ()
    view: DatasetView | None = None
    dataset_id: str = ""
    dataset: DatasetDocument | None = None


class Deferred(msgspec.Struct, frozen=True, kw_only=True):
    """What the last look at the work of a service has left: `before`. `elapsed`: seconds since that work began."""

    before: StepResult
    elapsed: float

    @property
    def deferral(self) -> Deferral:
        assert self.before.deferral is not None
        return self.before.deferral


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a step of a run.

    `retries`: how many the retry policy has granted, which a takeover after a death does not change.

    `attempt` counts from 1; `owner` is this execution's nonce; both name its blobs (`prefix`). `inputs` has an entry
    for each input port of the step. `parameters` are the run's values for all pipeline parameters. `children`: the step
    became a run, which has ended with these; they are to be joined. `deferred`: a service does the work, which is to be
    looked at. `called_off`: the run has ended, and whatever a service does for the step is to be ended, too; the result
    tells nothing but whether that has to be tried again (`StepResult.deferral`).
    """

    run: str
    experiment: str
    position: int
    step: Step
    attempt: int
    owner: str
    parameters: dict[str, ParameterValue]
    inputs: dict[str, InputData]
    children: Children | None = None
    retries: int = 0
    deferred: Deferred | None = None
    called_off: bool = False

    @property
    def prefix(self) -> str:
        """Where all blobs of this attempt lie, in the system container and in every datastore. Unique to it."""
        return f"runs/{self.run}/{self.step.id}/{self.attempt}-{self.owner}"
