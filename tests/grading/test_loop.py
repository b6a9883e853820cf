"""The learner's loop: the map, the next question, a check at each save, hints, the reference in the end."""

import io
import json

import nbformat
import pytest
from rich.console import Console

from cnnlib.grading import loop, sources
from cnnlib.grading.grade import Score


@pytest.fixture
def said(tmp_path, monkeypatch, source_02):
    """What the loop says, and a learner's notebook of exercise 02 in a folder of its own."""
    nbformat.write(source_02, tmp_path / "02.ipynb")
    monkeypatch.setattr(loop, "notebook_of", lambda question: tmp_path / "02.ipynb")
    return Console(file=io.StringIO(), width=130)


@pytest.fixture
def progress(tmp_path):
    """A learner's progress in a folder of its own, nothing solved yet."""
    return loop.Progress(tmp_path / "data" / "progress.json")


def keys(*lines):
    """What the learner types, line by line; then the terminal is closed."""
    left = list(lines)
    return lambda: left.pop(0) if left else None


def text(console):
    """What was printed."""
    return console.file.getvalue()


def full(question):
    """A look that finds full points."""
    return Score(question.id, question.points, question.points, "Right.")


def test_the_map_shows_chapters_points_and_what_is_solved(said, progress):
    progress.note("02.1", 2)
    progress.note("02.3", 1)
    loop.show_map(said, progress)
    line = next(line for line in text(said).splitlines() if line.strip().startswith("02 "))
    assert "Slide a kernel" in line
    assert "3 of 10" in line
    assert "1* 2. 3. 4. 5." in line


def test_the_next_question_is_the_first_that_is_not_solved_and_not_put_off(progress):
    assert loop.next_question(progress).id == "02.1"
    progress.note("02.1", 2)
    progress.note("02.2", 1)
    assert loop.next_question(progress).id == "02.2"
    assert loop.next_question(progress, skipped={"02.2"}).id == "02.3"
    assert loop.next_question(progress, "05").id == "05.1"
    for question in sources.questions("05"):
        progress.note(question.id, question.points)
    assert loop.next_question(progress, "05") is None


def test_progress_is_kept_never_falls_and_survives_a_damaged_file(progress):
    progress.note("02.1", 2)
    progress.note("02.1", 1)
    assert loop.Progress(progress.path).points == {"02.1": 2}
    assert [path.name for path in progress.path.parent.iterdir()] == ["progress.json"]
    for damaged in ("{broken", "[]", '{"02.1": "x"}'):
        progress.path.write_text(damaged)
        assert loop.Progress(progress.path).points == {}


def test_a_write_that_fails_leaves_the_old_file_whole(progress, monkeypatch):
    progress.note("02.1", 1)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop.Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        progress.note("02.1", 2)
    assert json.loads(progress.path.read_text()) == {"02.1": 1}


def test_the_task_is_shown_and_hints_one_after_the_other(said, progress):
    def not_yet(question):
        return Score(question.id, 0, 2, "Not answered yet.")

    assert loop.learn(progress=progress, console=said, key=keys("h", "h", "h", "q"), look=not_yet, wait=0) == 0
    shown = text(said)
    assert "Call the ramp's answer" in shown
    assert "jupyter lab" in shown
    assert shown.index("Hint 1") < shown.index("Hint 2") < shown.index("Hint 3")
    assert "goes on from here" in shown


MARKDOWN = """## A heading
*Level 1.*

A paragraph goes on
in a second line.

$$\\begin{pmatrix} 1 & -1 \\\\ 10 & 0 \\end{pmatrix}$$

1. an item
- another

```text
for each row:
    add
```
The end
comes."""

IN_A_TERMINAL = """## A heading
*Level 1.*

A paragraph goes on in a second line.

       1  -1
      10   0

1. an item
- another

    for each row:
        add
The end comes."""


def test_markdown_is_shown_with_whole_paragraphs_and_with_rows_for_a_matrix():
    assert loop.for_terminal(MARKDOWN) == IN_A_TERMINAL


def test_every_task_and_hint_is_shown_with_all_its_words():
    for exercise in sources.sources():
        for cell in sources.read_source(exercise):
            if cell.id.startswith(("task-", "hints-")):
                words = [word for word in cell.source.split() if not word.startswith(("```", "$$"))]
                shown = loop.for_terminal(cell.source).split()
                assert "pmatrix" in cell.source or shown == words


def test_each_save_is_looked_at_again_and_full_points_show_the_reference(said, progress, tmp_path):
    looks = []

    def look(question):
        looks.append(question.id)
        return full(question) if len(looks) > 1 else Score(question.id, 1, 2, "Brighter ramp: 40 is not it.")

    def key():
        if len(looks) == 1:
            (tmp_path / "02.ipynb").touch()
            return ""
        return None

    loop.learn("02", progress, said, key, look, 0)
    assert looks[:3] == ["02.1", "02.1", "02.2"]
    shown = text(said)
    assert "02.1: 1 of 2 points. Brighter ramp" in shown
    assert shown.index("02.1: 2 of 2 points") < shown.index("Why this works") < shown.index("Exercise 02.2")
    assert loop.Progress(progress.path).points["02.1"] == 2


def test_a_question_may_be_put_off_and_all_solved_ends(said, progress):
    loop.learn("02", progress, said, keys("s", "q"), lambda question: "it cannot be read.", 0)
    assert "Exercise 02.2" in text(said)
    assert "it cannot be read." in text(said)
    loop.learn("02", progress, said, keys(), full, 0)
    assert "Nothing is left to do here." in text(said)


def test_ctrl_c_stops_with_a_word(said, progress):
    def look(question):
        raise KeyboardInterrupt

    assert loop.learn("02", progress, said, keys(), look, 0) == 0
    assert "Until next time" in text(said)


def test_where_there_is_no_terminal_it_looks_once_and_says_so_in_plain_text(progress, said):
    looks = []
    loop.learn("02", progress, said, keys(), lambda q: looks.append(q.id) or Score(q.id, 0, 2, "No."), 0)
    assert looks == ["02.1"]
    assert "\x1b" not in text(said)


def test_progress_lies_in_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert loop.Progress().path == tmp_path / "cnnlib" / "progress.json"


def test_one_question_of_a_notebook_is_graded_alone(tmp_path, submit):
    from cnnlib.grading.grade import grade

    result = grade(submit(tmp_path / "02.ipynb"), only="02.4")
    assert [(score.id, score.score) for score in result.questions] == [("02.4", 1)]
