"""Submissions that want points they have not earned, or want to do harm: each costs what it should, and no more.

Each runs whole, under nbval. Many run with the rules off, because rules that read the syntax tree may be fooled: what
is tested is what holds then. Print the table: python -m pytest tests/grading/test_hostile.py -s -q -k table
"""

import concurrent.futures
import hashlib

import nbformat
import psutil
import pytest

from cnnlib.grading import grade as grading
from cnnlib.grading import shut_in

FULL = {"02.1": 2, "02.2": 2, "02.3": 3, "02.4": 1, "02.5": 2}
WRONG_1D = "def correlate1d(x, w):\n    return np.zeros(len(x) - len(w) + 1)\n"
WRONG_2D = "def correlate2d(x, w):\n    return np.zeros((x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1))\n"
RIGHT_1D = """def correlate1d(x, w):
    {}
    return np.array([(x[i : i + len(w)] * w).sum() for i in range(len(x) - len(w) + 1)])
"""
STUBBORN = """def correlate1d(x, w):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
"""
THIEF = """def correlate1d(x, w):
    import json, cnnlib
    source = json.load(open(cnnlib.__path__[0] + '/../exercises/solutions/02_slide_a_kernel.ipynb'))
    found = [cell for cell in source['cells'] if cell['id'] == 'answer-02-2']
    names = {'np': np}
    exec(''.join(found[0]['source']), names)
    return names['correlate1d'](x, w)
"""
SPOIL = "with contextlib.suppress(OSError): open('{path}', 'w').write('gone')"
SLEEPER = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(987.5)'], start_new_session=True, env={})"


def body(*lines):
    """A right correlate1d that does something else first."""
    return RIGHT_1D.format("\n    ".join(lines))


# name: (what to write, points lost on which questions, what the message or a note says, are the rules blinded)
ATTACKS = {
    "NumPy's comparisons patched, and builtins": (
        {
            "answers": {"answer-02-2": WRONG_1D},
            "own": [
                (
                    "setup",
                    "import builtins\nimport numpy.testing\n"
                    "np.allclose = np.array_equal = np.isclose = lambda *a, **k: True\n"
                    "np.testing.assert_allclose = lambda *a, **k: None\n"
                    "builtins.abs = lambda *a: 0\nbuiltins.AssertionError = ZeroDivisionError",
                )
            ],
        },
        {"02.2": 2},
        "",
        True,
    ),
    "an object equal to everything": (
        {
            "answers": {
                "answer-02-2": "class Equal(float):\n    def __eq__(self, other):\n        return True\n"
                "    __ne__ = __lt__ = __gt__ = lambda self, other: False\n    shape = (3,)\n"
                "    def __sub__(self, other):\n        return 0\n\n"
                "def correlate1d(x, w):\n    return [Equal()] * (len(x) - len(w) + 1)\n"
            }
        },
        {"02.2": 2},
        "first difference",
        False,
    ),
    "a forged payload beside the real one": (
        {
            "answers": {
                "answer-02-2": "def correlate1d(x, w):\n"
                "    display({'application/vnd.cnnlib.payload+json': {'score': 10, 'cases': []}}, raw=True)\n"
                "    return x[: len(x) - len(w) + 1]\n"
            }
        },
        {"02.2": 2},
        "other than the sealed cell displayed a payload",
        False,
    ),
    "a forged payload in place of the real one": (
        {
            "answers": {"answer-02-2": WRONG_1D},
            "own": [
                (
                    "answer-02-2",
                    "import cnnlib.grading.sealed as sealed\nkept = sealed.payload\n"
                    "def payload(namespace, cases):\n    sealed.payload = kept\n"
                    "    return {'passed': True, 'score': 2, 'cases': [{'output': 'right', 'inputs': {}}] * 4}\n"
                    "sealed.payload = payload",
                )
            ],
        },
        {"02.2": 2},
        "",
        True,
    ),
    "given cells edited, checks deleted": (
        {
            "answers": {
                "setup": "import numpy as np\ndef check(name):\n    print('10 of 10 points')\n",
                "check-02-3": "print('3 of 3 points')",
                "answer-02-3": WRONG_2D,
            },
            "without": ("check-02-2", "check-02-5", "task-02-1", "hints-02-4"),
        },
        {"02.3": 3, "02.4": 1},
        "all zeros",
        False,
    ),
    "an answer deleted": ({"without": ("answer-02-5",)}, {"02.5": 2}, "missing", False),
    "os._exit": ({"answers": {"answer-02-2": body("import os", "os._exit(0)")}}, {"02.2": 2}, "ended the kernel", True),
    "os._exit, and pytest killed": (
        {"answers": {"answer-02-2": body("import os, signal", "os.kill(os.getppid(), signal.SIGKILL)", "os._exit(0)")}},
        {"02.2": 2},
        "ended the kernel",
        True,
    ),
    "an endless loop that will not be interrupted": (
        {"answers": {"answer-02-2": STUBBORN}},
        {"02.2": 2},
        "took longer than 5 seconds",
        False,
    ),
    "a child process left behind": (
        {"answers": {"answer-02-2": body("import subprocess, sys", SLEEPER)}},
        {},
        "",
        True,
    ),
    "forty processes": (
        {
            "answers": {
                "answer-02-2": body(
                    "import subprocess, time",
                    "[subprocess.Popen(['sleep', '987.5'], start_new_session=True) for _ in range(40)]",
                    "time.sleep(4)",
                )
            }
        },
        {"02.2": 2},
        "more than 24 processes",
        True,
    ),
    "answer by import": (
        {
            "answers": {
                "answer-02-2": "from cnnlib.ops import correlate1d\n",
                "answer-02-3": "def correlate2d(x, w):\n    return theirs(x, w)\n",
            },
            "own": [("setup", "import cnnlib.ops as tools\ntheirs = getattr(tools, 'correlate2d')")],
        },
        {"02.2": 2, "02.3": 3, "02.4": 1},
        "does not allow",
        False,
    ),
    "the answers read from their file": (
        {"answers": {"answer-02-2": THIEF}},
        {"02.2": 2},
        "does not allow",
        False,
    ),
    "fifty million characters printed": (
        {"answers": {"answer-02-2": body("for _ in range(50):", "    print('x' * 1_000_000)")}},
        {"02.2": 2},
        "",
        False,
    ),
    "a result of 80 gigabytes": (
        {"answers": {"answer-02-2": body("x = np.ones((100_000, 100_000))")}},
        {"02.2": 2},
        "MemoryError",
        False,
    ),
    "a result that packs well": (
        {"answers": {"answer-02-2": "def correlate1d(x, w):\n    return np.zeros((12_000, 1_000))\n"}},
        {"02.2": 2},
        "far too large",
        False,
    ),
    "the learner's own file overwritten": (
        {"answers": {"answer-02-2": body("import contextlib", SPOIL)}},
        {},
        "" if shut_in.available() else "put back",
        True,
    ),
}


