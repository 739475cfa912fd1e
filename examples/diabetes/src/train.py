"""What the two trainings have in common: arguments in, fitted model and its training error out."""

import argparse
import pickle
from pathlib import Path

import pandas as pd
from sklearn.base import RegressorMixin
from sklearn.metrics import root_mean_squared_error

from millstream import Run

TARGET = "progression"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, help="folder with train.csv")
    parser.add_argument("--reg", type=float, help="strength of the regularisation")
    parser.add_argument("--out", type=Path, help="the model file to write")
    return parser.parse_args()


def train(model: RegressorMixin, arguments: argparse.Namespace) -> None:
    table = pd.read_csv(arguments.data / "train.csv")
    features, target = table.drop(columns=TARGET), table[TARGET]
    model.fit(features, target)
    error = root_mean_squared_error(target, model.predict(features))
    print(f"{type(model).__name__}: reg_rate {arguments.reg:g}, error on its own {len(table)} rows {error:.2f}")
    run = Run.get_context()
    run.log("reg_rate", arguments.reg)
    run.log("training_rmse", error)
    with arguments.out.open("wb") as file:
        pickle.dump(model, file)
