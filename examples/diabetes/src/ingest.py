"""Reads every CSV file of a folder, drops what is not usable and writes one file."""

import argparse
import csv
from pathlib import Path

from millstream import Run

parser = argparse.ArgumentParser()
parser.add_argument("--raw", type=Path, help="folder of CSV files with the same columns")
parser.add_argument("--out", type=Path, help="the CSV file to write")
arguments = parser.parse_args()

seen: dict[tuple[str, ...], None] = {}
read = 0
columns: list[str] = []
for path in sorted(arguments.raw.glob("*.csv")):
    with path.open(newline="") as file:
        rows = csv.reader(file)
        header = next(rows)
        if columns and header != columns:
            raise SystemExit(f"{path.name} has the columns {header}, the files before it {columns}")
        columns = header
        before = read
        for row in rows:
            read += 1
            if len(row) == len(columns) and all(row):
                seen[tuple(row)] = None
        print(f"{path.name}: {read - before} rows")
if not seen:
    raise SystemExit(f"no rows in {arguments.raw}")

with arguments.out.open("w", newline="") as file:
    csv.writer(file).writerows([columns, *seen])
print(f"kept {len(seen)} of {read} rows")

run = Run.get_context()
run.log("rows_read", read)
run.log("rows_kept", len(seen))
