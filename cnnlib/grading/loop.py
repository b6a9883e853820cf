"""The learner's loop in a terminal: the course as a map, the next question, a check whenever the notebook is saved.

python -m cnnlib next starts it.
"""

import contextlib
import json
import os
import queue
import re
import sys
import threading
import time
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cnnlib.grading import report, sources
from cnnlib.grading.compare import NOT_YET
from cnnlib.grading.grade import grade
from cnnlib.grading.notebook import read_submission
from cnnlib.grading.page import title

KEYS = "Save the notebook, and it is looked at again. Type h for a hint, s for another question, q to stop; then Enter."
MATRIX = re.compile(r"\$\$\\begin\{pmatrix\}(.*?)\\end\{pmatrix\}\$\$", re.DOTALL)
OWN_LINE = re.compile(r"\s|[#>|*+-]|\d+\.|$")  # a heading, an item of a list, a row of a table: no line of running text
SOLVED = re.compile(r"### BEGIN SOLUTION\n(.*?)[ \t]*### END SOLUTION", re.DOTALL)


def data_dir():
    """The folder in which a learner's progress is kept: cnnlib in the user's data folder. It need not exist yet.

    XDG_DATA_HOME names the data folder on every system, LOCALAPPDATA on Windows. Provided.
    """
    usual = "~/Library/Application Support" if sys.platform == "darwin" else "~/.local/share"
    local = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else None
    folder = os.environ.get("XDG_DATA_HOME") or local or usual
    return Path(folder).expanduser() / "cnnlib"


class Progress:
    """The most points that each question has got so far, kept in a file."""

    def __init__(self, path=None):
        self.path, self.points = path or data_dir() / "progress.json", {}
        with contextlib.suppress(OSError, ValueError, AttributeError):
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            self.points = {str(name): float(got) for name, got in kept.items()}

    def note(self, name, points):
        """Keep the points of a question if they are more than before; the file is whole at every moment. Provided."""
        if points <= self.points.get(name, -1):
            return
        self.points[name] = points
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(self.points, indent=1) + "\n", encoding="utf-8")
        new.replace(self.path)

    def solved(self, question):
        """Whether a question has all its points. Provided."""
        return self.points.get(question.id, 0) >= question.points


def show_map(console, progress):
    """Print the chapters that have exercises, with the points so far. Provided."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Chapter", "Points", "Questions"):
        grid.add_column(heading, no_wrap=heading != "Chapter")
    for exercise in sources.sources():
        asked = sources.questions(exercise)
        got, most = sum(progress.points.get(q.id, 0) for q in asked), sum(q.points for q in asked)
        marks = " ".join(f"{q.id[3:]}{'*' if progress.solved(q) else '.'}" for q in asked)
        grid.add_row(f"{exercise} {title(exercise)}", f"{report.points(got)} of {report.points(most)}", marks)
    console.print(grid)


def next_question(progress, exercise=None, skipped=()):
    """The first question that is not solved, of one exercise or of all; None if there is none. Provided."""
    names = [exercise] if exercise else list(sources.sources())
    asked = [question for name in names for question in sources.questions(name)]
    return next((q for q in asked if not progress.solved(q) and q.id not in skipped), None)


def notebook_of(question):
    """The learner's notebook that holds a question. Provided."""
    source = sources.sources()[question.id[:2]]
    return source.parents[1] / source.name


def for_terminal(markdown):
    """Markdown as a terminal shows it best: a paragraph is one line, code and matrices are indented. Provided."""
    lines, code = [""], False
    for line in MATRIX.sub(rows, markdown).splitlines():
        if line.startswith("```"):
            code = not code
        elif code:
            lines.append(f"    {line}")
        elif OWN_LINE.match(line) or OWN_LINE.match(lines[-1]):
            lines.append(line)
        else:
            lines[-1] += f" {line}"
    return "\n".join(lines[1:])


