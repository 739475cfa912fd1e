"""deploy.sh and destroy.sh against a stand-in `az`: their order, that they may be run again, and where they stop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.triggers.naming import watcher
from tests.unit.millstream.loopback import Answer, loopback

ROOT = Path(__file__).parents[2]
SUM = "a" * 64
GIVEN = ["--name", "ours", "--location", "westeurope", "--token-sha256", SUM]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A copy of the project's scripts, and the folder of the stand-in."""

    root: Path
    az: Path

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "MILLSTREAM_AZ": str(self.az),
            "MILLSTREAM_POLL_SECONDS": "0.01",
            "MILLSTREAM_WAIT_SECONDS": "20",
        }
        command = ["bash", str(self.root / "infra" / script), *arguments]
        return subprocess.run(
            command, env=environment, input="", capture_output=True, text=True, timeout=100, check=False
        )

    def calls(self) -> list[list[str]]:
        """What `az` was asked since the last time this was called."""
        file = self.az / "calls"
        found = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        file.unlink(missing_ok=True)
        return found

    def cloud(self, **what: object) -> dict[str, object]:
        """What exists, after a change of it."""
        file = self.az / "cloud.json"
        found: dict[str, object] = json.loads(file.read_text()) | what
        file.write_text(json.dumps(found))
        return found

    def fail(self, words: str) -> None:
        (self.az / "fail").write_text(words)


CHANGING = (
    "deployment sub create",
    "deployment sub delete",
    "deployment group create",
    "acr build",
    "functionapp deployment source config-zip",
    "group delete",
)


