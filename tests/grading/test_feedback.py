"""`check` in the learner's own kernel."""

import dataclasses
import sys
import types

import numpy as np

from cnnlib.grading import check, sources
from cnnlib.grading.feedback import REMEMBERED, feedback, history, right_answers


def names(**more):
    """A learner's namespace in which exercise 02 is answered rightly, but for these names."""
    return {**right_answers("02"), **more}


def test_a_right_answer_is_told_so():
    for question in sources.questions("02"):
        assert feedback(question.id, names()) == f"right. {question.points:g} points."


def test_a_wrong_answer_is_told_its_first_difference_and_cause():
    says = feedback("02.4", names(convolve2d=right_answers("02")["correlate2d"]))
    assert "first difference at [0, 0]" in says
    assert "has not been turned yet" in says


def test_a_wrong_prediction_is_not_told_the_right_one():
    says = feedback("02.1", names(ramp_answer=30, brighter_answer=7))
    assert "-30" not in says
    assert "-60" not in says


def test_what_is_not_written_yet_is_told_without_an_error():
    def stub(x, w):
        raise NotImplementedError

    assert feedback("02.2", names(correlate1d=stub)) == "not answered yet."
    assert feedback("02.1", names(ramp_answer=..., brighter_answer=...)) == "not answered yet."
    without = {name: value for name, value in names().items() if name != "correlate1d"}
    assert feedback("02.2", without) == "name 'correlate1d' is not defined. Run the answer cell first."


def test_nothing_that_an_answer_does_becomes_an_ugly_error():
    class Bad:
        def __array__(self, *_, **__):
            raise MemoryError("no")

    for bad in (lambda x, w: 1 / 0, lambda x, w: sys.exit(), lambda x, w: Bad(), 5, lambda: None):
        says = feedback("02.2", names(correlate1d=bad))
        assert "\n" not in says
        assert "right." not in says
    assert "no such question" in feedback("02.9", names())
    assert "no exercise of this number" in feedback("77.1", names())


def test_check_prints_one_line_for_the_names_around_it(capsys):
    namespace = names(check=check, ramp_answer=30)
    exec('check("02.1")', namespace)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert said.startswith("Exercise 02.1: ramp: 30 is not it.")


def test_check_is_silent_while_grading(capsys, monkeypatch):
    monkeypatch.setenv("CNNLIB_RUN", "1")
    exec('check("02.1")', names(check=check))
    assert capsys.readouterr().out == ""


def test_every_check_draws_anew():
    seen = set()

    def spy(x, w):
        seen.add(float(np.asarray(x).flat[0]))
        return x

    feedback("02.2", names(correlate1d=spy))
    feedback("02.2", names(correlate1d=spy))
    assert len(seen) == 8


RIGHT = "import numpy as np\n\ndef correlate1d(x, w):\n    return {}\n"
HONEST = RIGHT.format("np.array([(np.roll(x, -i)[: len(w)] * w).sum() for i in range(len(x))])")


def said_after(monkeypatch, *cells):
    """What check says of 02.2 in a notebook that ran these cells."""
    namespace = {}
    for text in cells:
        exec(text, namespace)
    monkeypatch.setattr("cnnlib.grading.feedback.history", lambda: list(cells))
    return feedback("02.2", namespace)


def test_check_refuses_what_the_grade_refuses(monkeypatch):
    says = said_after(monkeypatch, RIGHT.format("np.correlate(x, w, 'valid')"))
    assert says == "the answer uses `numpy.correlate`, which this question does not allow."
    says = said_after(monkeypatch, "import numpy as np\nslide = np.correlate", RIGHT.format("slide(x, w, 'valid')"))
    assert "uses `numpy.correlate`" in says


def test_check_refuses_the_same_where_a_network_is_trained(monkeypatch):
    question = next(q for q in sources.questions("02") if q.id == "02.2")
    trained = dataclasses.replace(question, thresholds={"all": 0.9}, draw=lambda rng, split: question.draw(rng))
    monkeypatch.setattr(sources, "questions", lambda exercise: [trained])
    monkeypatch.setattr("cnnlib.grading.feedback.judge", lambda *_: (0, "95 % of what it has not seen.", "part"))
    assert "does not allow" in said_after(monkeypatch, RIGHT.format("np.correlate(x, w, 'valid')"))
    assert said_after(monkeypatch, HONEST).startswith("95 %")


def test_check_looks_at_the_cells_whose_names_still_stand(monkeypatch):
    assert said_after(monkeypatch, RIGHT.format("np.correlate(x, w)"), HONEST).startswith("right.")
    scratch = "import numpy as np\nprint(np.correlate(np.ones(3), np.ones(2)))"
    assert said_after(monkeypatch, scratch, HONEST, "x = np.convolve([1, 2], [1])").startswith("right.")


def test_check_reads_each_cell_of_the_history_once_where_it_ran_last(monkeypatch):
    typed = ["", "a = 1", "b = 1", "a = 1", *(f"c = {k}" for k in range(REMEMBERED))]
    shell = types.SimpleNamespace(history_manager=types.SimpleNamespace(input_hist_raw=typed))
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    assert history() == typed[-REMEMBERED:]
    typed[4:] = []
    assert history() == ["", "b = 1", "a = 1"]


def test_check_stops_an_endless_loop_by_itself(monkeypatch):
    stubborn = "        try:\n            pass\n        except Exception:\n            pass\n"
    endless = f"def correlate1d(x, w):\n    while True:\n{stubborn}"
    question = dataclasses.replace(next(q for q in sources.questions("02") if q.id == "02.2"), seconds=0.3)
    monkeypatch.setattr(sources, "questions", lambda exercise: [question])
    namespace = {}
    exec(endless, namespace)
    assert "is there a loop that never ends" in feedback("02.2", names(**namespace))


def test_a_wrong_answer_points_to_the_one_that_it_builds_on():
    wrong = {"correlate2d": lambda x, w: 2 * right_answers("02")["correlate2d"](x, w)}
    says = feedback("02.4", names(convolve2d=lambda x, w: wrong["correlate2d"](x, np.flip(w)), **wrong))
    assert "Does it call your answer to 02.3? That one is not right yet" in says
    says = feedback("02.4", names(convolve2d=right_answers("02")["correlate2d"]))
    assert "02.3" not in says


def test_training_that_takes_long_is_not_called_an_endless_loop(monkeypatch):
    question = dataclasses.replace(
        next(q for q in sources.questions("02") if q.id == "02.2"), kind="train", seconds=0.3
    )
    monkeypatch.setattr(sources, "questions", lambda exercise: [question])
    namespace = {}
    exec("def correlate1d(x, w):\n    while True:\n        pass\n", namespace)
    assert "too many steps" in feedback("02.2", names(**namespace))