def rows(found):
    """The rows of a matrix in LaTeX, one below the other. Provided."""
    entries = [[entry.strip() for entry in row.split("&")] for row in found[1].split(r"\\")]
    return "\n".join("    " + "".join(f"{entry:>4}" for entry in row) for row in entries)


def show_task(console, question):
    """Print a question's task, and where its answer goes. Provided."""
    cells = sources.read_source(question.id[:2])
    task = next(cell.source for cell in cells if cell.id == f"task-{question.key}")
    console.print(Text(for_terminal(task)))
    path = notebook_of(question)
    console.print(Text(f"\nWrite your answer in {path}, for example with\n  jupyter lab {path}\n{KEYS}\n"))


def show_hint(console, question, number):
    """Print a question's hint by its number, from 0. Provided."""
    known = sources.hints(sources.read_source(question.id[:2]), question.key)
    heading, text = known[min(number, len(known) - 1)]
    console.print(Text(f"{heading}\n{for_terminal(text)}\n"))


def show_reference(console, question):
    """Print the source's answer, with why it works, beside the learner's. Provided."""
    name = f"answer-{question.key}"
    ours = "\n".join(cell.source for cell in sources.read_source(question.id[:2]) if cell.id == name)
    ours = "\n".join(SOLVED.findall(ours))
    theirs = "\n".join(cell.source for cell in read_submission(notebook_of(question)) if cell.id == name)
    if console.width < 120:
        console.print(Text(f"Your answer:\n{theirs}\n\nOne that works, and why:\n{ours}\n"))
        return
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("Your answer")
    grid.add_column("One that works, and why")
    grid.add_row(Text(theirs), Text(ours))
    console.print(grid)


def check(question):
    """The Score of one question in the learner's notebook, or a text that says why it could not be graded. Provided."""
    result = grade(notebook_of(question), only=question.id)
    return result.error or result.questions[0]


def typed():
    """A function that gives the next line that was typed, "" if there is none yet, None once there will be no more.

    Provided.
    """
    lines = queue.Queue()

    def listen():
        for line in sys.stdin:
            lines.put(line.strip().lower()[:1])
        lines.put(None)

    threading.Thread(target=listen, daemon=True).start()
    return lambda: lines.get() if not lines.empty() else ""


def saved(path):
    """What changes when a file is saved. Provided."""
    with contextlib.suppress(OSError):
        state = path.stat()
        return state.st_mtime_ns, state.st_size


def work_on(question, progress, console, key, look=check, wait=0.5):
    """Stay with a question until it is solved ("solved"), put off ("s") or the learner stops ("q"). Provided."""
    show_task(console, question)
    seen, hint = None, 0
    while True:
        now = saved(notebook_of(question))
        if now != seen:
            seen, score = now, look(question)
            if isinstance(score, str):
                console.print(Text(report.shown(score)))
            elif score.message != NOT_YET:
                progress.note(question.id, score.score)
                console.print(Text(report.shown(f"{question.id}: {report.score_of(score)} points. {score.message}\n")))
            if progress.solved(question):
                show_reference(console, question)
                return "solved"
        line = key()
        if line is None:
            return "q"
        if line == "h":
            show_hint(console, question, hint)
            hint += 1
        elif line in ("s", "q"):
            return line
        elif not line:
            time.sleep(wait)


def learn(exercise=None, progress=None, console=None, key=None, look=check, wait=0.5):
    """Go from question to question; returns the exit code. Ctrl-C stops, and nothing is left half-written. Provided."""
    console, progress, skipped = console or Console(), progress or Progress(), set()
    key = key or typed()
    try:
        while True:
            show_map(console, progress)
            question = next_question(progress, exercise, skipped)
            if question is None:
                console.print("Nothing is left to do here." if not skipped else "What is left was put off.")
                return 0
            how = work_on(question, progress, console, key, look, wait)
            if how == "q":
                break
            if how == "s":
                skipped.add(question.id)
    except KeyboardInterrupt:
        pass
    console.print("Until next time: python -m cnnlib next goes on from here.")
    return 0
