"""A milestone runs with the reader's own functions, told as theirs, and its check finds a wrong one."""

import ast
from pathlib import Path

import nbformat
import pytest

from cnnlib.notebooks import code_cells

FOLDER = Path(__file__).resolve().parents[2] / "chapters"
CONV = {"03_convolution_in_full": ("conv2d",)}
OWN = {  # milestone: its functions by the chapter that builds them, and a slip in the last chapter
    "1989": (
        CONV | {"05_gradients": ("conv2d_backward",)},
        ("down = slice(i * d, i * d + s * h, s)", "down = slice(i * d, i * d + h)"),
    ),
    "1998": (
        CONV | {"04_pooling": ("avg_pool2d",), "05_gradients": ("conv2d_backward", "avg_pool2d_backward")},
        ("share = dy.reshape(len(cols), 1, -1) / cols.shape[1]", "share = dy.reshape(len(cols), 1, -1)"),
    ),
    "2012": (
        {"08_two_convolutions": ("train_epoch", "evaluate")},
        ("model.eval()", "pass"),
    ),
    "2015": (
        {"13_resnet": ("BasicBlock",)},
        ("F.relu(out if self.plain else out + self.shortcut(x))", "F.relu(out)"),
    ),
}
milestones = pytest.mark.parametrize("year", OWN)


def cells(name):
    return {cell.id: cell for cell in code_cells(nbformat.read(FOLDER / f"{name}.ipynb", as_version=4))}


def definitions(name):
    """The imports, functions and classes of a chapter, as text."""
    found = []
    for cell in cells(name).values():
        tags = cell.metadata.get("tags", [])
        for node in [] if {"compare", "raises-exception"} & set(tags) else ast.parse(cell.source).body:
            if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef) or (
                isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("partial(")
            ):
                found.append(ast.get_source_segment(cell.source, node))
    return "\n\n\n".join(found)


def built(chapter, names, slip=None):
    """The functions that a chapter builds, as if the reader had written them, with a slip or without."""
    text, space = definitions(chapter), {"__name__": "__main__"}
    assert slip is None or slip[0] in text
    exec(text.replace(*slip) if slip else text, space)
    return {name: space[name] for name in names}


def check(year, yours):
    """Run a milestone up to its check, with the reader's functions in their place."""
    mine, space = cells(f"milestone_{year}"), {"__name__": "__main__"}
    exec(mine["imports"].source, space)
    exec(mine["yours"].source, space)
    space |= yours
    exec(mine["check"].source, space)


def told(capsys):
    """{name: whose} as the check printed it."""
    pairs = [line.split(": ") for line in capsys.readouterr().out.splitlines()]
    return {name: whose for name, whose in pairs if whose == "yours" or whose.startswith("from ")}


def names(year):
    return {name for part in OWN[year][0].values() for name in part}


@milestones
def test_an_empty_place_leaves_the_work_to_the_library(year, capsys):
    check(year, {})
    found = told(capsys)
    assert set(found) == names(year)
    assert all(whose.startswith("from cnnlib.") for whose in found.values())


@milestones
def test_what_the_chapters_build_is_used_and_told_as_the_readers(year, capsys):
    parts = [built(chapter, part) for chapter, part in OWN[year][0].items()]
    check(year, {name: thing for part in parts for name, thing in part.items()})
    assert told(capsys) == dict.fromkeys(names(year), "yours")


@milestones
def test_a_slip_is_found(year):
    chapter, part = list(OWN[year][0].items())[-1]
    with pytest.raises((AssertionError, ValueError)):
        check(year, built(chapter, part, OWN[year][1]))
