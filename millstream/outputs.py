"""What the steps of a run have committed, asked of the service page by page, and only as far as it is used."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from millstream.views import OutputsView, RemoteFile, StepOutputsView

if TYPE_CHECKING:
    from millstream.api import Api


class Stored(NamedTuple):
    """A committed file of step `step`. Its URL is good for minutes; `page` signs it anew."""

    step: str
    file: RemoteFile
    page: SignedPage | GivenFiles

    def renew(self, stale: str) -> str:
        """A URL in place of one that has expired."""
        return self.page.url(self.step, self.file.path, stale)


class SignedPage:
    """The files of one page, which are signed together. Thread-safe.

    They are those of one port, or the artifacts of some steps; so step and path say which is meant.
    """

    def __init__(self, api: Api, run: str, query: dict[str, str], view: OutputsView) -> None:
        self._ask = partial(api.outputs_page, run, query)
        self._lock = Lock()
        self._take(view)

    def _take(self, view: OutputsView) -> None:
        self.files = [
            Stored(step, file, self)
            for step, left in view.steps.items()
            for files in (*(output.files for output in left.outputs.values()), left.artifacts)
            for file in files
        ]
        self._urls = {(stored.step, stored.file.path): stored.file.url for stored in self.files}

    def url(self, step: str, path: str, stale: str) -> str:
        """The file's URL, if it is not `stale`; else all of the page are asked for anew."""
        with self._lock:
            if self._urls.get((step, path), stale) == stale:
                self._take(self._ask())
            return self._urls.get((step, path), stale)


class GivenFiles:
    """The files that were given to a step from outside, or, with "" for it, to the run. Their URLs are signed anew one
    by one.
    """

    def __init__(self, api: Api, run: str, step: str) -> None:
        self._ask = partial(api.given_files, run, step)
        self._step = step

    def files(self) -> list[Stored]:
        return [Stored(self._step, file, self) for file in self._ask()]

    def url(self, step: str, path: str, stale: str) -> str:
        """A URL in place of one that has expired."""
        del step
        return next((file.url for file in self._ask() if file.path == path), stale)


def step_outputs(api: Api, run: str, step: str) -> StepOutputsView:
    """The outputs of a step by name, with their sums, but not all of their files."""
    page = api.outputs_page(run, {"step": step, "what": "outputs", "limit": "1"})
    return page.steps.get(step, StepOutputsView())


def output_files(api: Api, run: str, step: str, output: str) -> Iterator[Stored]:
    """The files of one output; a page is asked for when those before it have been used."""
    return _files(api, run, {"step": step, "output": output})


def artifacts(api: Api, run: str, step: str | None = None) -> Iterator[Stored]:
    """What the scripts of all steps, or of one, left in ./outputs or uploaded."""
    return _files(api, run, {"what": "artifacts"} | ({} if step is None else {"step": step}))


def _files(api: Api, run: str, query: dict[str, str]) -> Iterator[Stored]:
    continuation: str | None = ""
    while continuation is not None:
        asked = {**query, "continuation": continuation} if continuation else query
        view = api.outputs_page(run, asked)
        yield from SignedPage(api, run, asked, view).files
        continuation = view.continuation
