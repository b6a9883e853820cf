"""Schools that use nbgrader can: it takes the same source notebooks, and its scores are ours."""

import copy
import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from cnnlib.grading import sources
from cnnlib.grading.grade import try_answers
from cnnlib.grading.notebook import derive, read_submission

pytest.importorskip("nbgrader", reason="nbgrader is not installed (pip install 'cnnlib[teachers]')")

EXERCISES = sorted(sources.sources())
COURSES = {"02": True, "05": False}  # exercise: are nbgrader's extensions of Jupyter switched on?
CONFIG = """
c = get_config()
c.CourseDirectory.root = {root!r}
c.CourseDirectory.db_url = {database!r}
c.Execute.timeout = c.Execute.iopub_timeout = c.Execute.startup_timeout = 600  # a busy machine fails no test
"""
HALF = ("1", "3", "5")  # the questions that the half-right submission answers


def preprocessed(nb, *names):
    """A copy of a notebook after nbgrader's preprocessors of these names."""
    import nbgrader.preprocessors

    nb = copy.deepcopy(nb)
    for name in names:
        nb, _ = getattr(nbgrader.preprocessors, name)().preprocess(nb, {})
    return nb


@pytest.mark.parametrize("exercise", EXERCISES)
def test_nbgrader_accepts_the_metadata_of_source_and_learners_file(exercise):
    source = nbformat.read(sources.sources()[exercise], 4)
    preprocessed(source, "CheckCellMetadata")
    preprocessed(derive(source), "CheckCellMetadata")


@pytest.mark.parametrize("exercise", EXERCISES)
def test_nbgraders_release_holds_no_answer_and_the_same_cells(exercise):
    source = nbformat.read(sources.sources()[exercise], 4)
    release = preprocessed(source, "LockCells", "ClearSolutions", "ClearHiddenTests")
    text = nbformat.writes(release)
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    assert "Why this works" not in text
    ours = derive(source)
    assert [cell.id for cell in release.cells] == [cell.id for cell in ours.cells]
    for theirs, mine in zip(release.cells, ours.cells, strict=True):
        assert theirs.metadata.get("editable", True) == mine.metadata.get("editable", True)
        if mine.metadata["nbgrader"]["locked"]:
            assert theirs.source.strip() == mine.source.strip()


def test_nbgrader_scores_the_reference_full_and_its_own_release_zero(source_02):
    from nbgrader.utils import determine_grade, is_grade

    for nb, share in ((source_02, 1), (preprocessed(source_02, "ClearSolutions"), 0)):
        done = preprocessed(nb, "Execute")
        grades = [determine_grade(cell) for cell in done.cells if is_grade(cell)]
        assert sum(most for _, most in grades) == 10
        assert sum(score for score, _ in grades) == 10 * share


class Course:
    """A course folder of nbgrader, with one exercise in it, and nbgrader's own commands."""

    def __init__(self, folder, exercise, extensions):
        self.folder, self.exercise, self.name = folder, exercise, sources.sources()[exercise].name
        self.database = f"sqlite:///{folder / 'gradebook.db'}"
        (folder / "nbgrader_config.py").write_text(CONFIG.format(root=str(folder), database=self.database))
        settings = folder / "jupyter"
        settings.mkdir()
        (settings / "jupyter_server_config.json").write_text(
            json.dumps({"ServerApp": {"jpserver_extensions": {"nbgrader": extensions}}})
        )
        paths = {
            "PATH": [os.path.dirname(sys.executable)],
            "PYTHONPATH": [str(sources.ROOT)],
        }  # it calls alembic by name
        joined = {name: os.pathsep.join([*first, os.environ.get(name, "")]) for name, first in paths.items()}
        self.environment = os.environ | joined | {"JUPYTER_CONFIG_DIR": str(settings)}

    def path(self, *parts):
        """The exercise's notebook in a folder of the course, which is made."""
        folder = self.folder.joinpath(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / self.name

    def nbgrader(self, *arguments):
        """Run a command of nbgrader in the course; returns what it said."""
        command = [sys.executable, "-m", "nbgrader", *map(str, arguments)]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=1800
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def submit(self, student, answered):
        """Hand in nbgrader's release, with the source's answers to the questions of these numbers."""
        nb = nbformat.read(self.path("release", self.exercise), 4)
        answers = {cell.id: cell.source for cell in sources.read_source(self.exercise)}
        for cell in nb.cells:
            role, key = sources.question_of(cell.id)
            if role == "answer" and key.split("-")[1] in answered:
                cell.source = answers[cell.id]
        nbformat.write(nb, self.path("submitted", student, self.exercise))

    def theirs(self, student):
        """{question id: points} that nbgrader gave."""
        from nbgrader.api import Gradebook

        with Gradebook(self.database) as book:
            graded = book.find_submission_notebook(self.name.removesuffix(".ipynb"), self.exercise, student)
            return {g.name.removeprefix("check-").replace("-", "."): g.score for g in graded.grades}

    def ours(self, student):
        """{question id: points} that we give to the same file."""
        cells = {cell.id: cell.source for cell in read_submission(self.path("submitted", student, self.exercise))}
        return {score.id: score.score for score in try_answers(self.exercise, cells, seed=1)}


@pytest.fixture(scope="module", params=COURSES)
def course(request, tmp_path_factory):
    """A course whose three students' work nbgrader has graded: all answered, every second question, none."""
    made = Course(tmp_path_factory.mktemp("course"), request.param, COURSES[request.param])
    shutil.copy(sources.sources()[request.param], made.path("source", request.param))
    made.nbgrader("generate_assignment", request.param)
    for student, answered in (("reference", "123456789"), ("half", HALF), ("empty", "")):
        made.submit(student, answered)
    made.nbgrader("autograde", request.param)
    return made


def test_nbgrader_validates_the_release_with_answers_and_not_without(course):
    assert "Success" in course.nbgrader("validate", course.path("autograded", "reference", course.exercise))
    assert "FAILED" in course.nbgrader("validate", course.path("autograded", "empty", course.exercise))


@pytest.mark.parametrize("student", ["reference", "half", "empty"])
def test_nbgrader_gives_each_question_the_points_that_we_give(course, student):
    theirs = course.theirs(student)
    print(f"{course.exercise} {student}: {theirs}")
    assert theirs == course.ours(student)
    right = {name: score for name, score in theirs.items() if score}
    asked = [question.id for question in sources.questions(course.exercise)]
    assert list(right) == {"reference": asked, "half": [id for id in asked if id[-1] in HALF], "empty": []}[student]
