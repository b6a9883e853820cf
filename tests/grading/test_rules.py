"""What an answer may not use, read from its syntax tree."""

import sys

import pytest

from cnnlib.grading.cells import as_run_all
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
    return check_rules(cells, [FIRST, SECOND], {"99.1": {"x"}, "99.2": {"x"}}, as_run_all(cells, {"f", "g"})[1])


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
    "import subprocess\ndef f(x):\n    return subprocess.run(x)",
    "from cnnlib.grading import grade\ndef f(x):\n    return grade(x)",
    "import cnnlib.grading.sealed as s\ndef f(x):\n    return s.payload(x)",
    "from .ops import f",
    "y = !cat answers\ndef f(x):\n    return y",
    "%run answers.py",
    "%%bash\ncat answers",
    "get_ipython().run_line_magic('run', 'answers.py')",
    "def f(x):\n    return np.ma.correlate(x, x)",
    "def f(x):\n    return np._core.multiarray.correlate(x, x)",
    "from cnnlib.playground.kernel import conv2d as f",
    "import cnnlib.models\ndef f(x):\n    return cnnlib.models.torch.conv2d(x)",
    "import random\ndef f(x):\n    return random._os.listdir()",
    "import collections\ndef f(x):\n    return collections._sys.modules",
    "def f(x):\n    np.save('a', x)",
    "def f(x):\n    x.tofile('a')",
    "def f(x):\n    return np.testing.runstring('1', {})",
    "g = getattr\ndef f(x):\n    return g(np, 'mean')(x)",
    "def f(x):\n    return [*map(getattr, [x], ['mean'])]",
    "g = getattr\ndef f(x):\n    return g(f, '__glo' + 'bals__')",
    "class A:\n    format = 1\ndef f(x):\n    return '{0.__class__}'.format(x)",
    "def f(x):\n    return '{0.__class__}'.format(x)",
    "h = '{0.a}'.format\ndef f(x):\n    return h(x)",
    "def f(x):\n    return '{0[a]}'.format(x)",
    "def f(x):\n    match x:\n        case np.ndarray(dtype=d):\n            return d",
    "import math as m\ndef f(x):\n    return m.convolve(x)\nimport numpy as m",
    "def f(x):\n    global m\n    import numpy as m\n    return m.ma",
    "class A:\n    m = np\ndef f(x):\n    return A.m.ma",
    "class A:\n    import numpy as m\ndef f(x):\n    return A.m.sum",
    "def f(x, m=np):\n    return x",
    "def f(x):\n    return (lambda m: m.mean(x))(np)",
    "def f(x):\n    return (i for i in x).gi_frame.f_globals",
    "class A:\n    ma = 1\ndef f(x):\n    for m in [np]:\n        return m.ma",
    "def f(x):\n    try:\n        1 / 0\n    except Exception as e:\n        return e.__traceback__",
    "import typing\ndef f(x):\n    return typing.get_type_hints(f)",
    "class A:\n    if 0:\n        open = 1\n    y = open('a')\ndef f(x):\n    return x",
    "%time import os; os.system('a')\ndef f(x):\n    return x",
    "print(_i)\ndef f(x):\n    return x",
    "np.mean = max\ndef f(x):\n    return x",
    " def f(x):\n     return np.convolve(x, x)",
    ">>> def f(x):\n...     return np.convolve(x, x)",
    "%time slide = np.convolve\ndef f(x):\n    return slide(x, x)",
]


@pytest.mark.parametrize("answer", FORBIDDEN)
def test_a_forbidden_way_is_found_and_costs_only_its_question(answer):
    broken, _ = ruled(answer)
    assert set(broken) == {"99.1"}
    assert "does not allow" in broken["99.1"]


