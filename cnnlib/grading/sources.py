"""Where the exercises are, what they ask, and what the cells of their notebooks are for.

The ids of a source's cells say what they are ("03-2" stands for question 03.2):
setup, setup-03-2: imports and given code; task-03-2: the text; answer-03-2: what the learner writes; check-03-2:
feedback, and the place of the sealed cell; hints-03-2: three hints, each in the one before; show-03-2: a demonstration,
not run when grading. words-11: Markdown that learners write and judge themselves; the grader never reads it.
Learners' kernels import this module: it loads nothing heavy.
"""

import ast
import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "exercises" / "solutions"
QUESTION_CELL = re.compile(r"(answer|check|setup|show|task|hints)-(\d\d-\d+)(-[a-z]+)?$")


class CannotGrade(Exception):
    """A file that cannot be graded at all: no notebook, no exercise of the course, nothing that says what is what."""


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook: what it is called, what kind it is, what it says, and whether it has nbgrader's mark."""

    id: str
    cell_type: str
    source: str
    marked: bool = True


def sources():
    """The paths of the source notebooks by exercise: {"02": ...}. Provided."""
    return {path.name[:2]: path for path in sorted(SOURCES.glob("[0-9][0-9]_*.ipynb"))}


def read_source(exercise):
    """The cells of a source, as a list of `Cell`. Provided."""
    cells = json.loads(sources()[exercise].read_text(encoding="utf-8"))["cells"]
    return [Cell(cell["id"], cell["cell_type"], "".join(cell["source"])) for cell in cells]


def questions(exercise):
    """The list of `Question` of an exercise, from cnnlib/grading/questions. Provided."""
    return importlib.import_module(f"cnnlib.grading.questions.ex{exercise}").QUESTIONS


def question_of(cell_id):
    """(role, question key) of a cell such as "answer-03-2", or (None, None). Provided."""
    match = QUESTION_CELL.match(cell_id)
    return (match[1], match[2]) if match else (None, None)


def runs(cell):
    """Whether a cell of a source is run when grading: setup and answers. Provided."""
    return cell.cell_type == "code" and (cell.id == "setup" or question_of(cell.id)[0] in ("setup", "answer"))


def given_code(cells, key):
    """The imports, functions and classes that the source gives for a question, as text.

    They run once more before its answer is called, so that nobody's own version of them decides. Provided.
    """
    given = [cell for cell in cells if cell.id == "setup" or question_of(cell.id) == ("setup", key)]
    nodes = [node for cell in given if cell.cell_type == "code" for node in ast.parse(cell.source).body]
    kept = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    return "\n".join(ast.unparse(node) for node in nodes if isinstance(node, kept))


def given_lines(cells, key):
    """The same, as a set of lines. Provided."""
    return frozenset(line.strip() for line in given_code(cells, key).splitlines())


def hints(cells, key):
    """The hints of a question as [(title, text), ...], from the source's hints cell. Provided."""
    for cell in cells:
        if cell.id == f"hints-{key}":
            found = re.findall(r"<summary>(.*?)</summary>(.*?)(?=<details>|</details>)", cell.source, re.DOTALL)
            return [(title.strip(), text.strip()) for title, text in found]
    return []
