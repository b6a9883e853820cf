"""The command line of the course: python -m cnnlib --help."""

import argparse
import sys
from pathlib import Path


def data(args):
    raise NotImplementedError


def execute(args):
    """Run chapters on the real data and store their outputs."""
    from cnnlib.notebooks import execute

    for path in args.notebooks:
        print(f"{path}: {execute(path):.0f} s", flush=True)
    return 0


def exercises(args):
    raise NotImplementedError


def grade(args):
    raise NotImplementedError


def train(args):
    raise NotImplementedError


def parser():
    """The argument parser, a subcommand for each function above."""
    top = argparse.ArgumentParser(prog="python -m cnnlib", description=__doc__)
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def add(function, text):
        command = commands.add_parser(function.__name__, help=text, description=text)
        command.set_defaults(function=function)
        return command

    add(data, "show which data sets are here, and fetch those that are not")

    command = add(execute, "run chapters on the real data and store their outputs")
    command.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")

    add(exercises, "derive the learners' exercises from their sources")
    add(grade, "grade exercise notebooks")
    add(train, "train a recipe and record the run")
    return top


def main(argv=None):
    """Run one command; returns its exit code."""
    args = parser().parse_args(argv)
    return args.function(args)


if __name__ == "__main__":
    sys.exit(main())
