"""The notebooks of an exercise: the learner's file derived from the source, and a submission merged with the source."""

import codecs
import copy
import json
import re
from collections import Counter
from pathlib import Path

import nbformat

from cnnlib.grading.cells import MOST
from cnnlib.grading.sources import CannotGrade, Cell, question_of, questions, runs, sources

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION[ \t]*\n?", re.DOTALL | re.MULTILINE)
HIDDEN = re.compile(r"^[ \t]*### BEGIN HIDDEN TESTS\n.*?^[ \t]*### END HIDDEN TESTS[ \t]*\n?", re.DOTALL | re.MULTILINE)
LIMIT = 20_000_000  # bytes of a submission


def stamp(nb, asked):
    """Write nbgrader's metadata into a source, from its cells' ids and the questions' points; drop outputs.

    Provided.
    """
    points = {f"check-{question.key}": question.points for question in asked}
    for cell in nb.cells:
        answer, graded = question_of(cell.id)[0] == "answer", cell.id in points
        locked = not answer and not cell.id.startswith("words-")
        mark = {"grade": graded, "grade_id": cell.id, "locked": locked, "schema_version": 3}
        mark |= {"solution": answer, "task": False} | ({"points": points[cell.id]} if graded else {})
        cell.metadata["nbgrader"] = mark
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nb


def derive(source):
    """The learner's notebook: solutions replaced by stubs, hidden tests dropped, locked cells marked so. Provided."""
    nb = copy.deepcopy(source)
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.source = without_answers(cell.source)
        locked = cell.metadata["nbgrader"]["locked"]
        cell.metadata |= {"deletable": False} | ({"editable": False} if locked else {})
    return nb


def without_answers(text):
    """A code cell as the learner gets it. Provided."""

    def stub(match):
        if match[1]:
            return f"{match[1]}raise NotImplementedError  # your code here\n"
        return "" if "= ..." in text else "# Your code here\n"

    return HIDDEN.sub("", SOLUTION.sub(stub, text + "\n")).strip("\n")


def update(exercise, path, learner_path, check=False):
    """Stamp a source and derive the learner's file; returns the paths that were out of step. Provided."""
    source = stamp(nbformat.read(path, 4), questions(exercise))
    stale = []
    for nb, target in ((source, path), (derive(source), learner_path)):
        text = nbformat.writes(nb) + "\n"
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            stale.append(target)
            if not check:
                target.write_text(text, encoding="utf-8", newline="\n")
    return stale


def read_submission(path):
    """A learner's notebook as a list of `Cell`, ids from nbgrader's marks, or from the cells' own where these are gone.

    Raises CannotGrade, with the reason in a sentence, if it is no notebook. Provided.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise CannotGrade("there is no such file." if not path.exists() else "it is not a file.")
        if path.stat().st_size > LIMIT:
            raise CannotGrade(f"the file is larger than {LIMIT // 1_000_000} MB: clear its outputs and try again.")
        nb = json.loads(text_of(path.read_bytes()))
        if nb["nbformat"] != 4:
            raise CannotGrade(f"it is a notebook of format {nb['nbformat']}: open it in JupyterLab and save it again.")
        return [submitted(cell) for cell in nb["cells"]]
    except CannotGrade:
        raise
    except OSError as error:
        raise CannotGrade(f"it cannot be read: {error.strerror}.") from None
    except Exception as error:
        reason = f"it is not a notebook that can be read ({type(error).__name__})"
        raise CannotGrade(f"{reason}: open it in JupyterLab and save it again.") from None


def text_of(data):
    """The text of a file, in UTF-8 or UTF-16, with or without a byte-order mark. Provided."""
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if wide else "utf-8-sig")


def submitted(cell):
    """A learner's cell as a `Cell`. Provided."""
    mark, text = cell["metadata"].get("nbgrader", {}).get("grade_id", ""), "".join(cell["source"])
    text.encode()  # raises for what no file can hold
    return Cell(str(mark or cell.get("id", "")), str(cell["cell_type"]), text, marked=bool(mark))


def recognize(cells, name):
    """Which exercise a submission answers: the one most of its cells come from, else the number its name starts with.

    Raises CannotGrade if it is none of the course's, or if nothing in it says which cell answers which question.
    Provided.
    """
    count = Counter(key[:2] for cell in cells if (key := question_of(cell.id)[1]))
    found = count.most_common(1)[0][0] if count else name[:2]
    if found not in sources():
        raise CannotGrade("it is no exercise of this course: neither its cells nor its name say which.")
    if not count:
        raise CannotGrade(
            "the marks that say which cell answers which question are gone (some cleaners of notebooks take them): "
            f"copy the answers into a fresh copy of exercise {found}."
        )
    return found


def remarks(source, cells):
    """What is to be said of a submission's cells: marks that are gone, answers in parts. Provided."""
    known = {cell.id for cell in source}
    notes = []
    if bare := [cell.id for cell in cells if cell.id in known and not cell.marked]:
        many = f"{len(bare)} cells have" if len(bare) > 1 else f"The cell {bare[0]} has"
        notes.append(f"{many} lost the marks of the course: recognized by the cells' ids instead.")
    count = Counter(cell.id for cell in cells if question_of(cell.id)[0] == "answer" and cell.id in known)
    for name in [name for name, n in count.items() if n > 1]:
        notes.append(f"The cell {name} is there {count[name]} times (split or copied): read as one, in order.")
    if sum(cell.id not in known and cell.cell_type == "code" for cell in cells) > MOST:
        notes.append(f"There are more than {MOST} cells of your own: the rest was left out.")
    return notes


def merge(source, cells):
    """A submission merged with the source, as nbgrader does: what is to be run, a list of (cell id, text).

    source, cells: lists of `Cell`. Given cells come from the source, in its order; the answers and the learner's own
    cells from the submission, own cells after the cell they followed (called own-1, own-2, ...). An answer that was
    split or copied is joined, in order. A missing answer is left out, and so is what is not run when grading: texts and
    demonstrations. Provided.
    """
    known = {cell.id for cell in source}
    own = own_cells(known, cells)
    merged = list(own.get("", []))
    for cell in source:
        role = question_of(cell.id)[0]
        if role == "check" or (runs(cell) and role != "answer"):
            merged.append((cell.id, without_answers(cell.source)))
        elif role == "answer" and (parts := [c.source for c in cells if c.id == cell.id and c.cell_type == "code"]):
            merged.append((cell.id, joined(parts, without_answers(cell.source))))
        merged += own.get(cell.id, [])
    return merged


def joined(parts, stub):
    """The parts of an answer as one text: each once, and not as it was handed out if there is another. Provided."""
    parts = [part for part in dict.fromkeys(parts) if part.strip() != stub.strip()] or parts[:1]
    return "\n".join(parts)


def own_cells(known, cells):
    """The learner's own code cells by the known cell that they follow: {cell id: [(own-1, text), ...]}.

    Of more than MOST the rest is left out.
    Provided.
    """
    own, anchor, number = {}, "", 0
    for cell in cells:
        if cell.id in known:
            anchor = cell.id
        elif cell.cell_type == "code" and cell.source.strip() and number < MOST:
            number += 1
            own.setdefault(anchor, []).append((f"own-{number}", cell.source))
    return own
