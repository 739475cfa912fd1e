"""A script of the snapshot with the Spark of this node, by its spark-submit: the JVM ends when the script has ended,
and with its exit code.

pyspark and Java are found beside the worker, never brought. The session is configured by a folder of Spark's own
(SPARK_CONF_DIR), so that nothing of it is on a command line, and what the script sets itself wins.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from steps.context import StepContext
from steps.failures import InvalidStep, ScriptMissing, SnapshotMissing, StartFailed
from steps.paths import UnsafeName, below

DEFAULTS: Final = {
    "spark.master": "local[*]",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
PROBE_SECONDS: Final = 60.0
_PROBE: Final = (
    "import importlib.metadata, importlib.util, json, sys\n"
    "names = {dist.name.lower().replace('_', '-') for dist in importlib.metadata.distributions() if dist.name}\n"
    "found = importlib.util.find_spec('pyspark')\n"
    "print(json.dumps([found.submodule_search_locations[0] if found else '', sorted(names)]))\n"
)
_LOGGING: Final = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SparkScript:
    """`script`: relative to the source folder. `conf`: Spark's settings. `packages`: names of Python packages that must
    be installed beside pyspark.
    """

    script: str
    arguments: tuple[str, ...] = ()
    conf: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()


def run(context: StepContext, wanted: SparkScript) -> None:
    """Raises StepFailure, Stopped."""
    script = script_of(context, wanted.script)
    python = context.settings.spark_python or context.settings.python
    java = java_of(context.common_environment)
    home = home_of(python, wanted.packages)
    settings = folder_with_settings(context.folders.root, wanted.conf)
    variables = {
        **wanted.variables,
        "SPARK_HOME": home,
        "SPARK_CONF_DIR": str(settings),
        "PYSPARK_PYTHON": python,
        "PYSPARK_DRIVER_PYTHON": python,
        "JAVA_HOME": java,
    }
    context.run_command((f"{home}/bin/spark-submit", script, *wanted.arguments), variables)


def script_of(context: StepContext, script: str) -> str:
    """The script, if it is there. Raises SnapshotMissing, InvalidStep, ScriptMissing."""
    if context.job.step.snapshot is None:
        raise SnapshotMissing("The step has no source folder to run its script from.")
    try:
        path = below(context.folders.code, script)
    except UnsafeName as error:
        raise InvalidStep(f"settings.script: {error}") from error
    if not path.is_file():
        raise ScriptMissing(f"There is no script {script!r} in the step's source folder.")
    return script


def java_of(environment: Mapping[str, str]) -> str:
    """The home of the Java that Spark will run on. Raises StartFailed."""
    home = environment.get("JAVA_HOME", "")
    if home and (Path(home) / "bin" / "java").is_file():
        return home
    found = shutil.which("java", path=environment.get("PATH"))
    if found is None:
        raise StartFailed("This node has no Java, which Spark runs on: install Java 17 or newer, or set JAVA_HOME.")
    return str(Path(found).resolve().parents[1])


def home_of(python: str, packages: Iterable[str] = ()) -> str:
    """Where the interpreter's pyspark lies, if it has these packages beside it. Raises StartFailed, InvalidStep."""
    try:
        answer = subprocess.run(
            [python, "-I", "-c", _PROBE], capture_output=True, timeout=PROBE_SECONDS, check=True, text=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise StartFailed(f"The interpreter {python}, of MILLSTREAM_SPARK_PYTHON, does not answer: {error}") from error
    home, installed = json.loads(answer.stdout)
    if not home:
        raise StartFailed(
            "This node has no pyspark: install millstream[spark] beside the worker, or name an interpreter that has "
            "it in MILLSTREAM_SPARK_PYTHON. Or attach a workspace, and name it as the step's compute_target."
        )
    missing = [name for name in packages if name.lower().replace("_", "-") not in installed]
    if missing:
        raise InvalidStep(f"The local Spark installs nothing, and does not have {', '.join(missing)} beside pyspark.")
    return str(home)


def folder_with_settings(root: Path, conf: Mapping[str, str]) -> Path:
    """A folder for SPARK_CONF_DIR."""
    folder = root / "spark"
    folder.mkdir()
    own = {**DEFAULTS, "spark.local.dir": str(root / "tmp"), "spark.sql.warehouse.dir": str(root / "spark-warehouse")}
    lines = [f"{_escaped(name)}={_escaped(value)}" for name, value in {**own, **conf}.items()]
    (folder / "spark-defaults.conf").write_text("\n".join([*lines, ""]), encoding="ascii")
    (folder / "log4j2.properties").write_text(_LOGGING, encoding="ascii")
    return folder


def _escaped(text: str) -> str:
    """As in a file of Java properties: no character of a name or value ends or begins another."""
    return "".join(char if (char.isalnum() and char.isascii()) or char in "._-/[]" else _units(char) for char in text)


def _units(char: str) -> str:
    raw = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{raw[at : at + 2].hex()}" for at in range(0, len(raw), 2))
