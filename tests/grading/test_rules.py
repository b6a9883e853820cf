"""What an answer may not use, read from its syntax tree."""

import pytest

from cnnlib.grading.question import Question
from cnnlib.grading.rules import check_rules

FIRST = Question(
    id="99.1", kind="complete", call="f(x)", parts={"all": 1}, draw=list, forbid=("cnnlib.ops", "numpy.convolve", "sum")
)
SECOND = Question(id="99.2", kind="complete", call="g(x)", parts={"all": 1}, draw=list)
SETUP = ("setup", "import numpy as np\nfrom cnnlib.grading import check")


def ruled(answer, *own, second="def g(x):\n    return x"):
    """(broken, dropped) of a notebook with this answer to 99.1, own cells before it, and an answer to 99.2."""
    cells = [
        SETUP,
        *((f"own-{i}", text) for i, text in enumerate(own, 1)),
        ("answer-99-1", answer),
        ("answer-99-2", second),
    ]
    return check_rules(cells, [FIRST, SECOND], {"99.1": {"x"}, "99.2": {"x"}})


FORBIDDEN = [
    "from cnnlib.ops import conv2d as f",
    "import cnnlib.ops as o\ndef f(x):\n    return o.conv2d(x)",
    "import cnnlib\ndef f(x):\n    return cnnlib.ops.conv2d(x)",
    "from cnnlib import ops\nf = ops.conv2d",
    "def f(x):\n    return np.convolve(x, x)",
    "def f(x):\n    from numpy import convolve as c\n    return c(x, x)",
    "lib = np\ndef f(x):\n    return lib.convolve(x, x)",
    "def f(x):\n    return getattr(np, 'convolve')(x, x)",
    "def f(x):\n    return getattr(np, 'con' + 'volve')(x, x)",
    "def f(x):\n    return [np][0].convolve(x, x)",
    "def f(x):\n    return sum(x)",
    "import importlib\nf = importlib.import_module('cnnlib.ops').conv2d",
    "f = __import__('cnnlib.ops').ops.conv2d",
    "exec('from cnnlib.ops import conv2d as f')",
    "f = eval('np.convolve')",
    "def f(x):\n    return np.__dict__['convolve'](x)",
    "def f(x):\n    return vars(np)['convolve'](x)",
    "def f(x):\n    return globals()['np'].convolve(x)",
    "from cnnlib.ops import *",
    "import sys\nf = sys.modules['numpy'].convolve",
    "f = ().__class__.__base__.__subclasses__",
    "import operator\nf = operator.attrgetter('convolve')(np)",
    "from operator import attrgetter as a\nf = a('convolve')(np)",
    "def f(x):\n    return open('answers').read()",
    "def f(x):\n    return np.load('answers.npy')",
    "def f(x):\n    return np.lib.os.listdir()",
    "import subprocess\ndef f(x):\n    return x",
    "from cnnlib.grading import grade\ndef f(x):\n    return x",
    "import cnnlib.grading.sealed as s\ndef f(x):\n    return x",
    "from .ops import f",
    "y = !cat answers\ndef f(x):\n    return y",
    "%run answers.py",
    "%%bash\ncat answers",
    "get_ipython().run_line_magic('run', 'answers.py')",
]


@pytest.mark.parametrize("answer", FORBIDDEN)
def test_a_forbidden_way_is_found_and_costs_only_its_question(answer):
    broken, _ = ruled(answer)
    assert set(broken) == {"99.1"}
    assert "does not allow" in broken["99.1"]


ALLOWED = [
    "def f(x):\n    return x * np.linalg.norm(x)",
    "%matplotlib inline\n%%timeit\ndef f(x):\n    return x",
    "import numpy as np\nimport math, functools\ndef f(x):\n    total = x.sum() + math.pi\n    return total",
    "signal = np.arange(3)\ncode = signal.size\ndef f(x, sys=2):\n    io = sys\n    return x[::io]",
    "class Net:\n    def __init__(self):\n        self.os = 1\n\ndef f(x):\n    return Net().os",
    "from cnnlib.data import load\ndef f(x):\n    return load('mnist', 'train')",
    "def f(x:",
]


@pytest.mark.parametrize("answer", ALLOWED)
def test_what_is_allowed_is_not_found(answer):
    assert ruled(answer) == ({}, {})


def test_a_forbidden_name_that_the_answer_borrows_from_an_own_cell_is_found():
    for own in (
        "from cnnlib.ops import conv2d as theirs",
        "import cnnlib.ops\ntheirs = cnnlib.ops.conv2d",
        "import cnnlib.ops\ndef helper(x):\n    return cnnlib.ops.conv2d(x)\ntheirs = helper",
        "from cnnlib.ops import conv2d\ntheirs = {}\ntheirs['f'] = conv2d",
        "from cnnlib.ops import conv2d\ntheirs = []\ntheirs.append(conv2d)",
    ):
        broken, dropped = ruled("def f(x):\n    return theirs(x)", own)
        assert set(broken) == {"99.1"}
        assert not dropped
    assert "99.1" in ruled("def f(x):\n    return np.mean(x)", "from cnnlib.ops import conv2d\nnp.mean = conv2d")[0]
    assert (
        "99.1"
        in ruled("def f(x):\n    return h(x)", "def h(x):\n    return k(x)", "from cnnlib.ops import conv2d as k")[0]
    )


def test_an_own_cell_may_compare_with_the_library():
    own = "import numpy as np\nfrom cnnlib.ops import conv2d\nx = np.ones(3)\nprint(conv2d(x) - 1)"
    assert ruled("def f(x):\n    y = np.ones(3)\n    return x + y", own) == ({}, {})


def test_an_own_cell_that_could_reach_everything_does_not_run_and_costs_nothing():
    for own in (
        "import os\nos.getcwd()",
        "exec('f = 1')",
        "!ls",
        "import importlib\nimportlib.reload(np)",
        "what is this thing",
    ):
        broken, dropped = ruled("def f(x):\n    return x", own)
        assert not broken
        assert set(dropped) == {"own-1"}


def test_the_answer_to_one_question_may_use_what_another_forbids():
    broken, _ = ruled("def f(x):\n    y = x\n    return y", second="def g(x):\n    y = np.convolve(x, x)\n    return y")
    assert not broken
