"""What a chapter's stored outputs depend on, so that outputs which are out of date are noticed."""

import nbformat
import pytest

from cnnlib.notebooks import PACKAGE, bare_code, dependencies, digest, files_of


def notebook(*sources):
    nb = nbformat.v4.new_notebook()
    nb.cells = [nbformat.v4.new_code_cell(source, id=f"cell-{k}") for k, source in enumerate(sources)]
    return nb


def names(paths):
    return [path.relative_to(PACKAGE.parent).as_posix() for path in paths]


@pytest.mark.parametrize(
    ("module", "name", "want"),
    [
        ("cnnlib.ops", None, ["cnnlib/ops.py"]),
        ("cnnlib.ops", "conv2d", ["cnnlib/ops.py"]),
        ("cnnlib", "ops", ["cnnlib/ops.py"]),
        ("cnnlib.playground", "field_playground", ["cnnlib/playground/field.py"]),
        ("cnnlib.playground.files", "module", ["cnnlib/playground/files.py"]),
        ("numpy", None, []),
        ("numpy.linalg", "svd", []),
    ],
)
def test_an_import_counts_as_the_file_its_name_comes_from(module, name, want):
    assert names(files_of(module, name)) == want


def test_a_package_imported_whole_counts_whole():
    whole = names(files_of("cnnlib", "playground"))
    assert whole == sorted(f"cnnlib/playground/{path.name}" for path in (PACKAGE / "playground").glob("*.py"))
    assert len(whole) > 3


def test_a_notebook_depends_on_what_its_modules_import_and_on_the_records_it_names():
    nb = notebook("from cnnlib.playground import field_playground", "name = 'two_conv'")
    ours = ["ops.py", "playground/field.py", "playground/files.py", "playground/kernel.py"]
    assert names(dependencies(nb)) == [*(f"cnnlib/{name}" for name in ours), "runs/two_conv.json"]


def test_comments_and_docstrings_do_not_make_outputs_stale_and_code_does():
    code = '"""A module."""\n\n\ndef f(x):\n    """A function."""\n    return x + 1  # one more\n'
    assert bare_code(code) == bare_code(code.replace("one more", "the next").replace("A function", "Adds one"))
    assert bare_code(code) != bare_code(code.replace("x + 1", "x + 2"))


def test_a_changed_cell_or_tag_makes_outputs_stale():
    nb, other, tagged = notebook("x = 1"), notebook("x = 2"), notebook("x = 1")
    tagged.cells[0].metadata["tags"] = ["nbval-check-output"]
    assert len({digest(nb), digest(other), digest(tagged)}) == 3