ALLOWED = [
    "def f(x):\n    return x * np.linalg.norm(x)",
    "%matplotlib inline\n%time y = 1\ndef f(x):\n    return x",
    "%%timeit -n 3\ndef f(x):\n    return x",
    "import numpy as np\nimport math, functools\ndef f(x):\n    total = x.sum() + math.pi\n    return total",
    "signal = np.arange(3)\ncode = signal.size\ndef f(x, sys=2):\n    io = sys\n    return x[::io]",
    "class Net:\n    def __init__(self):\n        self.os = 1\n\ndef f(x):\n    return Net().os",
    "def f(x):\n    N, C, F, W = x.shape\n    return np.zeros((N, F))",
    "import os\ndef f(x):\n    return x",
    "import os, math\ndef f(x):\n    return math.pi * x",
    "from functools import reduce\nimport itertools as it\ndef f(x):\n    return reduce(max, it.chain(x))",
    "from dataclasses import dataclass\n@dataclass\nclass P:\n    row: int\n\ndef f(x):\n    return P(1).row",
    "from collections import namedtuple\nP = namedtuple('P', 'top left')\ndef f(x):\n    return P(1, 2).top",
    "def f(x):\n    return np.add.reduce(x) + np.lib.stride_tricks.sliding_window_view(x, 3)",
    "def f(input, vars=1):\n    return input * vars",
    "def f(x):\n    for _, w in enumerate(x):\n        assert w, f'{x.shape=}'\n    return '{} {:.2f}'.format(1, 2.0)",
    "def f(x):\n    match x.shape:\n        case (a, b):\n            return a",
    "class Net:\n    def __init__(self):\n        self.k = 1\n    def __call__(self, x):\n        return x\nf = Net()",
    "if __name__ == '__main__':\n    print(1)\ndef f(x):\n    return x",
    "def f(x):\n    return " + " + ".join(350 * ["x"]),
    "seed = 0x" + 5000 * "f" + "\ndef f(x):\n    return x",
    " def f(x):\n     return x",
    "In [1]: def f(x):\n   ...:     return x",
    "lib = np\ndef f(x):\n    return lib.mean(x)",
    "f = lambda x: (y := x * 2) + y",
    "from IPython.display import display\ndef f(x):\n    display(x)",
    "%load_ext autoreload\n%autoreload 2\ndef f(x):\n    return x",
    "from cnnlib.data import load\ndef f(x):\n    return load('mnist', 'train')",
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
        "from cnnlib.ops import conv2d\nnp.mean = conv2d",
    ):
        broken, dropped = ruled("def f(x):\n    return x", own)
        assert not broken
        assert set(dropped) == {"own-1"}


def test_the_answer_to_one_question_may_use_what_another_forbids():
    broken, _ = ruled("def f(x):\n    y = x\n    return y", second="def g(x):\n    y = np.convolve(x, x)\n    return y")
    assert not broken


@pytest.mark.parametrize(
    ("answer", "instead"),
    [
        ("def f(x):\n    return np.trapz(x)", "np.trapezoid"),
        ("def f(x):\n    return np.summ(x)", "numpy.sum"),
        ("def f(x):\n    return open(x)", "cnnlib.data.load"),
        ("def _f(x):\n    return x\nf = _f", "try `f`"),
        ("def f(x):\n    return x.reshpe(3)", ".reshape"),
    ],
)
def test_a_refused_name_is_met_with_the_name_of_one_that_is_allowed(answer, instead):
    assert instead in ruled(answer)[0]["99.1"]


DEEP = [360 * "lambda: " + "x", " + ".join(380 * ["x"]), "(" * 90 + "x" + ")" * 90, "x" + 190 * "[0]"]


@pytest.mark.parametrize("deep", DEEP)
def test_what_is_nested_deeply_is_read_all_the_same(deep):
    assert ruled(f"def f(x):\n    return {deep}") == ({}, {})


def test_reading_leaves_the_depth_of_calls_as_it_was():
    before = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(1_500)
        ruled("def f(x):\n    return x")
        assert sys.getrecursionlimit() == 1_500
    finally:
        sys.setrecursionlimit(before)
