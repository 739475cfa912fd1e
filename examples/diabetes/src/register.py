"""Picks the model with the smallest error and registers it under a name of its own."""

import argparse
import json
import shutil
from pathlib import Path

from millstream import Run

parser = argparse.ArgumentParser()
parser.add_argument("--scores", type=Path)
parser.add_argument("--model", action="append", nargs=2, metavar=("NAME", "FILE"))
parser.add_argument("--register-as", required=True)
arguments = parser.parse_args()

scores = json.loads(arguments.scores.read_text())
best = min(scores, key=lambda name: scores[name]["rmse"])
shutil.copyfile(dict(arguments.model)[best], "outputs/model.pkl")

run = Run.get_context()
run.log("best_rmse", scores[best]["rmse"])
run.tag("best_model", best)
run.register_model(
    model_name=arguments.register_as,
    model_path="outputs/model.pkl",
    tags={"algorithm": best},
    properties={name: f"{value:.4f}" for name, value in scores[best].items()},
)
print(f"registered {arguments.register_as}: {best}, error {scores[best]['rmse']:.2f}")
