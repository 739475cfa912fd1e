"""Splits the rows into two sets and brings the features to one scale, learnt from the training set alone."""

import argparse
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

from millstream import Run

TARGET = "progression"

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path)
parser.add_argument("--out", type=Path, help="folder for train.csv and test.csv")
arguments = parser.parse_args()

table = pd.read_csv(arguments.data)
train, test = train_test_split(table, test_size=0.3, random_state=7)
features = [column for column in table.columns if column != TARGET]
mean, deviation = train[features].mean(), train[features].std()

arguments.out.mkdir(parents=True)
for name, part in (("train", train), ("test", test)):
    scaled = ((part[features] - mean) / deviation).assign(**{TARGET: part[TARGET]})
    scaled.to_csv(arguments.out / f"{name}.csv", index=False)
    print(f"{name}: {len(scaled)} rows, {len(features)} features")

run = Run.get_context()
run.log("train_rows", len(train))
run.log("test_rows", len(test))
