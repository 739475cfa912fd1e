"""Scores every model on the rows that no training has seen."""

import argparse
import json
import pickle
from pathlib import Path

import pandas as pd
from sklearn.metrics import r2_score, root_mean_squared_error

from millstream import Run

TARGET = "progression"

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path, help="folder with test.csv")
parser.add_argument("--model", type=Path, action="append", nargs=2, metavar=("NAME", "FILE"))
parser.add_argument("--out", type=Path, help="the JSON file to write")
arguments = parser.parse_args()

run = Run.get_context()
table = pd.read_csv(arguments.data / "test.csv")
features, target = table.drop(columns=TARGET), table[TARGET]
scores = {}
predictions = pd.DataFrame({"truth": target})
for name, path in ((str(name), path) for name, path in arguments.model):
    with path.open("rb") as file:
        model = pickle.load(file)
    predictions[name] = model.predict(features)
    rmse, r2 = root_mean_squared_error(target, predictions[name]), r2_score(target, predictions[name])
    scores[name] = {"rmse": rmse, "r2": r2}
    print(f"{name}: error {rmse:.2f}, explained variance {r2:.3f} on {len(table)} rows")
    run.log(f"{name}_rmse", rmse)
    run.log(f"{name}_r2", r2)

arguments.out.write_text(json.dumps(scores))
# What a script leaves in ./outputs is kept with the run.
predictions.round(1).to_csv("outputs/predictions.csv", index=False)
