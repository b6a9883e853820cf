"""Quizzes in the page: a code cell `quiz("02")` becomes the quiz itself, with its answers folded at the end."""

import re
from html import unescape
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from cnnlib.quiz import QuizError, as_page, parse, shuffled

LOGGER = logging.getLogger(__name__)
SOURCES = Path(__file__).resolve().parents[1] / "cnnlib"
CALL = re.compile(r"""quiz\((["'])(.+)\1\)""")
FORMULA = re.compile(r'<span class="math">\\\((.*?)\\\)</span>')


class Quizzes(SphinxTransform):
    """Put the quiz in the place of the cell that calls it, whatever output the cell has stored."""

    default_priority = 400

    def run(self):
        pass

    def apply(self, **kwargs):
        cells = [cell for cell in self.document.findall(nodes.container) if cell.get("nb_element") == "cell_code"]
        for cell in cells:
            if found := CALL.fullmatch(next((code.astext().strip() for code in cell.findall(nodes.literal_block)), "")):
                cell.parent.replace(cell, self.quiz(found[2], cell))

    def quiz(self, name, cell):
        """The nodes of a quiz; none, and a warning with the line of its YAML, if it cannot be read."""
        path = Path(self.env.srcdir) / "chapters" / "quizzes" / f"{name}.yml"
        for file in (path, *path.parent.glob(f"{name}_*")):
            self.env.note_dependency(str(file))
        try:
            page = as_page(name, shuffled(name, parse(path.read_text(encoding="utf-8"), path.parent)))
        except QuizError as error:
            LOGGER.warning("quiz: %s", error, location=f"{path}:{error.line}")
            return []
        except FileNotFoundError:
            LOGGER.warning("quiz: there is no chapters/quizzes/%s.yml", name, location=cell)
            return []
        return [nodes.container("", *with_formulas(page), classes=["quiz-block"])]


def with_formulas(html):
    """HTML -> raw nodes, with a math node for each formula, so that the page knows that it needs MathJax."""
    parts = FORMULA.split(html)
    for place, part in enumerate(parts):
        yield nodes.math("", unescape(part)) if place % 2 else nodes.raw("", part, format="html")


def write_files(app):
    """Write the style, and the script that makes the quizzes of a page alive: a page from a file loads no modules."""
    folder = Path(app.outdir) / "_static"
    folder.mkdir(parents=True, exist_ok=True)
    body = re.sub(r"^export .*\n", "", (SOURCES / "quiz.js").read_text(encoding="utf-8"), flags=re.MULTILINE)
    script = f'(() => {{\n"use strict";\n{body}\ndocument.querySelectorAll(".quiz").forEach(start);\n}})();\n'
    (folder / "quiz.js").write_text(script, encoding="utf-8")
    (folder / "quiz.css").write_text((SOURCES / "quiz.css").read_text(encoding="utf-8"), encoding="utf-8")


def setup(app):
    app.add_transform(Quizzes)
    app.connect("builder-inited", write_files)
    app.add_css_file("quiz.css")
    app.add_js_file("quiz.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
