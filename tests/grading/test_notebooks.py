"""The source notebooks, the files derived from them, and the merge."""

import os
import re

import nbformat
import pytest

from cnnlib.grading import sources
from cnnlib.grading.command import exercises
from cnnlib.grading.compare import NOT_YET, judge
from cnnlib.grading.grade import prepare, try_answers
from cnnlib.grading.notebook import (
    derive,
    merge,
    read_submission,
    recognize,
    remarks,
    update,
    without_answers,
)
from cnnlib.grading.rules import check_rules
from cnnlib.grading.sealed import encode, forms, payload
from cnnlib.grading.sources import CannotGrade, Cell, question_of

EXERCISES = sorted(sources.sources())


def source(exercise):
    """The source of an exercise as a notebook."""
    return nbformat.read(sources.sources()[exercise], 4)


def learner(exercise):
    """The learner's file of an exercise."""
    path = sources.sources()[exercise]
    return path.parents[1] / path.name


def test_every_learners_file_is_in_step_with_its_source(capsys):
    assert exercises(check=True) == 0, capsys.readouterr().out


def test_a_changed_source_is_noticed(tmp_path, source_02):
    path, out = tmp_path / "02_source.ipynb", tmp_path / "02_learner.ipynb"
    nbformat.write(source_02, path)
    update("02", path, out)
    assert update("02", path, out, check=True) == []
    nb = nbformat.read(path, 4)
    nb.cells[0].source += "\nMore."
    nbformat.write(nb, path)
    assert update("02", path, out, check=True) == [path, out] or update("02", path, out, check=True) == [out]


@pytest.mark.parametrize("exercise", EXERCISES)
def test_an_exercise_has_three_to_five_questions_and_ten_points(exercise):
    asked = sources.questions(exercise)
    assert 3 <= len(asked) <= 5
    assert sum(question.points for question in asked) == 10
    assert [question.id for question in asked] == [f"{exercise}.{k}" for k in range(1, len(asked) + 1)]
    assert {question.kind for question in asked} <= {"predict", "complete", "explore", "train"}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_question_has_its_cells_and_three_hints(exercise):
    cells = sources.read_source(exercise)
    ids = [cell.id for cell in cells]
    assert len(set(ids)) == len(ids)
    assert ids.index("setup") == next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    for question in sources.questions(exercise):
        own = [cell for cell in cells if question_of(cell.id)[1] == question.key]
        roles = [question_of(cell.id)[0] for cell in own]
        assert [role for role in roles if role not in ("setup", "show")][:1] == ["task"]
        assert {"task", "answer", "check", "hints"} <= set(roles)
        assert len(sources.hints(cells, question.key)) == 3
        task = next(cell for cell in own if cell.id == f"task-{question.key}")
        assert re.match(rf"## Exercise {re.escape(question.id)}: \S", task.source)
        assert re.search(rf"\*Level [123] of 3, \d+ minutes, {question.points:g} points?\.\*", task.source)
        check = next(cell for cell in own if cell.id == f"check-{question.key}")
        assert check.source.startswith(f'check("{question.id}")')
        assert "### BEGIN HIDDEN TESTS" in check.source
        answers = [cell.source for cell in own if question_of(cell.id)[0] == "answer"]
        assert all("### BEGIN SOLUTION" in text for text in answers)
        assert any("Why this works" in text for text in answers)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_learners_file_holds_no_answer(exercise):
    text = learner(exercise).read_text(encoding="utf-8")
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    assert "Why this works" not in text
    nb = nbformat.read(learner(exercise), 4)
    nbformat.validate(nb)
    for cell in nb.cells:
        mark = cell.metadata["nbgrader"]
        assert mark["grade_id"] == cell.id
        assert mark["schema_version"] == 3
        assert cell.metadata.get("editable", True) != mark["locked"]
        assert not cell.get("outputs")


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_sources_own_answers_get_full_points_and_keep_the_rules(exercise):
    if any(question.kind == "train" for question in sources.questions(exercise)):
        ready = prepare(exercise, 1)
        inputs = {name: {key for case in cases for key in case.inputs} for name, cases in ready.cases.items()}
        assert check_rules(merge(ready.source, ready.source), ready.asked, inputs) == ({}, {})
        return
    for seed in (1, 2):
        assert [(s.score, s.message) for s in try_answers(exercise, {}, seed) if s.score < s.max_score] == []


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_untouched_file_gets_nothing(exercise):
    assert {score.message for score in try_answers(exercise, None, 1)} == {NOT_YET}
    assert {score.score for score in try_answers(exercise, None, 1)} == {0}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_dots_of_a_stub_are_not_answered_yet_in_the_learners_kernel(exercise):
    cells = sources.read_source(exercise)
    stubs = {question_of(cell.id)[1]: without_answers(cell.source) for cell in cells if cell.id.startswith("answer-")}
    for question in sources.questions(exercise):
        if "= ..." in stubs[question.key]:
            names, given, cases = {}, sources.given_code(cells, question.key), question.cases(1)
            exec(f"{given}\n{stubs[question.key]}", names)
            got = payload(names, forms(question, cases), given)
            nothing = {"cases": [{"output": encode(None)}] * len(cases)}
            assert judge(question, cases, got, nothing) == (0, NOT_YET, "nothing"), question.id


@pytest.mark.parametrize("exercise", EXERCISES)
def test_one_seed_draws_the_same_cases_and_another_seed_others(exercise):
    for question in sources.questions(exercise):
        first, again, other = (str(question.cases(seed)) for seed in (1, 1, 2))
        assert first == again
        if question.cases(1)[0].inputs and question.kind != "train":
            assert first != other


