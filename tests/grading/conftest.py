"""What the grading tests share: learners' notebooks, written in a line."""

import dataclasses
import json

import nbformat
import pytest

from cnnlib.grading import grade as grading
from cnnlib.grading import sources
from cnnlib.grading.notebook import derive

SEED = 7


@pytest.fixture(scope="session")
def source_02():
    """The source of exercise 02 as a notebook."""
    return nbformat.read(sources.sources()["02"], 4)


@pytest.fixture(scope="session")
def ready_02():
    """A cache with exercise 02 ready for one seed, its reference run once, five seconds a question."""
    exercise = grading.prepare("02", SEED)
    exercise.asked = [dataclasses.replace(question, seconds=5) for question in exercise.asked]
    return {"02": grading.add_reference(exercise)}


@pytest.fixture(scope="session")
def submit(source_02):
    """A function that writes a submission to exercise 02: right, but for what is replaced, added or left out."""

    def write(path, answers=None, own=(), without=(), untouched=False):
        nb = derive(source_02) if untouched else nbformat.from_dict(json.loads(json.dumps(source_02)))
        for cell in nb.cells:
            cell.source = (answers or {}).get(cell.id, cell.source)
        nb.cells = [cell for cell in nb.cells if cell.id not in without]
        for after, text in own:
            at = next(i for i, cell in enumerate(nb.cells) if cell.id == after)
            nb.cells.insert(at + 1, nbformat.v4.new_code_cell(text))
        nbformat.write(nb, path)
        return path

    return write


@pytest.fixture(scope="session")
def points():
    """A function that makes {question id: points} of a result."""
    return lambda result: {question.id: question.score for question in result.questions}
