"""`python -m cnnlib grade`, whole: merged, run under nbval, compared, scored, reported."""

import concurrent.futures
import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys

import pytest

from cnnlib.__main__ import main
from cnnlib.grading import command, report, sources
from cnnlib.grading import grade as grading
from cnnlib.grading.command import find
from cnnlib.grading.grade import Result
from cnnlib.grading.runner import Limits, run

HALF = {
    "answer-02-1": "ramp_answer = -30\nbrighter_answer = 40",
    "answer-02-3": """
def correlate2d(x, w):
    n, k = len(x), len(w)
    y = np.zeros((n - k + 1, n - k + 1))
    for i, j in np.ndindex(y.shape):
        window = x[i : i + k, j : j + k]
        y[i, j] = ((window - window.mean()) * w).sum()
    return y
""",
    "answer-02-5": "def find_kernel(x, y, kernel_size):\n    return np.zeros(kernel_size)\n",
}
SUBMISSIONS = {
    "reference": {},
    "untouched": {"untouched": True},
    "half": {"answers": HALF},
    "own cells": {
        "own": [
            ("setup", "%matplotlib inline\nnote = 'mine'\nimport os\nos.getcwd()"),
            ("answer-02-2", "print(correlate1d(np.arange(5), np.ones(2)))\n1 / 0"),
            ("answer-02-3", "from cnnlib.ops import correlate2d as theirs\nimport numpy as np"),
            ("hints-02-5", "def broken("),
        ]
    },
    "a hung own cell": {"own": [("setup", "while True: pass")]},
    "errors": {
        "answers": {
            "answer-02-2": "def correlate1d(x, w)\n    return x",
            "answer-02-4": "def convolve2d(x, w):\n    return correlate2d(x, w[::-1, ::-1]) / size",
        }
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory, submit, ready_02):
    """{name: Result} of every submission above, two at a time."""
    folder = tmp_path_factory.mktemp("submissions")

    def run(name):
        return grading.grade(submit(folder / f"{name}.ipynb", **SUBMISSIONS[name]), cache=dict(ready_02))

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(SUBMISSIONS, pool.map(run, SUBMISSIONS), strict=True))


def test_the_reference_gets_full_points(results):
    assert results["reference"].score == results["reference"].max_score == 10
    assert results["reference"].exit_code == 0
    assert {question.message for question in results["reference"].questions} == {"Right."}


def test_the_untouched_file_gets_nothing_and_the_first_hint(results):
    assert results["untouched"].score == 0
    assert results["untouched"].exit_code == 1
    for question in results["untouched"].questions:
        assert question.message == "Not answered yet."
        assert question.hint.startswith("Hint 1")


def test_a_half_right_file_gets_the_parts_that_are_right(results, points):
    assert points(results["half"]) == {"02.1": 1, "02.2": 2, "02.3": 1, "02.4": 0, "02.5": 0}
    hints = {question.id: question.hint[:6] for question in results["half"].questions}
    assert hints == {"02.1": "", "02.2": "", "02.3": "Hint 2", "02.4": "", "02.5": ""}


def test_own_cells_cost_nothing(results):
    assert results["own cells"].score == 10
    assert any("`os`" in note for note in results["own cells"].notes)


def test_a_hung_own_cell_is_left_out_and_costs_nothing(results):
    assert results["a hung own cell"].score == 10
    assert "took longer than 5 seconds" in results["a hung own cell"].notes[0]


def test_an_answer_that_stops_is_told_why(results, points):
    assert points(results["errors"]) == {"02.1": 2, "02.2": 0, "02.3": 3, "02.4": 0, "02.5": 2}
    says = {question.id: question.message for question in results["errors"].questions}
    assert says["02.2"] == "The answer cell is not Python: expected ':' in line 1."
    assert "NameError in `return correlate2d(x, w[::-1, ::-1]) / size`: name 'size' is not defined" in says["02.4"]


def test_grading_in_process_says_the_same_as_under_nbval(results, ready_02):
    here = grading.try_answers("02", HALF, ready_02["02"].seed)
    assert [(s.score, s.message) for s in here] == [(s.score, s.message) for s in results["half"].questions]


