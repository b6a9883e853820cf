"""Grade a class one after the other and several at once: `python benchmarks/grading.py`.

The class is made of submissions to exercise 02: right ones, half right ones, and ones that stop. Both ways grade the
same files with the same seed, in one run, and must give the same points. Then one file alone, and where its time goes.
"""

import argparse
import tempfile
import time
from pathlib import Path

import nbformat
import psutil

from cnnlib.grading import grade as grading
from cnnlib.grading import many, sources
from cnnlib.grading.command import grade_one

CELLS = [  # what a submission writes in place of the right answers
    {},
    {"answer-02-1": "ramp_answer = -30\nbrighter_answer = 40"},
    {"answer-02-4": "def convolve2d(x, w):\n    return correlate2d(x, w)"},
    {"answer-02-2": "def correlate1d(x, w):\n    raise ValueError('no')"},
]


def write_class(folder, count):
    """Write so many submissions; returns their paths."""
    source = nbformat.read(sources.sources()["02"], 4)
    paths = []
    for k in range(count):
        for cell in source.cells:
            cell.source = CELLS[k % len(CELLS)].get(cell.id, cell.source)
        paths.append(folder / f"{k:03}.ipynb")
        nbformat.write(source, paths[-1])
        source = nbformat.read(sources.sources()["02"], 4)
    return paths


def timed(paths, jobs, seed=1):
    """Seconds and points of a class graded so many at once."""
    start = time.perf_counter()
    results = many.grade_many(paths, grade_one, seed, jobs, many.Journal(None, None))
    return time.perf_counter() - start, [result.score for result in results]


def where(path):
    """Seconds of one file by what they were spent on."""
    cache, spent = {}, {}
    grading.grade(path, 1, cache)  # the source's own answers, once for a class

    def measure(module, name, label):
        function = getattr(module, name)

        def wrapped(*args, **options):
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                spent[label] = spent.get(label, 0) + time.perf_counter() - start

        setattr(module, name, wrapped)

    measure(grading, "apart", "reading and comparing, apart")
    measure(grading, "run", "kernel under nbval")
    start = time.perf_counter()
    grading.grade(path, 1, cache)
    return spent | {"in all": time.perf_counter() - start}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="submissions")
    parser.add_argument("--jobs", type=int, default=many.at_once(), help="at once")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_class(Path(folder), args.count)
        serial, points = timed(paths, 1)
        before = psutil.Process().memory_info().rss
        parallel, again = timed(paths, args.jobs)
        grown = psutil.Process().memory_info().rss - before
        assert points == again, "both ways must give the same points"
        print(f"{args.count} submissions of exercise 02, {psutil.cpu_count()} cores")
        print(f"one after the other  {serial:7.1f} s  {serial / args.count:5.2f} s each")
        print(f"{args.jobs} at once            {parallel:7.1f} s  {parallel / args.count:5.2f} s each")
        print(f"ratio {serial / parallel:.2f}; memory of the grader grew by {grown / 1e6:.0f} MB")
        for label, seconds in where(paths[0]).items():
            print(f"one file: {label:30} {seconds:6.2f} s")


if __name__ == "__main__":
    main()
