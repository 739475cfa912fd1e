"""The main job on real data: publish a training pipeline, start it with HTTP requests, follow it, read the results.

What has not changed is not run again; and when a clinic sends more patients, a run starts by itself.

scripts/demo                                     with a service of its own
.venv/bin/python examples/diabetes/pipeline.py   with the one that scripts/up keeps running
"""

import argparse
import csv
import tempfile
import time
from itertools import islice
from pathlib import Path

import requests
from sklearn.datasets import load_diabetes

from millstream import (
    DataReference,
    Datastore,
    Experiment,
    InteractiveLoginAuthentication,
    Model,
    Pipeline,
    PipelineData,
    PipelineParameter,
    PipelineRun,
    PublishedPipeline,
    PythonScriptStep,
    Schedule,
    Workspace,
)

SOURCE = str(Path(__file__).parent / "src")
MODEL = "diabetes-progression"
RAW = "incoming/diabetes"
AT_FIRST = {"clinic-a.csv": 221, "clinic-b.csv": 121}
LATER = {"clinic-a.csv": 221, "clinic-b.csv": 221}


def upload_raw_data(store: Datastore, clinics: dict[str, int]) -> None:
    """Patients, ten measurements each and how their diabetes progressed: a file of so many for each of the clinics."""
    data = load_diabetes(scaled=False)
    rows = iter([*features, target] for features, target in zip(data.data.tolist(), data.target.tolist(), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        for name, patients in clinics.items():
            with (Path(folder) / name).open("w", newline="") as file:
                csv.writer(file).writerows([[*data.feature_names, "progression"], *islice(rows, patients)])
        store.upload(folder, target_path=RAW, overwrite=True)


def build_pipeline(workspace: Workspace, store: Datastore) -> Pipeline:
    """ingest -> prepare -> train twice, in parallel -> evaluate -> register"""
    reg_rate = PipelineParameter(name="reg_rate", default_value=0.01)
    raw = DataReference(datastore=store, data_reference_name="raw", path_on_datastore=RAW)
    rows, prepared = PipelineData("rows", datastore=store), PipelineData("prepared", datastore=store)
    ridge, kernel = PipelineData("ridge", datastore=store), PipelineData("kernel", datastore=store)
    scores = PipelineData("scores", datastore=store)
    models = ["--model", "ridge", ridge, "--model", "kernel", kernel]

    def step(name, script_name, arguments, inputs, outputs=()):
        return PythonScriptStep(
            name=name,
            script_name=script_name,
            arguments=arguments,
            inputs=inputs,
            outputs=list(outputs),
            source_directory=SOURCE,
        )

    ingest = step("ingest", "ingest.py", ["--raw", raw, "--out", rows], [raw], [rows])
    prepare = step("prepare", "prepare.py", ["--data", rows, "--out", prepared], [rows], [prepared])
    trainings = [
        step(
            f"train {name}",
            f"train_{name}.py",
            ["--data", prepared, "--reg", reg_rate, "--out", out],
            [prepared],
            [out],
        )
        for name, out in (("ridge", ridge), ("kernel", kernel))
    ]
    evaluate = step(
        "evaluate", "evaluate.py", ["--data", prepared, *models, "--out", scores], [prepared, ridge, kernel], [scores]
    )
    register = step(
        "register", "register.py", ["--scores", scores, *models, "--register-as", MODEL], [scores, ridge, kernel]
    )
    return Pipeline(workspace, steps=[ingest, prepare, *trainings, evaluate, register], description=__doc__)


def print_metrics(run: PipelineRun) -> None:
    print(f"\n{'step':<14}{'metric':<18}{'value':>10}")
    for step in reversed(list(run.get_steps())):
        for name, value in step.get_metrics().items():
            print(f"{step.name:<14}{name:<18}{value:>10.4g}")


def print_results(workspace: Workspace, run: PipelineRun) -> None:
    evaluate, register = run.find_step_run("evaluate")[0], run.find_step_run("register")[0]
    scores = evaluate.get_output_data("scores")
    model = Model(workspace, name=MODEL)
    print(f"\nmodel       {model.name}, version {model.version}: {model.tags['algorithm']}")
    print(f"scores      {scores.datastore.name}/{scores.path_on_datastore}")
    print(f"artifacts   {', '.join([*evaluate.get_file_names(), *register.get_file_names()])}")


def start(workspace: Workspace, published: PublishedPipeline, reg_rate: float) -> PipelineRun:
    """One HTTP request, as anybody may send it."""
    response = requests.post(
        published.endpoint,
        headers=InteractiveLoginAuthentication().get_authentication_header(),
        json={"ExperimentName": "diabetes", "ParameterAssignments": {"reg_rate": reg_rate}},
        timeout=60,
    )
    response.raise_for_status()
    run = PipelineRun(Experiment(workspace, "diabetes"), response.json()["Id"])
    print(f"started with reg_rate {reg_rate:g}: the answer's Id is {run.id}\n")
    return run


def run_by_new_data(store: Datastore, schedule: Schedule) -> PipelineRun:
    """More patients of one clinic arrive: nobody asks for the run that follows."""
    upload_raw_data(store, LATER)
    deadline = time.monotonic() + 60
    while (run := schedule.get_last_pipeline_run()) is None:
        if time.monotonic() > deadline:
            raise SystemExit("no run has started within a minute")
        time.sleep(0.1)
    print(f"a run has started by itself: {run.id}\n")
    return run


def chapter(text: str) -> None:
    print(f"\n--- {text}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--reg-rate", type=float, default=0.1)
    reg_rate = parser.parse_args().reg_rate
    started = time.monotonic()

    workspace = Workspace.from_config()
    store = workspace.get_default_datastore()
    upload_raw_data(store, AT_FIRST)
    published = build_pipeline(workspace, store).publish(name="diabetes", description="Diabetes", version="2")
    print(f"POST {published.endpoint}")
    run = start(workspace, published, reg_rate)
    run.wait_for_completion(show_output=True)
    print_metrics(run)
    print_results(workspace, run)

    chapter("the same again: nothing has changed")
    start(workspace, published, reg_rate).wait_for_completion(show_output=True)

    chapter("another reg_rate: only what depends on it runs")
    start(workspace, published, reg_rate * 10).wait_for_completion(show_output=True)

    chapter("a clinic sends more patients: a blob is uploaded")
    schedule = Schedule.create(
        workspace,
        name="diabetes, more patients",
        pipeline_id=published.id,
        experiment_name="diabetes",
        datastore=store,
        path_on_datastore=RAW,
        pipeline_parameters={"reg_rate": reg_rate * 10},
        per="batch",
        debounce_seconds=1,
    )
    try:
        run = run_by_new_data(store, schedule)
        run.wait_for_completion(show_output=True)
    finally:
        schedule.disable()
    print_results(workspace, run)
    print(f"\nall of it took {time.monotonic() - started:.1f} s. Another value: --reg-rate 1")


if __name__ == "__main__":
    main()
