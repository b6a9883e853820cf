"""The command line of the course: python -m cnnlib --help."""

import argparse
import os
import sys
from pathlib import Path

from cnnlib.threads import wait_asleep


def data(args):
    """Show which data sets are here, and fetch those that are missing; 0: all are here and verified, 1: not all."""
    from cnnlib.data import TITLES

    names = args.names or list(TITLES)
    if args.fetch or args.names:
        fetch_missing(names)
    whole = [show_set(name) for name in names]
    return 0 if all(whole) else 1


def fetch_missing(names):
    """Download the sets that are nowhere, or damaged in the cache; what fails is said on standard error."""
    from cnnlib.data import download, status

    for name in names:
        path, splits = status(name)
        if path is None or (is_cached(path) and not is_verified(splits)):
            try:
                download(name)
            except RuntimeError as error:
                print(f"{name}: {error}", file=sys.stderr, flush=True)


def show_set(name):
    """Print where a set is, its size and its verified splits, a line for each problem; returns whether it is whole."""
    from cnnlib.data import status

    path, splits = status(name)
    if path is None:
        show(f"{name:8} not here: `python -m cnnlib data --fetch` downloads it; until then `load` gives a stand-in")
    else:
        place = "the cache" if is_cached(path) else "CNNLIB_DATA"
        counts = ", ".join(f"{split} {found:,}" for split, found in splits.items() if isinstance(found, int))
        show(f"{name:8} {path} (from {place}), {path.stat().st_size / 1e6:.0f} MB, verified: {counts or 'nothing'}")
    for problem in dict.fromkeys(found for found in splits.values() if isinstance(found, str)):
        show(f"{name:8} {problem}")
    return path is not None and is_verified(splits)


def show(text):
    """Print to standard output, even what its encoding lacks: the name of a folder may be any bytes."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


def is_cached(path):
    """Whether a file lies in the cache; there may be no place for a cache."""
    from cnnlib.data import cache_dir

    try:
        return path.parent == cache_dir()
    except RuntimeError:
        return False


def is_verified(splits):
    """Whether `status` found a number of images in each split, and not a problem."""
    return all(isinstance(found, int) for found in splits.values())


def set_name(text):
    """The name of a data set, checked."""
    from cnnlib.data import TITLES

    if text not in TITLES:
        raise argparse.ArgumentTypeError(f"there is no set {text!r}; the names are {', '.join(TITLES)}")
    return text


def execute(args):
    """Run chapters on the real data and store their outputs."""
    from cnnlib.notebooks import execute

    for path in args.notebooks:
        print(f"{path}: {execute(path):.0f} s", flush=True)
    return 0


def exercises(args):
    """Derive the learners' exercises from their sources, or with --check say which are out of step."""
    from cnnlib.grading.command import exercises

    return exercises(check=args.check)


def grade(args):
    """Grade exercise notebooks; 0: full marks, 1: fewer, 2: something could not be graded."""
    from cnnlib.grading.command import grade_all

    outputs = {"as_json": args.json, "html": args.html, "csv": args.csv, "record": args.record}
    return grade_all(args.files, args.seed, **outputs, part=args.shard, jobs=args.jobs)


def next(args):
    """Show the course as a map and stay with the next question that is not solved; 0."""
    from cnnlib.grading.loop import learn

    return learn(args.exercise)


def exercise_name(text):
    """The number of an exercise, checked."""
    from cnnlib.grading.sources import sources

    if text not in sources():
        raise argparse.ArgumentTypeError(f"there is no exercise {text!r}; there are {', '.join(sources())}")
    return text


def grades(args):
    """Join the tables that several machines wrote, or rank the recipes of a class; 0: done, 2: not."""
    from cnnlib.grading.command import leaderboard, merge

    if args.what == "leaderboard":
        return leaderboard(args.tables, args.csv)
    if not args.csv:
        print("grades merge needs --csv PATH, the table to write.", file=sys.stderr)
        return 2
    return merge(args.tables, args.csv)


def shard(text):
    """A shard such as 3/10, checked: (3, 10)."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"a shard is K/N with K from 1 to N, for example 3/10, not {text!r}")
    return int(number), int(count)


def positive(text):
    """A whole number above 0, checked."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"want a whole number above 0, not {text!r}")
    return int(text)


