"""What runs of a cell: IPython's own reading of it, harmless magics taken off, idle imports taken out."""

import ast

import pytest

from cnnlib.grading.cells import LINES, LONGEST, MAGICS, as_run, as_run_all


def same(text, want):
    """Whether two pieces of code have one syntax tree."""
    return ast.dump(ast.parse(text)) == ast.dump(ast.parse(want))


@pytest.mark.parametrize(
    ("typed", "runs"),
    [
        ("  x = 1\n  y = 2", "x = 1\ny = 2"),
        (">>> x = 1\n>>> def f():\n...     return x", "x = 1\ndef f():\n    return x"),
        ("In [3]: x = 1\n   ...: y = 2", "x = 1\ny = 2"),
        ("%time x = 1", "x = 1"),
        ("%time", "pass"),
        ("def f():\n    %time x = 1\n    return x", "def f():\n    x = 1\n    return x"),
        ("%timeit f(1)\nx = 1", "pass\nx = 1"),
        ("%%time\nx = 1\n%matplotlib inline", "x = 1\npass"),
        ("%%timeit -n 3 -r 1\nx = 1", "x = 1"),
        ("%%capture out\nx = 1", "x = 1"),
        ("%load_ext autoreload\n%autoreload 2\nx = 1", "pass\npass\nx = 1"),
        ("x = 1\nx?\n?x", "x = 1\npass\npass"),
        ("text = 'a line\\\n%time'", "text = 'a line%time'"),
        ("text = '''\n!ls\n'''", "text = '''\n!ls\n'''"),
        ("rest = (7\n% 4)", "rest = 7 % 4"),
        ("text = 'a\u2028b\\x0c'  ", "text = 'a\u2028b\\x0c'"),
        ("text = '''a  \nb'''\n%time", "text = '''a  \nb'''\npass"),
    ],
)
def test_a_cell_is_read_as_ipython_runs_it_with_its_harmless_magics_taken_off(typed, runs):
    text = as_run(typed)
    assert not text.wrong
    assert same(text.code, runs)
    assert ast.dump(text.tree) == ast.dump(ast.parse(text.code))


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("!ls", "uses `!ls`"),
        ("files = !ls", "uses `!ls`"),
        ("%run answers.py", "uses `%run`"),
        ("%%bash\nls", "uses `%%bash`"),
        ("%%time\n!ls", "uses `!ls`"),
        ("x = %timeit -o 1", "timeit -o 1`"),
        ("def f(x, x):\n    return x", "is not Python: duplicate argument 'x'"),
        ("def f():\n    n += 1\n    global n", "is not Python: name 'n' is assigned to before global"),
        ("return 1", "is not Python: 'return' outside function"),
        ("def f(x:", "is not Python"),
        ("x = 1\0", "null byte"),
        ("x = " + 10_000 * "(", "Python"),
        (" " * (LONGEST + 1), "longer than"),
        ("x\n" * LINES, "longer than"),
        ("%time x\n" * (MAGICS + 1), "more than 30 magics"),
        ("x = %time y\n" * (MAGICS + 1), "more than 30 magics"),
        ("x = " + 500 * "lambda: " + "1", "nested too deeply"),
    ],
)
def test_what_cannot_be_read_does_not_run_and_is_told_why(typed, told):
    text = as_run(typed)
    assert told in text.wrong
    assert not text.code
    assert text.tree is None


@pytest.mark.parametrize("typed", ["0x" + 5000 * "f", " + ".join(400 * ["1"]), "1 " * 9_000, " " * 19_000 + "1"])
def test_a_long_cell_is_read_or_refused_and_nothing_else(typed):
    as_run("x = " + typed)


def test_a_right_answer_may_hold_a_number_of_five_thousand_digits():
    assert not as_run("seed = 0x" + 5000 * "f").wrong


def test_an_import_of_what_no_answer_may_use_is_taken_out_if_no_cell_uses_it():
    typed = "import os\nimport sys, math\nfrom shutil import copy as c; x = math.pi\ndef f():\n    import io\n"
    run, texts = as_run_all([("setup", "y = 1"), ("own-1", typed)])
    assert same(run[1][1], "pass\nimport math\npass; x = math.pi\ndef f():\n    pass")
    assert run[1][1] == texts["own-1"].code


def test_an_import_that_another_cell_uses_stays():
    run, _ = as_run_all([("own-1", "import os"), ("answer-99-1", "def f():\n    return os.sep")])
    assert run[0][1].strip() == "import os"


def test_given_cells_stay_as_they_are_and_unreadable_ones_do_not_run():
    run, texts = as_run_all([("setup", "import os"), ("own-1", "what is this thing"), ("answer-99-1", "x = 1")])
    assert [cell for cell, _ in run] == ["setup", "answer-99-1"]
    assert run[0] == ("setup", "import os")
    assert texts["own-1"].wrong
