"""The capstone's reference and two weaker recipes, graded as a class of three: `python benchmarks/capstone.py`.

Each is trained from five seeds in the graded kernel. Prints their report cards and the leaderboard; `--record` writes
what `grade --record` does, and benchmarks/capstone.json is such a record, from which the exercise quotes its numbers.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import nbformat

from cnnlib.grading import card, many, report, sources
from cnnlib.grading.command import grade_one

PLAIN = """
CONFIG = Config(epochs=3, batch_size=64, lr=0.001, schedule="constant")


def build():
    layers = []
    for c, f, stride in ((3, 32, 2), (32, 64, 1), (64, 64, 1)):
        conv = nn.Conv2d(c, f, 3, stride=stride, padding=1)
        layers += [conv, nn.ReLU(), nn.MaxPool2d(2)]
    layers[-1] = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 10))


def augment(x, draw):
    return x
"""
DENSE = """
CONFIG = Config(epochs=30, batch_size=128, lr=0.001)


def build():
    layers = nn.Linear(3072, 60), nn.ReLU(), nn.Linear(60, 10)
    return nn.Sequential(nn.Flatten(), *layers)


def augment(x, draw):
    return flip(x, generator=draw)
"""
RECIPES = {"reference": None, "plain": PLAIN, "dense": DENSE}


def main():
    """Grade the three; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--record", type=Path, help="write the record as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, recipe in RECIPES.items():
            source = nbformat.read(sources.sources()["17"], 4)
            for cell in source.cells:
                cell.source = recipe if recipe and cell.id == "answer-17-3" else cell.source
            paths.append(Path(folder, f"{name}.ipynb"))
            nbformat.write(source, paths[-1])
        results = many.grade_many(paths, grade_one, options.seed, 1, many.Journal(None, None))
    for result in results:
        result.notebook = Path(result.notebook).name
    report.show(results, options.seed)
    report.show_board(card.leaderboard(card.cards_of(results)))
    if options.record:
        report.write_record(results, options.record, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
