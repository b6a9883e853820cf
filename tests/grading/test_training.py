"""Questions that train are scored on images whose labels are not in the kernel: a tiny exercise on stand-ins."""

import sys
import types

import nbformat
import numpy as np
import pytest

from cnnlib.data import load
from cnnlib.grading import grade as grading
from cnnlib.grading import notebook, sources
from cnnlib.grading.feedback import feedback, right_answers
from cnnlib.grading.question import Question, unlabeled

ANSWER = """
digits = load("mnist", "train")
means = np.array([digits.images[digits.labels == k].mean(axis=0) for k in range(10)])


def predict(x):
    return ((x[:, None] - means) ** 2).sum(axis=(2, 3)).argmin(axis=1)
"""
CELLS = [
    ("setup", "import numpy as np\nfrom cnnlib.data import load\nfrom cnnlib.grading import check"),
    ("answer-99-1", f"### BEGIN SOLUTION\n{ANSWER}### END SOLUTION"),
    ("check-99-1", 'check("99.1")'),
]
QUESTION = Question(
    id="99.1",
    kind="train",
    call="predict(x)",
    parts={"labels": 1, "half": 1, "nearly all": 1, "all": 1},
    draw=lambda rng, split="test": [unlabeled("mnist", 200, rng, split=split)],
    thresholds={"half": 0.999, "nearly all": 0.999, "all": 0.999},
    standin_thresholds={"half": 0.5, "nearly all": 0.8, "all": 1.0},
    seconds=20,
    needs=("mnist",),
)


@pytest.fixture
def exercise_99(tmp_path, monkeypatch):
    """An exercise of one question that trains, on the stand-in; a function that writes and grades a submission."""
    for name, value in (("CNNLIB_OFFLINE", "1"), ("XDG_CACHE_HOME", str(tmp_path)), ("HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    for name in ("CNNLIB_DATA", "CNNLIB_DATA_STRICT"):
        monkeypatch.delenv(name, raising=False)
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text, id=name) for name, text in CELLS])
    nbformat.write(notebook.stamp(nb, [QUESTION]), tmp_path / "99_tiny.ipynb")
    monkeypatch.setattr(sources, "SOURCES", tmp_path)
    monkeypatch.setitem(sys.modules, "cnnlib.grading.questions.ex99", types.SimpleNamespace(QUESTIONS=[QUESTION]))

    def grade(answer):
        nb = nbformat.read(tmp_path / "99_tiny.ipynb", 4)
        nb.cells[1].source = answer
        nbformat.write(nb, tmp_path / "mine.ipynb")
        return grading.grade(tmp_path / "mine.ipynb", seed=3)

    return grade


def test_a_trained_answer_is_scored_on_unlabeled_images(exercise_99):
    result = exercise_99(ANSWER)
    assert result.questions[0].score == 3
    assert "of 200 images it has not seen are right (stand-in" in result.questions[0].message
    assert "1 more from 100 %" in result.questions[0].message


def test_the_kernel_cannot_load_the_test_split(exercise_99):
    result = exercise_99(ANSWER.replace('"train"', '"test"'))
    assert result.questions[0].score == 0
    assert "RuntimeError" in result.questions[0].message


@pytest.mark.parametrize(
    ("answer", "points", "says"),
    [
        ("def predict(x):\n    return np.zeros(len(x), int)", 1, "1 more from 50 %"),
        ("def predict(x):\n    return np.zeros((len(x), 10))", 0, "one class index an image"),
        ("def predict(x):\n    return np.zeros(len(x))", 0, "one class index an image"),
        ("def predict(x):\n    return None", 0, "Got None"),
        ("def predict(x):\n    raise ValueError('no')", 0, "ValueError"),
        ("# Your code here", 0, "Not answered yet."),
    ],
)
def test_labels_of_the_wrong_form_or_kind_are_told_so(exercise_99, answer, points, says):
    score = grading.try_answers("99", {"answer-99-1": answer}, 3)[0]
    assert score.score == points
    assert says in score.message


def test_check_uses_images_of_the_training_set(exercise_99):
    right_answers.cache_clear()
    namespace = {"np": np, "load": load}
    exec(ANSWER, namespace)
    says = feedback("99.1", namespace, seed=1)
    assert "of the training set are right" in says
    assert "The score is decided on images of the test set." in says


def test_unlabeled_images_are_those_of_the_set_but_for_single_gray_levels(exercise_99):
    case = unlabeled("mnist", 50, np.random.default_rng(0))
    images = load("mnist", "test")
    gaps = np.abs(images.images[None].astype(int) - case.inputs["x"][:, None]).max(axis=(2, 3))
    assert gaps.min(axis=1).max() == 1
    assert (images.labels[gaps.argmin(axis=1)] == case.secret).all()
    assert case.source.startswith("stand-in")