def doctor(args):
    """Look at this machine; 0: everything that the course needs is here, 1: not."""
    from cnnlib.doctor import examine, lines

    found = examine()
    for line in lines(found):
        show(line)
    return 1 if any(one.needed and not one.good for one in found) else 0


def train(args):
    """Train a recipe or a study from all its seeds; write its record, weights, card; 0: done, 2: not, 130: stopped."""
    from cnnlib import distributed, recipes

    try:
        with distributed.together(args.device) as world:  # of one process, unless torchrun has started more
            if args.name in recipes.STUDIES:
                made, save = [recipes.run_study(args.name, device=args.device)], recipes.save_study
            else:
                made, save = recipes.run(args.name, device=args.device, progress=True), recipes.save
            if world.rank == 0:
                print(*save(*made), sep="\n")
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error}. Make room, or allow it, and call again: finished epochs are kept.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The same command goes on after the last finished epoch.", file=sys.stderr)
        return 130
    return 0


def evaluate(args):
    """Score shipped weights on the test images; 0: as their card says, 1: not so, 2: could not be scored."""
    from cnnlib import recipes

    try:
        card, reached = recipes.score(args.name, device=args.device, precision=args.precision)
    except (ValueError, RuntimeError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    key, allowed, form = (
        ("test_loss", 1e-5, "loss {:.5f}") if "test_loss" in card else ("test_accuracy", 1e-3, "{:.2%}")
    )
    said, found, count = card[key], form.format(reached), card["test_images"]
    print(f"{args.name}: {found} of {count:,} test images; its card says {form.format(said)}")
    return 0 if abs(reached - said) <= allowed else 1


def parser():
    """The argument parser, a subcommand for each function above."""
    top = argparse.ArgumentParser(prog="python -m cnnlib", description=__doc__)
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def add(function, text):
        command = commands.add_parser(function.__name__, help=text, description=text)
        command.set_defaults(function=function)
        return command

    command = add(data, "show which data sets are here, and fetch those that are not")
    command.add_argument("names", nargs="*", type=set_name, metavar="NAME", help="fetch this set if it is not here")
    command.add_argument("--fetch", action="store_true", help="fetch every set that is not here")

    command = add(execute, "run chapters on the real data and store their outputs")
    command.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")

    command = add(exercises, "derive the learners' exercises from their sources")
    command.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a file is out of step")

    command = add(grade, "grade exercise notebooks")
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a notebook, or a folder of notebooks")
    command.add_argument("--json", action="store_true", help="print JSON and nothing else on standard output")
    command.add_argument("--html", type=Path, metavar="PATH", help="write a page, or a folder of pages, as well")
    command.add_argument("--csv", type=Path, metavar="PATH", help="write a line for each notebook as well")
    command.add_argument("--record", type=Path, metavar="PATH", help="write all that was found as JSON as well")
    command.add_argument("--seed", type=int, metavar="N", help="draw the same inputs again")
    command.add_argument("--shard", type=shard, metavar="K/N", help="grade the Kth of N parts, on each machine another")
    command.add_argument(
        "--jobs", type=positive, metavar="N", help="grade so many at once (default: what memory bears)"
    )

    command = add(next, "show the course as a map, and work on the next question")
    command.add_argument("exercise", nargs="?", type=exercise_name, metavar="NN", help="stay within this exercise")

    command = add(grades, "join the tables that several machines wrote, or rank a class's recipes")
    command.add_argument("what", choices=["merge", "leaderboard"], help="join tables; rank the capstone's recipes")
    command.add_argument(
        "tables",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="merge: what `grade --csv` wrote; else what `--record` wrote",
    )
    command.add_argument("--csv", type=Path, metavar="PATH", help="the table to write")

    add(doctor, "look at this machine, and say what is missing and what to do")

    command = add(train, "train a recipe and record the run")
    command.add_argument("name", metavar="NAME", help="a key of cnnlib.recipes.RECIPES, for example two_conv")
    command.add_argument("--device", default="cpu", help="cpu, cuda or mps")

    command = add(evaluate, "score shipped weights on the test images")
    command.add_argument("name", metavar="NAME", help="weights in cnnlib/pretrained, for example two_conv")
    command.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    command.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    return top


def main(argv=None):
    """Run one command; returns its exit code."""
    wait_asleep(os.environ)  # before a command imports torch
    args = parser().parse_args(argv)
    return args.function(args)


if __name__ == "__main__":
    sys.exit(main())
