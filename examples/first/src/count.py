import argparse
from collections import Counter

from millstream import Run

parser = argparse.ArgumentParser()
parser.add_argument("--words", required=True)
with open(parser.parse_args().words) as file:
    counts = Counter(file.read().split())
run = Run.get_context()
for word, number in counts.most_common(2):
    run.log(word, number)