@pytest.fixture(scope="module")
def fates(tmp_path_factory, submit, ready_02):
    """{name: (result, file unchanged)} of every attack, two at a time."""
    folder = tmp_path_factory.mktemp("hostile")

    def run(number, name):
        recipe, _, _, blind = ATTACKS[name]
        path = folder / f"{number:02}.ipynb"
        recipe = recipe | {"answers": {k: v.replace("{path}", str(path)) for k, v in recipe.get("answers", {}).items()}}
        submit(path, **recipe)
        before = hashlib.sha256(path.read_bytes()).digest()
        rules = (lambda *_: ({}, {})) if blind else grading.check_rules
        result = grading.grade(path, cache=dict(ready_02), rules=rules)
        return result, hashlib.sha256(path.read_bytes()).digest() == before

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = {name: pool.submit(run, number, name) for number, name in enumerate(ATTACKS)}
        return {name: job.result() for name, job in jobs.items()}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_what_it_should_and_no_more(fates, points, name):
    _, lost, says, _ = ATTACKS[name]
    result, unchanged = fates[name]
    assert not result.error
    assert points(result) == FULL | {question: FULL[question] - lost[question] for question in lost}
    assert says.lower() in " ".join([q.message for q in result.questions] + result.notes).lower()
    assert unchanged
    assert "left out" not in str(result.notes)


def test_no_process_is_left_behind(fates):
    left = [p for p in psutil.process_iter(["cmdline"]) if "987.5" in " ".join(p.info["cmdline"] or [])]
    assert not left


def test_print_the_table_of_hostile_submissions(fates):
    print("\n| submission | rules | points | what the grader says |\n|---|---|---|---|")
    for name, (_, lost, _, blind) in ATTACKS.items():
        result = fates[name][0]
        says = [f"{q.id}: {q.message}" for q in result.questions if q.id in lost] + result.notes
        print(f"| {name} | {'off' if blind else 'on'} | {result.score:g} of 10 | {' '.join(says) or 'nothing'} |")


def test_a_file_that_is_no_notebook_cannot_be_graded(tmp_path):
    for text in (
        "{broken",
        "[]",
        '{"cells": 3}',
        "",
        '{"cells": [{"cell_type": "code"}], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
    ):
        path = tmp_path / "02_broken.ipynb"
        path.write_text(text)
        result = grading.grade(path)
        assert result.exit_code == 2
        assert "not a notebook" in result.error


def test_an_answer_cell_that_was_copied_or_split_is_read_as_one(tmp_path, submit, ready_02, source_02, points):
    nb = nbformat.read(submit(tmp_path / "02.ipynb"), 4)
    at = next(k for k, cell in enumerate(nb.cells) if cell.id == "answer-02-2")
    first = nb.cells[at]
    nb.cells.insert(at + 1, nbformat.from_dict(dict(first) | {"id": "half"}))
    first.source = "tap = 1\n"
    nb.cells.append(nbformat.from_dict(dict(nb.cells[at + 2]) | {"id": "a-given-cell-copied"}))
    nbformat.write(nb, tmp_path / "02.ipynb")
    result = grading.grade(tmp_path / "02.ipynb", cache=ready_02)
    assert points(result) == FULL
    assert any("there 2 times" in note for note in result.notes)


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("gone"), lambda path: path.unlink()])
def test_a_submission_that_was_changed_or_deleted_meanwhile_is_put_back(tmp_path, submit, monkeypatch, spoil):
    path = submit(tmp_path / "02.ipynb")
    before = path.read_bytes()

    def run(exercise, merged, asked):
        spoil(path)
        return {}, {}, []

    monkeypatch.setattr(grading, "run_after_reference", run)
    result = grading.grade(path)
    assert path.read_bytes() == before
    assert any("put back" in note for note in result.notes)