def heads(calls: list[list[str]]) -> list[str]:
    """The calls that change something, each as its command."""
    lines = [" ".join(call) for call in calls]
    return [command for line in lines for command in CHANGING if line.startswith(command)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What became of one: its process, what `az` was asked, and what exists then."""

    done: subprocess.CompletedProcess[str]
    calls: list[list[str]]
    cloud: dict[str, object]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with prepared(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The first deployment of an installation."""
    with prepared(tmp_path_factory.mktemp("first")) as made:
        done = made.run("deploy.sh", *GIVEN)
        return Deployment(done=done, calls=made.calls(), cloud=made.cloud())


@pytest.fixture
def deployed(place: Place, first: Deployment) -> Place:
    """A place where the first deployment has been."""
    place.cloud(**{name: value for name, value in first.cloud.items() if name != "outputs"})
    return place


@contextmanager
def prepared(folder: Path) -> Iterator[Place]:
    root, az = folder / "clone", folder / "az"
    for folder in (root / "scripts", root / "bin", root / "orchestrator/triggers", az):
        folder.mkdir(parents=True)
    shutil.copytree(ROOT / "infra", root / "infra")
    for name in ("orchestrator/__init__.py", "orchestrator/triggers/__init__.py", "orchestrator/triggers/naming.py"):
        shutil.copyfile(ROOT / name, root / name)
    # The package has a test of its own.
    package = f"#!/bin/sh\necho '[\"package\"]' >> {az}/calls\n"
    command = f'#!/bin/sh\nexec {sys.executable} -IS {ROOT}/tests/infra/az.py "$@"\n'
    python = f'#!/bin/sh\nexec {sys.executable} "$@"\n'  # what PATH has may be a script that looks for one first
    for file, text in ((root / "scripts/package", package), (root / "bin/az", command), (root / "bin/python3", python)):
        file.write_text(text)
        file.chmod(0o755)
    with loopback(lambda _: Answer(body=b"{}")) as server:
        outputs = {
            "MILLSTREAM_APP": "func-x",
            "MILLSTREAM_URL": server.url.rstrip("/"),
            "MILLSTREAM_EVENTS_TOPIC": "evgt-x",
            "MILLSTREAM_DATA_CONTAINER": "workspaceblobstore",
            "AZURE_CONTAINER_REGISTRY_ENDPOINT": "crx.azurecr.io",
        }
        (az / "cloud.json").write_text(
            json.dumps(
                {
                    "signed_in": True, "group": False, "owner": "millstream", "keys": False, "deleted_vault": False,
                    "deployed": False, "registry": False, "images": [], "functions_after": 2, "outputs": outputs,
                    "functions": [watcher("workspaceblobstore/incoming"), watcher("workspaceblobstore/raw data")],
                }
            )
        )  # fmt: skip
        yield Place(root=root, az=az)


def test_a_first_deployment(first: Deployment) -> None:
    done, calls = first.done, first.calls
    assert done.returncode == 0, done.stderr
    assert heads(calls) == [
        "deployment sub create",
        "acr build",
        "deployment sub create",
        "functionapp deployment source config-zip",
        "deployment group create",
    ]
    order = [" ".join(call[:3]) for call in calls]
    assert order.index("package") < order.index("deployment sub create")
    alone, with_image = (call for call in calls if call[:3] == ["deployment", "sub", "create"])
    assert "createKeys=true" in alone
    assert "workerImage=" in alone
    assert any(argument.startswith("workerImage=crx.azurecr.io/worker:") for argument in with_image)
    events = next(call for call in calls if call[:3] == ["deployment", "group", "create"])
    assert f'functionNames=["{watcher("workspaceblobstore/incoming")}"]' in events
    assert "Millstream is at http://127.0.0.1" in done.stdout


def test_again_it_changes_only_what_has_changed(deployed: Place) -> None:
    assert deployed.run("deploy.sh", *GIVEN).returncode == 0
    calls = deployed.calls()
    (resources,) = (call for call in calls if call[:3] == ["deployment", "sub", "create"])
    assert "createKeys=false" in resources
    assert "keys_made_again" not in deployed.cloud()


def test_without_containers(place: Place) -> None:
    assert place.run("deploy.sh", *GIVEN, "--no-containers", "--watch", "incoming, raw data").returncode == 0
    calls = place.calls()
    assert not [call for call in calls if call[0] == "acr"]
    events = next(call for call in calls if call[:3] == ["deployment", "group", "create"])
    assert "watchedFolders=incoming, raw data" in events


@pytest.mark.parametrize(
    "words",
    ["deployment sub create", "acr build", "functionapp deployment source config-zip", "deployment group create"],
)
def test_it_stops_at_the_first_error_and_goes_on_from_there(place: Place, words: str) -> None:
    place.fail(words)
    done = place.run("deploy.sh", *GIVEN)
    assert done.returncode != 0
    assert "ERROR: (Refused)" in done.stderr
    assert " ".join(place.calls()[-1]).startswith(words)
    (place.az / "fail").unlink()
    assert place.run("deploy.sh", *GIVEN).returncode == 0
    assert "keys_made_again" not in place.cloud()


def test_what_was_destroyed_is_made_again_and_its_vault_taken_back(deployed: Place) -> None:
    done = deployed.run("destroy.sh", "--name", "ours", "--yes")
    assert done.returncode == 0, done.stderr
    assert heads(deployed.calls()) == ["group delete", "deployment sub delete"]
    again = deployed.run("destroy.sh", "--name", "ours", "--yes")
    assert again.returncode == 0
    assert "There is no rg-ours" in again.stdout
    deployed.calls()
    assert deployed.run("deploy.sh", *GIVEN).returncode == 0
    resources = next(call for call in deployed.calls() if call[:3] == ["deployment", "sub", "create"])
    assert {"recoverVault=true", "createKeys=false"} <= set(resources)


def test_a_dry_run_changes_nothing(place: Place) -> None:
    done = place.run("deploy.sh", *GIVEN, "--dry-run")
    assert done.returncode == 0
    assert "~ Microsoft.Web/sites/func-x" in done.stdout
    assert heads(place.calls()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--name is missing"),
        (["--name", "ours"], "--location is missing"),
        (["--name"], "--name needs a value"),
        (["--name", "Not This", "--location", "x", "--token-sha256", SUM], "cannot be the name"),
        (["--name", "ours", "--location", "x"], "Nobody could open the service"),
        (["--name", "ours", "--location", "x", "--token-sha256", "secret"], "not a sha256 sum"),
        (["--name", "ours", "--location", "x", "--functions-key-role", "King"], "is no role"),
        ([*GIVEN, "--budget", "much"], "not a whole number"),
        ([*GIVEN, "--publik"], "no option --publik"),
    ],
)
def test_what_is_given_is_looked_at_first(place: Place, arguments: list[str], words: str) -> None:
    done = place.run("deploy.sh", *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert place.calls() == []


def test_who_is_not_signed_in_is_told_so(place: Place) -> None:
    place.cloud(signed_in=False)
    done = place.run("deploy.sh", *GIVEN)
    assert done.returncode == 1
    assert "az login" in done.stderr
    assert heads(place.calls()) == []


def test_functions_that_never_come_end_it(place: Place) -> None:
    place.cloud(functions=["another"])
    environment = {**os.environ, "MILLSTREAM_AZ": str(place.az), "MILLSTREAM_WAIT_SECONDS": "0"}
    environment["PATH"] = f"{place.root / 'bin'}{os.pathsep}{os.environ['PATH']}"
    script = [
        "bash",
        str(place.root / "infra/events.sh"),
        "rg-ours",
        "func-x",
        "evgt-x",
        "workspaceblobstore",
        "incoming",
    ]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "did not happen in time" in done.stderr
    assert heads(place.calls()) == []


@pytest.mark.parametrize(
    ("arguments", "owner", "words"),
    [
        (["--name", "ours"], "millstream", "Nobody is here to be asked"),
        (["--name", "ours", "--yes"], "", "not an installation of Millstream"),
        (["--name", "../x", "--yes"], "millstream", "cannot be the name"),
    ],
)
def test_nothing_is_destroyed_by_mistake(place: Place, arguments: list[str], owner: str, words: str) -> None:
    place.cloud(group=True, owner=owner)
    done = place.run("destroy.sh", *arguments)
    assert done.returncode == 1
    assert words in done.stderr
    assert heads(place.calls()) == []


def test_the_scripts_are_clean() -> None:
    shellcheck = shutil.which("shellcheck") or str(Path(sys.executable).with_name("shellcheck"))
    scripts = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "infra").glob("*.sh"))
    done = subprocess.run([shellcheck, "-x", *scripts], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