def test_the_kernel_sees_an_empty_home_no_test_split_and_nothing_of_the_grader(tmp_path):
    text = """
import os, sys
from pathlib import Path
print([p.name for p in Path.cwd().iterdir()], Path.home().name, sorted(os.environ))
raise ValueError(f"{list(Path.cwd().iterdir())} {sorted(os.environ)} {sys.argv}")
"""
    done = run([("setup", text, 60, False)], Limits(), tmp_path)
    says = done.ends["setup"]["error"]["message"]
    assert says.startswith("[]")
    assert "CNNLIB_GRADING" not in says
    assert "merged" not in says


def test_only_a_sealed_cell_hands_over_a_payload(tmp_path):
    mime = "application/vnd.cnnlib.payload+json"
    show = f"display({{'{mime}': {{'n': 1}}}}, raw=True)"
    large = f"display({{'{mime}': {{'n': 'x' * 3000}}}}, raw=True)"
    cells = [("answer-99-1", show, 60, False), ("check-99-1", show, 60, True), ("check-99-2", large, 60, True)]
    done = run(cells, Limits(payload=1000), tmp_path)
    assert "payload" not in done.ends["answer-99-1"]
    assert done.ends["check-99-1"]["payload"] == {"n": 1}
    assert "payload" not in done.ends["check-99-2"]
    assert done.ends["check-99-2"]["too_large"] > 1000


def test_the_time_in_all_is_limited(tmp_path):
    cells = [("answer-99-1", "import time\ntime.sleep(300)", 300, False), ("check-99-1", "1", 9, True)]
    done = run(cells, Limits(seconds=20), tmp_path)  # a busy machine takes half of it to start the kernel
    assert done.guilty == "answer-99-1"
    assert "more than 20 seconds in all" in done.reason


def test_memory_is_limited(tmp_path):
    cells = [("answer-99-1", "x = bytearray(900_000_000)\nimport time\ntime.sleep(60)", 80, False)]
    done = run(cells, Limits(memory=600_000_000), tmp_path)
    assert done.ends.get("answer-99-1", {}).get("error", {}).get("error") == "MemoryError" or "memory" in done.reason


@pytest.fixture(scope="module")
def class_run(tmp_path_factory, submit):
    """A class folder graded by the command: (exit code, standard output, csv, html)."""
    folder = tmp_path_factory.mktemp("class")
    for name in ("ada", "bob", "cleo"):
        (folder / name).mkdir()
    submit(folder / "ada" / "02_slide_a_kernel.ipynb")
    submit(folder / "bob" / "02_slide_a_kernel.ipynb", answers=HALF)
    (folder / "cleo" / "02_slide_a_kernel.ipynb").write_text("{broken")
    (folder / "bob" / ".ipynb_checkpoints").mkdir()
    submit(folder / "bob" / ".ipynb_checkpoints" / "02_slide_a_kernel-checkpoint.ipynb")
    out = folder / "out"
    out.mkdir()
    files = ["--csv", str(out / "c.csv"), "--html", str(out / "h.html")]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = main(["grade", str(folder), "--json", "--seed", "5", *files])
    return code, printed.getvalue(), out / "c.csv", out / "h.html"


def test_a_broken_file_costs_only_its_own_learner(class_run):
    code, printed, _, _ = class_run
    assert code == 2
    assert [(entry["score"], entry["max_score"]) for entry in json.loads(printed)] == [(10, 10), (4, 10), (0, 0)]


def test_json_has_exactly_the_agreed_form_and_nothing_else_is_printed(class_run):
    for entry in json.loads(class_run[1]):
        assert list(entry) == ["notebook", "score", "max_score", "questions"]
        for question in entry["questions"]:
            assert list(question) == ["id", "score", "max_score", "message"]
            assert isinstance(question["message"], str)


def test_csv_has_a_line_for_each_learner(class_run):
    rows = list(csv.DictReader(class_run[2].read_text(encoding="utf-8").splitlines()))
    assert [row["score"] for row in rows] == ["10", "4", "0"]
    assert rows[1]["02.3"] == "1"
    assert "not a notebook" in rows[2]["error"]


