"""A class: several files at once, resumable, in shards, and tables joined."""

import csv
import itertools
import os
import re
import signal
import time

import pytest
import yaml

from cnnlib.__main__ import main, parser
from cnnlib.grading import command, many
from cnnlib.grading import grade as grading
from cnnlib.grading.grade import Result, Score
from cnnlib.grading.sources import ROOT


def quick(path, seed, cache):
    """A stand-in for grading one file: its points are what it holds, and a line in a log says that it was graded."""
    text = path.read_text()
    with open(path.parent / "log", "a") as log:
        log.write(f"{path.name} {seed} {os.getpid()}\n")
    if text == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return Result(str(path), "02", [Score("02.1", float(text), 10, "x")])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of ten small files, graded by the stand-in."""
    monkeypatch.setattr(command, "grade_one", quick)
    for k in range(10):
        (tmp_path / f"{k:02}.ipynb").write_text(str(k))
    return tmp_path


def rows(path):
    """The rows of a table, as dicts."""
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def log(folder):
    """What was graded, as (name, seed, process)."""
    return [line.split() for line in (folder / "log").read_text().splitlines()]


def test_several_at_once_give_the_same_table_as_one_after_the_other(folder, capsys):
    for jobs in "1", "2":
        assert main(["grade", str(folder), "--csv", str(folder / f"{jobs}.csv"), "--jobs", jobs, "--seed", "5"]) == 1
    assert rows(folder / "1.csv") == rows(folder / "2.csv")
    assert [row["score"] for row in rows(folder / "2.csv")] == [str(k) for k in range(10)]
    workers = {process for _, _, process in log(folder)[10:]}
    assert str(os.getpid()) not in workers
    assert not (folder / "2.csv.journal").exists()
    assert "(10 of 10)" in capsys.readouterr().err


def test_after_an_interruption_nothing_is_graded_twice_and_all_meet_the_same_inputs(folder, monkeypatch, capsys):
    def interrupted(path, seed, cache):
        if path.name == "04.ipynb":
            raise KeyboardInterrupt
        return quick(path, seed, cache)

    monkeypatch.setattr(command, "grade_one", interrupted)
    call = ["grade", str(folder), "--csv", str(folder / "class.csv"), "--jobs", "1"]
    assert main(call) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert not (folder / "class.csv").exists()
    with open(folder / "class.csv.journal", "a") as journal:
        journal.write('{"path": "half a li')
    (folder / "01.ipynb").write_text("7")
    monkeypatch.setattr(command, "grade_one", quick)
    assert main(call) == 1
    names = [name for name, _, _ in log(folder)]
    assert names == [f"{k:02}.ipynb" for k in (0, 1, 2, 3, 1, 4, 5, 6, 7, 8, 9)]  # 01 has changed meanwhile
    assert len({seed for _, seed, _ in log(folder)}) == 1
    assert [row["score"] for row in rows(folder / "class.csv")] == list("0723456789")
    assert main(call) == 1
    assert len(log(folder)) == 21  # the table was written: a new call begins anew


def test_another_seed_begins_anew(folder):
    journal = many.Journal(folder / "j", 5)
    journal.start(1)
    journal.note(folder / "03.ipynb", Result("a", "02", [Score("02.1", 1, 2, "x", "y")]))
    assert many.Journal(folder / "j", None).find(folder / "03.ipynb").questions[0].hint == "y"
    assert many.Journal(folder / "j", 5).seed == 5
    assert many.Journal(folder / "j", 6).find(folder / "03.ipynb") is None


def test_a_file_that_ends_its_worker_costs_nobody_else(folder):
    (folder / "04.ipynb").write_text("die")
    results = many.grade_many(sorted(folder.glob("*.ipynb")), quick, 1, 2, many.Journal(None, None))
    assert [result.score for result in results if not result.error] == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert "ended from outside" in results[4].error


def trains(path, seed, cache):
    """A stand-in that notes when the lock of training questions was held."""
    with grading.TRAINING:
        begin = time.time()
        time.sleep(0.2)
        return Result(f"{begin} {time.time()}", "08", [])


def test_training_questions_run_one_at_a_time(folder):
    results = many.grade_many(sorted(folder.glob("*.ipynb"))[:4], trains, 1, 2, many.Journal(None, None))
    spans = sorted([float(part) for part in result.notebook.split()] for result in results)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


def test_shards_are_fixed_disjoint_and_whole_and_their_tables_join_to_the_same(folder, capsys):
    assert main(["grade", str(folder), "--csv", str(folder / "all.csv"), "--seed", "5"]) == 1
    parts = []
    for k in (1, 2, 3):
        parts.append(folder / f"part{k}.csv")
        assert main(["grade", str(folder), "--csv", str(parts[-1]), "--seed", "5", "--shard", f"{k}/3"]) == 1
    assert [len(rows(part)) for part in parts] == [4, 3, 3]
    merged = folder / "merged.csv"
    assert main(["grades", "merge", *map(str, parts), str(parts[0]), "--csv", str(merged)]) == 0
    assert rows(merged) == rows(folder / "all.csv")
    assert "10 notebooks from 4 tables" in capsys.readouterr().out


def test_tables_that_disagree_or_are_none_are_refused(folder, capsys):
    (folder / "a.csv").write_text("notebook,exercise,score,max_score,02.1,error\nx,02,1,2,1,\n")
    (folder / "b.csv").write_text("notebook,exercise,score,max_score,02.1,error\nx,02,2,2,2,\n")
    (folder / "c.csv").write_text("something else\n")
    for names, says in ((("a", "b"), "different points"), (("a", "c"), "is no table"), (("a", "d"), "No such file")):
        tables = [str(folder / f"{name}.csv") for name in names]
        assert main(["grades", "merge", *tables, "--csv", str(folder / "out.csv")]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["0/3", "4/3", "3", "a/b", "-1/3"])
def test_a_shard_that_is_none_is_refused(wrong, capsys):
    with pytest.raises(SystemExit):
        main(["grade", ".", f"--shard={wrong}"])
    assert "K from 1 to N" in capsys.readouterr().err


def test_as_many_at_once_as_cores_and_memory_bear(monkeypatch):
    memory = type("Memory", (), {"available": 7_000_000_000})
    monkeypatch.setattr(many.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(many.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert many.at_once() == 2
    memory.available = 1
    assert many.at_once() == 1


def test_the_teachers_page_shows_commands_and_a_workflow_that_can_run():
    text = (ROOT / "chapters" / "teachers.md").read_text(encoding="utf-8")
    (workflow,) = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    steps = workflow["jobs"]["grade"]["steps"]
    lines = [line for step in steps for line in step.get("run", "").splitlines()]
    lines += re.findall(r"^python -m cnnlib .*$", text, re.MULTILINE)
    commands = [line.split()[3:] for line in lines if line.startswith("python -m cnnlib ")]
    assert len(commands) >= 4
    for words in commands:
        parser().parse_args(words)
    assert any("bubblewrap" in line for line in lines)
    for option in ("--csv", "--html", "--record", "--json", "--seed", "--jobs", "--shard"):
        assert f"| `{option}" in text
