import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--out", required=True)
words = "the wheel turns and the stones turn with the wheel".split()
with open(parser.parse_args().out, "w") as file:
    file.write("\n".join(words))
print(len(words), "words")