SOURCE = [
    Cell("setup", "code", "import numpy as np"),
    Cell("answer-99-1", "code", "def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION"),
    Cell("check-99-1", "code", 'check("99.1")\n### BEGIN HIDDEN TESTS\nassert f() == 1\n### END HIDDEN TESTS'),
    Cell("hints-99-1", "markdown", ""),
    Cell("answer-99-2", "code", "x = ...\n### BEGIN SOLUTION\nx = 2\n### END SOLUTION"),
    Cell("check-99-2", "code", 'check("99.2")'),
    Cell("show-99-2", "code", "plot(x)"),
]


def test_merge_takes_given_cells_from_the_source_and_puts_deleted_ones_back():
    mine = [
        Cell("setup", "code", "hacked"),
        Cell("answer-99-1", "code", "mine"),
        Cell("answer-99-2", "code", "too"),
    ]
    assert merge(SOURCE, mine) == [
        ("setup", "import numpy as np"),
        ("answer-99-1", "mine"),
        ("check-99-1", 'check("99.1")'),
        ("answer-99-2", "too"),
        ("check-99-2", 'check("99.2")'),
    ]


def test_merge_keeps_own_cells_in_order_after_the_cell_they_followed():
    mine = [
        Cell("", "code", "first"),
        Cell("", "markdown", "notes"),
        SOURCE[0],
        Cell("", "code", "second"),
        Cell("unknown-id", "code", "third"),
        Cell("hints-99-1", "markdown", ""),
        Cell("", "code", "fourth"),
    ]
    assert [name for name, _ in merge(SOURCE, mine)] == [
        "own-1",
        "setup",
        "own-2",
        "own-3",
        "check-99-1",
        "own-4",
        "check-99-2",
    ]


def test_merge_leaves_an_answer_out_that_is_no_code_cell_any_more():
    assert "answer-99-1" not in dict(merge(SOURCE, [Cell("answer-99-1", "markdown", "f = 1")]))


def test_merge_joins_the_parts_of_an_answer_and_leaves_its_stub_and_copies_out():
    stub = without_answers(next(cell.source for cell in SOURCE if cell.id == "answer-99-1"))
    parts = [Cell("answer-99-1", "code", text) for text in ("a = 1", stub, "f = a", "f = a")]
    assert dict(merge(SOURCE, parts))["answer-99-1"] == "a = 1\nf = a"


def test_merge_takes_given_cells_from_the_source_however_often_they_were_copied():
    assert merge(SOURCE, [SOURCE[0], *SOURCE, SOURCE[0]]) == merge(SOURCE, SOURCE)


@pytest.mark.parametrize("kind", ["markdown", "code"])
def test_what_learners_write_in_their_own_words_is_free_and_never_read(kind):
    cells = sources.read_source("11")
    changed = [Cell(c.id, kind, "import os; 1 / 0") if c.id == "words-11" else c for c in cells]
    assert changed != cells
    for mine in (changed, [cell for cell in cells if cell.id != "words-11"]):
        assert recognize(mine, "11.ipynb") == "11"
        assert remarks(cells, mine) == []
        assert merge(cells, mine) == merge(cells, cells)
    free = [cell for cell in derive(source("11")).cells if not cell.metadata["nbgrader"]["locked"]]
    assert {question_of(cell.id)[0] or cell.id for cell in free} == {"answer", "words-11"}
    assert not any(cell.metadata["nbgrader"]["grade"] for cell in free)


def test_stubs_fit_the_place_of_the_solution(source_02):
    texts = {cell.id: cell.source for cell in derive(source_02).cells}
    assert texts["answer-02-2"].endswith("    raise NotImplementedError  # your code here")
    assert texts["answer-02-1"].count("= ...") == 2
    assert "NotImplementedError" not in texts["answer-02-1"]
    assert texts["check-02-2"] == 'check("02.2")'


def test_an_exercise_is_recognized_by_its_cells_then_by_its_name(tmp_path, submit):
    cells = read_submission(submit(tmp_path / "renamed by somebody.ipynb"))
    assert recognize(cells, "07_other.ipynb") == "02"
    with pytest.raises(CannotGrade, match=r"marks .* are gone"):
        recognize([Cell("", "code", "1")], "02_slide.ipynb")
    with pytest.raises(CannotGrade, match="no exercise of this course"):
        recognize([Cell("", "code", "1")], "essay.ipynb")


@pytest.mark.parametrize("stripped", ["all", "answer-02-2"])
def test_cells_whose_marks_a_cleaner_took_are_recognized_by_their_ids(tmp_path, submit, stripped):
    path = submit(tmp_path / "02.ipynb")
    marked = read_submission(path)
    nb = nbformat.read(path, 4)
    for cell in nb.cells:
        if stripped in ("all", cell.id):
            cell.metadata = {}
    nbformat.write(nb, path)
    bare = read_submission(path)
    source = sources.read_source("02")
    assert merge(source, bare) == merge(source, marked)
    assert not remarks(source, marked)
    assert "lost the marks" in remarks(source, bare)[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_notebook_with_a_byte_order_mark_is_read(tmp_path, submit, encoding):
    path = submit(tmp_path / "02.ipynb")
    want, text = read_submission(path), path.read_text(encoding="utf-8")
    mark = "\ufeff" if encoding.endswith(("le", "be")) else ""
    path.write_text(mark + text, encoding=encoding)
    assert read_submission(path) == want


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "02.ipynb")
    with pytest.raises(CannotGrade, match="not a file"):
        read_submission(tmp_path / "02.ipynb")
    with pytest.raises(CannotGrade, match="no such file"):
        read_submission(tmp_path / "03.ipynb")
