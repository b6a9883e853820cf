"""Submissions that want points they have not earned, or want to do harm: each costs what it should, and no more.

Each runs whole, under nbval. Many run with the rules off, because rules that read the syntax tree may be fooled: what
is tested is what holds then. Print the table: python -m pytest tests/grading/test_hostile.py -s -q -k table
"""

import concurrent.futures
import dataclasses
import hashlib

import nbformat
import psutil
import pytest

from cnnlib.grading import grade as grading
from cnnlib.grading import shut_in
from cnnlib.grading.notebook import merge

FULL = {"02.1": 2, "02.2": 2, "02.3": 3, "02.4": 1, "02.5": 2}
WRONG_1D = "def correlate1d(x, w):\n    return np.zeros(len(x))\n"
WRONG_2D = "def correlate2d(x, w):\n    return np.zeros((x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1))\n"
RIGHT_1D = """def correlate1d(x, w):
    {}
    ring = np.concatenate([x, x[: len(w) - 1]])
    return np.array([(ring[i : i + len(w)] * w).sum() for i in range(len(x))])
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
                "def correlate1d(x, w):\n    return [Equal()] * len(x)\n"
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
                "    return np.array(x)\n"
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
                    "def payload(*_):\n    sealed.payload = kept\n"
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


RETURN = "return np.zeros(len(x))"
REFUSED = {  # name: what stands in answer 02.2 (a body, if it is no whole cell), and what the message names
    "reads a file": ("return open('/etc/passwd')", "open"),
    "reads an array from a file": ("return np.load('answers.npy')", "numpy.load"),
    "reads text as an array": ("return np.loadtxt('answers')", "numpy.loadtxt"),
    "reads raw numbers": ("return np.fromfile('answers')", "numpy.fromfile"),
    "maps a file into memory": ("return np.memmap('answers')", "numpy.memmap"),
    "writes a file": ("np.save('mine', x)\n    return x", "numpy.save"),
    "writes a file through an array": ("x.tofile('mine')\n    return x", "tofile"),
    "dumps an array": ("x.dump('mine')\n    return x", "dump"),
    "paths": ("import pathlib\n    return pathlib.Path('/').iterdir()", "pathlib"),
    "runs a program": ("import os\n    return os.system('ls')", "os"),
    "runs a program by another module": ("import subprocess\n    return subprocess.run('ls')", "subprocess"),
    "starts processes": ("import multiprocessing\n    return multiprocessing.Pool()", "multiprocessing"),
    "the network": ("import urllib.request\n    return urllib.request.urlopen('x')", "urllib"),
    "sockets": ("import socket\n    return socket.socket()", "socket"),
    "C": ("import ctypes\n    return ctypes.CDLL(None)", "ctypes"),
    "C through NumPy": ("return np.ctypeslib.load_library('c', '.')", "numpy.ctypeslib"),
    "evaluates text": ("return eval('np.cor' + 'relate(x, w)')", "eval"),
    "executes text": ("exec('import os')\n    return x", "exec"),
    "compiles text": ("return compile('1', '', 'eval')", "compile"),
    "evaluates text in NumPy": ("return np.testing.runstring('1', {})", "runstring"),
    "imports by name": ("return __import__('os')", "__import__"),
    "imports by another module": ("import importlib\n    return importlib.import_module('os')", "importlib"),
    "unpickles": ("import pickle\n    return pickle.loads(b'')", "pickle"),
    "every class there is": ("return ().__class__.__base__.__subclasses__()", "__subclasses__"),
    "a function's globals": ("return correlate1d.__globals__", "__globals__"),
    "a function's code": ("correlate1d.__code__ = None\n    return x", "__code__"),
    "frames": ("import sys\n    return sys._getframe(1).f_locals", "sys"),
    "frames of a generator": ("return (k for k in x).gi_frame", "gi_frame"),
    "frames of an error": (
        "try:\n        1 / 0\n    except Exception as e:\n        return e.__traceback__",
        "__traceback__",
    ),
    "all objects": ("import gc\n    return gc.get_objects()", "gc"),
    "a name put together": ("return getattr(np, 'cor' + 'relate')(x, w)", "getattr"),
    "getattr as a value": ("return [*map(getattr, [np], ['mean'])]", "getattr"),
    "fields of a format": ("return '{0.__class__}'.format(x)", "format"),
    "fields of a format, mapped": ("return '{a.b}'.format_map({'a': x})", "format_map"),
    "a module's dict": ("return np.__dict__['correlate'](x, w)", "__dict__"),
    "vars": ("return vars(np)['correlate'](x, w)", "vars"),
    "a private part of NumPy": ("return np._core.multiarray.correlate(x, w)", "_core"),
    "masked arrays": ("return np.ma.correlate(x, w)", "numpy.ma"),
    "a module in a module": ("import random\n    return random._os.listdir()", "_os"),
    "another name for NumPy's": ("slide = np.correlate\n    return slide(x, w)", "numpy.correlate"),
    "the playground's own convolution": (
        "from cnnlib.playground.kernel import conv2d\n    return conv2d(x, w)",
        "playground",
    ),
    "PyTorch through the course": (
        "import cnnlib.models\n    return cnnlib.models.torch.conv1d(x, w)",
        "cnnlib.models",
    ),
    "the grader": ("from cnnlib.grading.grade import try_answers\n    return try_answers('02')", "cnnlib.grading"),
    "the sealed cell's module": (
        "from cnnlib.grading import sealed\n    sealed.payload = None\n    return x",
        "sealed",
    ),
    "an attribute by match": ("match x:\n        case np.ndarray(base=b):\n            return b", "match"),
    "NumPy as a value": ("return (lambda m: m.correlate(x, w))(np)", "m.correlate"),
    "NumPy changed": ("np.allclose = lambda *_: True\n    " + RETURN, "change of a library"),
    "a shell line": ("%%bash\ncat answers", "%%bash"),
    "a program's output": ("found = !cat answers\n" + WRONG_1D, "!cat"),
    "a script": ("%run answers.py", "%run"),
    "IPython itself": ("return get_ipython().system('ls')", "get_ipython"),
}


def refused_cell(text):
    """A whole cell for answer 02.2."""
    whole = text.startswith(("%", "def ")) or "\ndef " in text
    return text if whole else f"def correlate1d(x, w):\n    {text}\n"


@pytest.mark.parametrize("name", REFUSED)
def test_an_attempt_that_the_rules_name_is_refused_unrun_and_costs_its_question_alone(name):
    text, named = REFUSED[name]
    exercise = grading.ready_here("02", 1)
    cells = [
        dataclasses.replace(cell, source=refused_cell(text)) if cell.id == "answer-02-2" else cell
        for cell in exercise.source
    ]
    ran = []

    def run(exercise, merged, asked):
        ran.extend(merged)
        return {question.id: exercise.want[question.id] for question in asked}, {}, []

    scores, _ = grading.grade_merged(exercise, merge(exercise.source, cells), run)
    assert {score.id: score.score for score in scores} == FULL | {"02.2": 0}
    assert "answer-02-2" not in dict(ran) or named == "numpy.correlate"  # which other questions may use
    message = scores[1].message
    assert named in message
    assert "does not allow" in message


def test_the_bank_holds_sixty_distinct_attempts():
    assert len(ATTACKS) + len({refused_cell(text) for text, _ in REFUSED.values()}) >= 60


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
    for name, (_, named) in REFUSED.items():
        print(f"| {name} | on | 8 of 10 | refused, unrun: {named} |")


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
