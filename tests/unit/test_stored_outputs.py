"""What a chapter's stored outputs depend on, so that outputs which are out of date are noticed."""

import textwrap

import nbformat
import pytest

from cnnlib import reach
from cnnlib.notebooks import ROOT, dependencies, digest
from cnnlib.reach import bare_code

SHARED = ("playground/files.py", "playground/kernel.py")  # of the playgrounds


def notebook(*sources):
    nb = nbformat.v4.new_notebook()
    nb.cells = [nbformat.v4.new_code_cell(source, id=f"cell-{k}") for k, source in enumerate(sources)]
    return nb


def names(paths):
    return [path.relative_to(ROOT).as_posix() for path in paths]


LIBRARY = {
    "__init__.py": "",
    "tools.py": """
        from cnnlib import deep
        from cnnlib.deep import bottom as below

        SIZE = 3
        TABLE = {}
        TABLE["x"] = SIZE

        def used(x):
            return helper(x) + SIZE

        def helper(x):
            return below(x)

        def other(x):
            return deep.rest(x)

        def looked_up():
            return TABLE
        """,
    "deep.py": """
        def bottom(x):
            from cnnlib.late import late
            return late

        def rest(x):
            return 0

        check(1)
        def check(x):
            return x
        """,
    "late.py": "late = 1",
    "shown/__init__.py": "from cnnlib.shown.one import one",
    "shown/one.py": """
        def one(): return 1
        def two(): return 2
        """,
}


@pytest.fixture
def library(monkeypatch, tmp_path):
    for name, text in LIBRARY.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(textwrap.dedent(text))
    monkeypatch.setattr(reach, "PACKAGE", tmp_path)
    return tmp_path


def found(*sources):
    return {path.relative_to(reach.PACKAGE).as_posix(): sorted(names) for path, names in reach.reached(sources).items()}


USED = {"tools.py": ["used"], "deep.py": ["bottom"], "late.py": ["late"]}


@pytest.mark.parametrize(
    ("source", "want"),
    [
        ("from cnnlib.tools import used", USED),
        ("from cnnlib import tools\ntools.used(1)", USED),
        ("from cnnlib import tools as t\nt.used(1)", USED),
        ("def f():\n    from cnnlib.tools import used", USED),
        ("from cnnlib import tools", {}),
        ("from cnnlib import tools\nprint(tools)", {**USED, "tools.py": ["*"], "deep.py": ["bottom", "rest"]}),
        ("import cnnlib.late", {"late.py": ["*"]}),
        ("import cnnlib.late as late\nlate.late", {"late.py": ["late"]}),
        ("from cnnlib.shown import one\none()", {"shown/one.py": ["*"]}),
        ("from cnnlib import shown\nshown.one()", {"shown/one.py": ["*"]}),
        ("from cnnlib.late import late as x\nfrom cnnlib import tools as x", {"late.py": ["late"]}),
        ("import numpy as np\nfrom numpy.linalg import svd\nnp.array(1)", {}),
    ],
)
def test_of_cnnlib_only_what_the_code_reaches_counts(library, source, want):
    assert found(source) == want


def test_a_name_that_a_package_passes_on_counts_where_it_is_defined(library):
    (library / "shown" / "one.py").rename(library / "shown" / "first.py")
    (library / "shown" / "__init__.py").write_text("from cnnlib.shown.first import one, two")
    assert found("from cnnlib.shown import one") == {"shown/first.py": ["one"]}
    assert found("from cnnlib import shown\nprint(shown)") == {"shown/first.py": ["one", "two"]}


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("tools.py", "return helper(x)", "return 2 * helper(x)", True),
        ("tools.py", "return below(x)", "return 1 + below(x)", True),
        ("tools.py", "SIZE = 3", "SIZE = 4", True),
        ("tools.py", "return deep.rest(x)", "return 7", False),
        ("tools.py", "def looked_up", "def new(): pass\n\ndef looked_up", False),
        ("tools.py", "def used(x):", "@helper\ndef used(x):", True),
        ("deep.py", "return late", "return -late", True),
        ("deep.py", "return 0", "return 1", False),
        ("deep.py", "check(1)", "check(2)", True),
        ("deep.py", "return x", "return -x", True),
        ("late.py", "late = 1", "late = 2", True),
    ],
)
def test_outputs_are_stale_when_what_they_used_has_changed_and_only_then(library, file, old, new, stale):
    nb = notebook("from cnnlib import tools", "tools.used(1)")
    before = digest(nb)
    text = (library / file).read_text()
    assert old in text
    (library / file).write_text(text.replace(old, new))
    assert (digest(nb) != before) == stale


def test_an_entry_added_to_a_table_counts_where_the_table_is_used(library):
    nb = notebook("from cnnlib.tools import looked_up")
    before = digest(nb)
    text = (library / "tools.py").read_text()
    (library / "tools.py").write_text(text.replace('TABLE["x"] = SIZE', 'TABLE["y"] = SIZE'))
    assert digest(nb) != before


def test_a_notebook_depends_on_what_it_uses_and_on_the_records_it_names():
    nb = notebook("from cnnlib.playground import field_playground", "name = 'two_conv'")
    ours, others = dependencies(nb)
    assert names(sorted(ours)) == [f"cnnlib/{name}" for name in ("ops.py", "playground/field.py", *SHARED)]
    assert names(others) == ["runs/two_conv.json"]


def test_comments_and_docstrings_do_not_make_outputs_stale_and_code_does():
    code = '"""A module."""\n\n\ndef f(x):\n    """A function."""\n    return x + 1  # one more\n'
    assert bare_code(code) == bare_code(code.replace("one more", "the next").replace("A function", "Adds one"))
    assert bare_code(code) != bare_code(code.replace("x + 1", "x + 2"))


def test_a_changed_cell_or_tag_makes_outputs_stale():
    nb, other, tagged = notebook("x = 1"), notebook("x = 2"), notebook("x = 1")
    tagged.cells[0].metadata["tags"] = ["nbval-check-output"]
    assert len({digest(nb), digest(other), digest(tagged)}) == 3
