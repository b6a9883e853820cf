"""Grade many files: several at once, resumable, in shards for many machines; join what the machines wrote."""

import contextlib
import csv
import hashlib
import json
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

import psutil
from tqdm import tqdm

from cnnlib.grading import grade as grading
from cnnlib.grading.grade import Result, Score
from cnnlib.grading.runner import Limits

FORMAT = 1  # of a journal's lines
LEADING = ("notebook", "exercise", "score", "max_score")  # a table's columns before its questions
STATE = {}  # of a worker: what a class of files shares, and how one file is graded


def at_once():
    """How many files this machine bears at once: one for each core, and no more than memory holds. Provided."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, psutil.virtual_memory().available // Limits.memory))


def shard(files, part):
    """The files of one shard: (3, 10) is the third tenth of them, the same on every machine. Provided."""
    number, count = part
    return sorted(files, key=str)[number - 1 :: count]


class Journal:
    """What was graded already, a line a file, kept beside a table until the table is written.

    A line counts for a file of that path and those bytes. The seed is kept too, so that all files meet the same inputs.
    """

    def __init__(self, path, seed):
        self.path, self.seed, self.known = path, seed, {}
        for line in path.read_text(encoding="utf-8").splitlines() if path and path.exists() else []:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # the last line may be half there
                entry = json.loads(line)
                if "seed" in entry and entry["format"] == FORMAT and seed in (None, entry["seed"]):
                    self.seed = entry["seed"]
                elif self.seed is not None and entry["drawn"] == self.seed:
                    self.known[entry["path"], entry["digest"]] = as_result(entry["result"])

    def start(self, seed):
        """Note the seed that all files are graded with; returns it. Provided."""
        if self.seed is None or not self.known:
            self.seed = seed if self.seed is None else self.seed
            self.write({"format": FORMAT, "seed": self.seed})
        return self.seed

    def find(self, file):
        """The Result of a file that was graded already, or None. Provided."""
        return self.known.get((str(file), digest(file))) if self.known else None

    def note(self, file, result):
        """Keep a Result. Provided."""
        self.write({"path": str(file), "digest": digest(file), "drawn": self.seed, "result": asdict(result)})

    def write(self, entry):
        """Append a line, so that it is whole or not there. Provided."""
        if self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def end(self):
        """The table is written: the journal may go. Provided."""
        if self.path:
            self.path.unlink(missing_ok=True)


def as_result(entry):
    """A Result from a journal's line. Provided."""
    return Result(**entry | {"questions": [Score(**question) for question in entry["questions"]]})


def digest(file):
    """What tells whether a file is still the one that was graded. Provided."""
    try:
        return hashlib.sha256(Path(file).read_bytes() if Path(file).is_file() else b"").hexdigest()
    except OSError:
        return ""


def grade_many(files, one, seed, jobs, journal):
    """Grade files, several at once, with a progress bar; returns their Results in the files' order.

    one: a function (path, seed, cache) -> Result. What the journal knows is not graded again. Provided.
    """
    found = {file: result for file in files if (result := journal.find(file))}
    left = [file for file in files if file not in found]
    bar = tqdm(total=len(files), initial=len(found), desc="grading", unit="file", disable=None, file=sys.stderr)
    with bar:
        for file, result in graded(left, one, seed, jobs):
            if bar.disable:
                count = len(found) + 1
                print(f"graded {result.notebook} ({count} of {len(files)})", file=sys.stderr, flush=True)
            bar.update()
            journal.note(file, result)
            found[file] = result
    return [found[file] for file in files]


def graded(files, one, seed, jobs):
    """(file, Result) of each file as it is ready: in this process if one at a time is enough, else in several.

    Provided.
    """
    if min(jobs, len(files)) <= 1:
        cache = {}
        for file in files:
            yield file, one(file, seed, cache)
        return
    left = list(files)
    while left:
        try:
            for file, result in in_pool(left, one, seed, min(jobs, len(left))):
                left.remove(file)
                yield file, result
        except BrokenProcessPool:  # one of them has ended its worker: one after the other shows which
            if jobs == 1:
                yield left[0], Result(str(left.pop(0)), error="the process that graded it was ended from outside.")
            jobs = 1


def in_pool(files, one, seed, jobs):
    """(file, Result) of each file as it is ready, from worker processes. Provided."""
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(jobs, context, start_worker, (one, context.Lock())) as pool:
        waiting = {pool.submit(work, file, seed): file for file in files}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def start_worker(one, lock):
    """Make a worker ready: training questions wait for each other. Provided."""
    STATE.update(one=one, cache={})
    grading.TRAINING = lock


def work(file, seed):
    """Grade one file in a worker. Provided."""
    return STATE["one"](file, seed, STATE["cache"])


def merge_tables(paths, out):
    """Join tables that `grade --csv` wrote, sorted by notebook; a notebook that is in several must be the same there.

    Raises ValueError, in a sentence, for what is no such table, or if two differ.
    Provided.
    """
    rows, ids = {}, set()
    for path in paths:
        with open(path, newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            names = tuple(table.fieldnames or ())
            if names[: len(LEADING)] != LEADING or names[-1:] != ("error",):
                raise ValueError(f"{path} is no table of `python -m cnnlib grade --csv`: its first line is not.")
            ids |= set(names[len(LEADING) : -1])
            for row in table:
                if rows.setdefault(row["notebook"], row) != row:
                    raise ValueError(f"{row['notebook']} is in two tables with different points; {path} has one.")
    with open(out, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, [*LEADING, *sorted(ids), "error"], restval="")
        table.writeheader()
        table.writerows(rows[name] for name in sorted(rows))
    return len(rows)