def test_html_stands_alone_and_escapes_what_learners_wrote(class_run):
    text = class_run[3].read_text(encoding="utf-8")
    assert "4 of 10 points" in text
    assert not re.search(r"(src|href)=|https?:|<script", text)


def test_the_table_shows_points_difference_and_hint(results, capsys):
    command.report.show([results["half"]], 5)
    said = capsys.readouterr().out
    assert "4 of 10 points" in said
    assert "1 of 3" in said
    assert "Any size: your code stopped with ValueError" in said
    assert "Hint 2" in said
    assert "--seed 5" in said


def test_exit_codes_say_full_marks_fewer_or_not_graded(monkeypatch, tmp_path, capsys):
    for code, error, score in ((0, "", 10), (1, "", 9), (2, "it is broken.", 0)):
        result = grading.Result("a", questions=[grading.Score("02.1", score, 10, "x")], error=error)
        monkeypatch.setattr(command, "grade", lambda *_, result=result: result)
        assert main(["grade", str(tmp_path / "a.ipynb")]) == code
    assert main(["grade", str(tmp_path)]) == 2
    assert "no notebook" in capsys.readouterr().err


def test_a_missing_file_and_a_failing_grader_are_exit_code_2(tmp_path, monkeypatch, capsys):
    assert main(["grade", str(tmp_path / "nowhere.ipynb")]) == 2
    assert "there is no such file" in capsys.readouterr().out
    monkeypatch.setattr(command, "grade", lambda *_: 1 / 0)
    assert main(["grade", str(tmp_path / "a.ipynb")]) == 2
    assert "ZeroDivisionError" in capsys.readouterr().out


def test_the_hints_come_from_the_source():
    assert [title for title, _ in sources.hints(sources.read_source("02"), "02-2")] == [
        "Hint 1: a nudge",
        "Hint 2: the formula",
        "Hint 3: in pseudo-code",
    ]


def test_a_name_that_is_not_utf8_is_shown_by_its_bytes_and_costs_nobody(tmp_path):
    for name in (b"anna.ipynb", b"M\xfcller.ipynb"):
        with open(os.path.join(os.fsencode(tmp_path), name), "w"):
            pass
    table, page = tmp_path / "class.csv", tmp_path / "class.html"
    command = [sys.executable, "-m", "cnnlib", "grade", str(tmp_path), "--csv", str(table), "--html", str(page)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for text in (done.stdout, table.read_text(encoding="utf-8"), page.read_text(encoding="utf-8")):
        assert "anna.ipynb" in text
        assert r"M\xfcller.ipynb" in text.replace("\n", "")


def test_an_output_that_cannot_be_written_is_told_before_anything_is_graded(tmp_path, submit, capsys):
    submit(tmp_path / "02.ipynb")
    for wrong in (tmp_path / "nowhere" / "a.csv", tmp_path):
        assert main(["grade", str(tmp_path), "--csv", str(wrong)]) == 2
        told = capsys.readouterr().err
        assert "cannot be written" in told
        assert "Nothing was graded" in told


def test_what_a_submission_says_cannot_command_a_terminal_or_a_spreadsheet(tmp_path):
    assert report.shown("a\x1b[31m\u202eb\n") == r"a\x1b[31m\u202eb" + "\n"
    result = Result("=cmd|' /C calc'!A0.ipynb", error="-1+1")
    report.write_csv([result], tmp_path / "class.csv")
    row = list(csv.reader((tmp_path / "class.csv").read_text(encoding="utf-8").splitlines()))[1]
    assert row[0].startswith("'=")
    assert row[-1].startswith("'-")


def test_files_that_editors_and_archives_leave_beside_are_passed_over(tmp_path, submit):
    for name in ("a/02.ipynb", "__MACOSX/a/02.ipynb", "a/._02.ipynb", "a/.ipynb_checkpoints/02.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        submit(tmp_path / name)
    assert find([tmp_path]) == [tmp_path / "a" / "02.ipynb"]
